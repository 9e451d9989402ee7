"""SRResNet and SRGAN as two PyTorch repositories write them down: Lornatang/SRGAN-PyTorch and leftthomas/SRGAN.

The first is the paper's network with an output in [0, 1], clamped; its training scripts wrap the weights
("state_dict", and averaged ones as "ema_state_dict"). Names changed in 2022; both are read. The second has 5 blocks,
biases before BatchNorm and a tanh, and was only published as trained by its GAN.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from export.errors import ImportRefused
from export.importers.files import StateFile
from export.importers.layout import Imported, Layout, Options, rename
from export.importers.srresnet import read_srresnet, to_signed

LORNATANG_NAMES = (
    (re.compile(r"^conv(?:_block)?1\."), "head."),
    (re.compile(r"^trunk\.(\d+)\.rcb\.0\."), r"body.\1.conv1."),
    (re.compile(r"^trunk\.(\d+)\.rcb\.1\."), r"body.\1.bn1."),
    (re.compile(r"^trunk\.(\d+)\.rcb\.2\."), r"body.\1.prelu."),
    (re.compile(r"^trunk\.(\d+)\.rcb\.3\."), r"body.\1.conv2."),
    (re.compile(r"^trunk\.(\d+)\.rcb\.4\."), r"body.\1.bn2."),
    (re.compile(r"^conv(?:_block)?2\."), "body_tail."),
    (re.compile(r"^upsampling\.(\d+)\.upsample_block\.0\."), r"up.\1.conv."),
    (re.compile(r"^upsampling\.(\d+)\.upsample_block\.2\."), r"up.\1.prelu."),
    (re.compile(r"^conv(?:_block)?3\."), "tail."),
)
LEFTTHOMAS_BLOCK = re.compile(r"^block(\d+)\.((?:conv|bn)\d|prelu)\.")
LEFTTHOMAS_UP = re.compile(r"^block8\.(\d+)\.((?:conv|prelu)\.)?")
SHUFFLE_BY_3 = 9  # channels of an upsampling convolution for each of its inputs


def _is_lornatang(tensors: Mapping[str, Tensor]) -> bool:
    return {"trunk.0.rcb.0.weight", "upsampling.0.upsample_block.0.weight"} <= tensors.keys()


def _read_lornatang(file: StateFile, options: Options) -> Imported:
    tensors = rename(file, _lornatang_name)
    _require(file, tensors, ("head.0.weight", "tail.weight", "tail.bias"))
    up = tensors["up.0.conv.weight"]
    if up.ndim == 4 and up.shape[0] == SHUFFLE_BY_3 * up.shape[1]:
        raise ImportRefused(f"{file.name}: is for x3, which the paper does not have; x2, x4 and x8 are read")
    return read_srresnet(file, to_signed(tensors), options, layout="lornatang")


def _is_leftthomas(tensors: Mapping[str, Tensor]) -> bool:
    return {"block1.0.weight", "block2.conv1.weight", "block8.0.conv.weight"} <= tensors.keys()


def _read_leftthomas(file: StateFile, options: Options) -> Imported:
    tensors = rename(file, _leftthomas_name)
    _require(file, tensors, ("head.0.weight", "tail.weight"))
    return read_srresnet(file, tensors, options, layout="leftthomas", tanh=True, family="srgan")


LAYOUTS = (
    Layout("lornatang", "SRResNet of SRGAN-PyTorch", _is_lornatang, _read_lornatang, uses=("family",)),
    Layout("leftthomas", "SRGAN of leftthomas/SRGAN", _is_leftthomas, _read_leftthomas, uses=("family",)),
)


def _require(file: StateFile, tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in tensors]:
        raise ImportRefused(
            f"{file.name}: not all of an SRResNet: {', '.join(missing)} (in this project's names) missing"
        )


def _lornatang_name(name: str) -> str:
    for pattern, replacement in LORNATANG_NAMES:
        if pattern.match(name):
            return pattern.sub(replacement, name)
    return name


def _leftthomas_name(name: str) -> str:
    """block1 is the head, 2 to 6 the body, 7 its end, and 8 holds the upsampling, then the last convolution."""
    if name.startswith("block1."):
        return name.replace("block1.", "head.", 1)
    if name.startswith("block7."):
        return name.replace("block7.", "body_tail.", 1)
    if found := LEFTTHOMAS_UP.match(name):
        rest = name[found.end() :]
        return f"up.{found[1]}.{found[2]}{rest}" if found[2] else f"tail.{rest}"
    if found := LEFTTHOMAS_BLOCK.match(name):
        return f"body.{int(found[1]) - 2}.{found[2]}.{name[found.end() :]}"
    return name
