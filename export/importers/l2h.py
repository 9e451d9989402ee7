"""Bulat et al.'s Low-to-High generator as its authors released it: model.pkl, whose names are this project's.

The file of 2018 is an old pickle of a plain state dict, which is read as tensors alone; its BatchNorms may lack the
counters of later PyTorch versions. High-to-Low was never released.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from export.importers.files import StateFile
from export.importers.layout import Imported, Layout, Options, assemble, count_blocks, count_features
from models.degradation import L2hConfig

BLOCK = re.compile(r"^layers_set_final\.([01])\.(\d+)\.")


def _is_l2h(tensors: Mapping[str, Tensor]) -> bool:
    return {"layers_in.weight", "layers_set_final.0.0.conv1.weight", "main.0.weight"} <= tensors.keys()


def _read_l2h(file: StateFile, options: Options) -> Imported:
    blocks, narrow_blocks = (_blocks(file, group) for group in ("0", "1"))
    narrow = file.tensors["main.0.weight"]
    config = L2hConfig(
        upsampling="released",
        features=count_features(file.name, file.tensors, "layers_in.weight"),
        narrow_features=narrow.shape[1] if narrow.ndim == 4 else 0,
        head_features=count_features(file.name, file.tensors, "main.0.weight"),
        blocks=blocks,
        narrow_blocks=narrow_blocks,
    )
    return assemble(file, file.tensors, config, layout="face-sr", options=options)


LAYOUTS = (Layout("face-sr", "Low-to-High of Bulat et al. 2018", _is_l2h, _read_l2h),)


def _blocks(file: StateFile, group: str) -> int:
    numbers = [int(found[2]) for key in file.tensors if (found := BLOCK.match(key)) and found[1] == group]
    return count_blocks(file.name, file.tensors, numbers)
