"""SRResNet and SRGAN under this project's names: what the layouts of others are brought to before they are read.

Under these very names, with Keras' constants, they are also found as a port of weights that were trained in Keras.
Nothing in a file tells SRResNet from SRGAN, which are one network trained in two ways: its name does, or the user.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from export.errors import ImportRefused
from export.importers.files import StateFile
from export.importers.layout import Imported, Layout, Options, assemble, count_blocks, count_features
from models.srresnet import SrganConfig, SrresnetConfig

FAMILIES: dict[str, type[SrresnetConfig]] = {"srresnet": SrresnetConfig, "srgan": SrganConfig}
BLOCK = re.compile(r"^body\.(\d+)\.")
UPSAMPLING = re.compile(r"^up\.(\d+)\.conv\.weight$")
KERAS_NORM_EPS = 1e-3


def read_srresnet(
    file: StateFile,
    tensors: Mapping[str, Tensor],
    options: Options,
    *,
    layout: str,
    norm_eps: float = 1e-5,
    tanh: bool = False,
    family: str | None = None,
) -> Imported:
    """From tensors under this project's names; what no tensor shows must be said. Output in [-1, 1], as the paper's.

    `family` is what files of this layout are; without it, and without the user's word, the file's name decides.

    Raises:
        ImportRefused: tensors that do not fit, x3, or an unknown `options.family`.
    """
    warnings = []
    chosen = options.family or family
    if chosen is None:
        chosen = "srgan" if "gan" in file.name.lower() else "srresnet"
        warnings.append(
            f"{file.name}: nothing in it tells SRResNet from SRGAN; by its name it is taken for {chosen}; --family "
            "says otherwise"
        )
    if chosen not in FAMILIES:
        raise ImportRefused(f"{file.name}: family is {chosen!r}, not one of {', '.join(FAMILIES)}")
    features = count_features(file.name, tensors, "head.0.weight")
    scale, widened = _upsampling(file.name, tensors)
    config = FAMILIES[chosen](
        scale,
        blocks=count_blocks(file.name, tensors, [int(found[1]) for key in tensors if (found := BLOCK.match(key))]),
        features=features,
        prelu="channel" if "head.1.weight" in tensors and tensors["head.1.weight"].numel() > 1 else "layer",
        conv_bias="body.0.conv1.bias" in tensors,
        norm_eps=norm_eps,
        up_features=None if widened == features else widened,
        tanh=tanh,
    )
    return assemble(file, tensors, config, layout=layout, options=options, warnings=tuple(warnings))


def to_signed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same network with its output moved from [0, 1] to [-1, 1]; exact but for the rounding of the last bias."""
    return dict(tensors) | {"tail.weight": tensors["tail.weight"] * 2, "tail.bias": tensors["tail.bias"] * 2 - 1}


def _upsampling(name: str, tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Scale, and features behind each pixel shuffle."""
    convs = [tensor for key, tensor in tensors.items() if UPSAMPLING.match(key)]
    if not 1 <= len(convs) <= 3 or any(conv.ndim != 4 or conv.shape[0] % 4 for conv in convs):
        shapes = [tuple(conv.shape) for conv in convs]
        raise ImportRefused(f"{name}: upsampling convolutions of shapes {shapes} are none of SRResNet's (x2, x4, x8)")
    return 1 << len(convs), convs[0].shape[0] // 4


def _is_port_of_keras(tensors: Mapping[str, Tensor]) -> bool:
    return {"head.0.weight", "body.0.conv1.weight", "up.0.conv.weight", "tail.weight"} <= tensors.keys()


def _read_port_of_keras(file: StateFile, options: Options) -> Imported:
    if not {"head.1.weight", "body.0.conv1.bias"} <= file.tensors.keys() or file.tensors["head.1.weight"].numel() == 1:
        raise ImportRefused(
            f"{file.name}: has the names of a port from Keras, but not its biases before BatchNorm and one PReLU slope "
            "per channel, so nothing tells its BatchNorm's epsilon and the range of its answer"
        )
    return read_srresnet(file, file.tensors, options, layout="keras-port", norm_eps=KERAS_NORM_EPS, tanh=True)


LAYOUTS = (
    Layout("keras-port", "SRResNet ported from Keras", _is_port_of_keras, _read_port_of_keras, uses=("family",)),
)
