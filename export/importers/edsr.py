"""EDSR as the official EDSR-PyTorch repository and as BasicSR write it down.

Both hold the same numbers under different names. Neither says what network it is: hyper-parameters are read off names
and shapes, and the file is refused unless every tensor then fits.
"""

import re
from collections.abc import Mapping
from functools import partial

from torch import Tensor

from export.errors import ImportRefused
from export.importers.files import StateFile
from export.importers.layout import Imported, Layout, Options, assemble, check_fit, count_blocks, count_features, rename
from export.importers.mean_shift import in_byte_range, mean_shift
from models.edsr import EdsrConfig

# BasicSR's name -> the official one. {n} is the number of blocks, the index of the convolution that ends
# the body.
BASICSR_NAMES = (
    (re.compile(r"^conv_first\."), "head.0."),
    (re.compile(r"^body\.(\d+)\.conv1\."), r"body.\1.body.0."),
    (re.compile(r"^body\.(\d+)\.conv2\."), r"body.\1.body.2."),
    (re.compile(r"^conv_after_body\."), "body.{n}."),
    (re.compile(r"^upsample\."), "tail.0."),
    (re.compile(r"^conv_last\."), "tail.1."),
)
BLOCK = re.compile(r"^body\.(\d+)\.(?:body|conv\d)\.")
UPSAMPLING = re.compile(r"^tail\.0\.(\d+)\.weight$")
# Blocks and features of the published networks; nothing in a file tells their residual scale (paper,
# section 3.1).
KNOWN_RESIDUAL_SCALES = {(16, 64): 1.0, (32, 256): 0.1}


def _is_official(tensors: Mapping[str, Tensor]) -> bool:
    return {"head.0.weight", "body.0.body.0.weight", "tail.0.0.weight"} <= tensors.keys()


def _is_basicsr(tensors: Mapping[str, Tensor]) -> bool:
    return {"conv_first.weight", "body.0.conv1.weight", "upsample.0.weight"} <= tensors.keys()


def _read_official(file: StateFile, options: Options) -> Imported:
    return _read(file, file.tensors, options, layout="edsr-pytorch")


def _read_basicsr(file: StateFile, options: Options) -> Imported:
    renamed = rename(file, partial(_official_name, blocks=_blocks(file.name, file.tensors)))
    return _read(file, renamed | mean_shift(), options, layout="basicsr")  # its mean shift is code, not weights


LAYOUTS = (
    Layout("edsr-pytorch", "EDSR of EDSR-PyTorch", _is_official, _read_official, uses=("residual_scale",)),
    Layout("basicsr", "EDSR of BasicSR", _is_basicsr, _read_basicsr, uses=("residual_scale",)),
)


def _read(file: StateFile, tensors: Mapping[str, Tensor], options: Options, *, layout: str) -> Imported:
    """From tensors under the official names, the mean shift included."""
    config, warnings = _infer_config(file.name, tensors, options.residual_scale)
    check_fit(file.name, tensors, config)
    converted, value_range = in_byte_range(file.name, tensors, last="tail.1")
    return assemble(file, converted, config, layout=layout, options=options, warnings=warnings, value_range=value_range)


def _official_name(name: str, blocks: int) -> str:
    for pattern, replacement in BASICSR_NAMES:
        if pattern.match(name):
            return pattern.sub(replacement.replace("{n}", str(blocks)), name)
    return name


def _blocks(name: str, tensors: Mapping[str, Tensor]) -> int:
    return count_blocks(name, tensors, [int(found[1]) for key in tensors if (found := BLOCK.match(key))])


def _infer_config(
    name: str, tensors: Mapping[str, Tensor], residual_scale: float | None
) -> tuple[EdsrConfig, tuple[str, ...]]:
    features = count_features(name, tensors, "head.0.weight")
    blocks = _blocks(name, tensors)
    warnings = []
    if residual_scale is None:
        residual_scale = KNOWN_RESIDUAL_SCALES.get((blocks, features), 1.0)
        if (blocks, features) not in KNOWN_RESIDUAL_SCALES:
            warnings.append(
                f"{name}: {blocks} blocks of {features} features are not a published EDSR, and no file tells its "
                f"residual scale: {residual_scale} is assumed; --residual-scale says otherwise"
            )
    scale = _scale(name, tensors, features)
    return EdsrConfig(scale, blocks=blocks, features=features, residual_scale=residual_scale), tuple(warnings)


def _scale(name: str, tensors: Mapping[str, Tensor], features: int) -> int:
    upsampling = [tensors[key] for key in sorted(tensors) if UPSAMPLING.match(key)]
    factors = [tensor.shape[0] / features if tensor.ndim == 4 else 0 for tensor in upsampling]
    if factors == [9]:
        return 3
    if 1 <= len(factors) <= 3 and set(factors) == {4}:
        return 1 << len(factors)
    raise ImportRefused(f"{name}: an upsampler with channel factors {factors} is none of EDSR's (9; 4; 4, 4; 4, 4, 4)")
