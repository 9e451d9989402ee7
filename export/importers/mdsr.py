"""MDSR as the official EDSR-PyTorch repository writes it down, whose names are this project's, and a compact one.

The compact one was published for OpenCV: it takes and makes BGR, subtracts a mean of its own in code, and has a ReLU
behind the head and the body, sub-pixel convolutions straight to colour, and residuals scaled by 0.1.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from export.importers.files import StateFile
from export.importers.layout import Imported, Layout, Options, assemble, check_fit, count_blocks, count_features
from export.importers.mean_shift import in_byte_range, mean_shift
from models.mdsr import MdsrConfig

BLOCK = re.compile(r"^body\.(\d+)\.body\.")
COMPACT_MEAN = (114.3563, 111.5615, 103.1546)  # RGB, of pixels in [0, 255]
COMPACT_RESIDUAL_SCALE = 0.1


def _is_official(tensors: Mapping[str, Tensor]) -> bool:
    return _has_branches(tensors) and "tail.0.weight" in tensors


def _is_compact(tensors: Mapping[str, Tensor]) -> bool:
    return _has_branches(tensors) and "tail.0.weight" not in tensors


def _has_branches(tensors: Mapping[str, Tensor]) -> bool:
    return {"head.0.weight", "pre_process.0.0.body.0.weight", "upsample.0.0.weight"} <= tensors.keys()


def _read_official(file: StateFile, options: Options) -> Imported:
    config = _infer_config(file, options, compact=False)
    check_fit(file.name, file.tensors, config)
    tensors, value_range = in_byte_range(file.name, file.tensors, last="tail.0")
    return assemble(file, tensors, config, layout="mdsr-pytorch", options=options, value_range=value_range)


def _read_compact(file: StateFile, options: Options) -> Imported:
    config = _infer_config(file, options, compact=True)
    tensors = dict(file.tensors) | mean_shift(1, COMPACT_MEAN)
    check_fit(file.name, tensors, config)
    tensors["head.0.weight"] = tensors["head.0.weight"].flip(1)
    for name, tensor in file.tensors.items():
        if name.startswith("upsample."):  # its channels are colour by colour, scale * scale pixels each
            tensors[name] = tensor.unflatten(0, (3, -1)).flip(0).flatten(0, 1)
    return assemble(file, tensors, config, layout="mdsr-compact", options=options, value_range=255)


LAYOUTS = (
    Layout("mdsr-pytorch", "MDSR of EDSR-PyTorch", _is_official, _read_official, uses=("residual_scale",)),
    Layout("mdsr-compact", "a compact MDSR", _is_compact, _read_compact, uses=("residual_scale",)),
)


def _infer_config(file: StateFile, options: Options, *, compact: bool) -> MdsrConfig:
    residual_scale = options.residual_scale
    if residual_scale is None:
        residual_scale = COMPACT_RESIDUAL_SCALE if compact else 1.0
    features = count_features(file.name, file.tensors, "head.0.weight")
    blocks = count_blocks(
        file.name, file.tensors, [int(found[1]) for key in file.tensors if (found := BLOCK.match(key))]
    )
    return MdsrConfig(blocks=blocks, features=features, residual_scale=residual_scale, compact=compact)
