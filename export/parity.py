"""Step 4, parity: the graph, run by the very session class that serves, against the PyTorch network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from export.contract import Batch, draw_noise, picture_size
from export.errors import ParityFailed
from export.photographs import Pixels8, centre_crop, mirrored, moving, photographs
from export.pixels import Pixels
from service.manifest import Manifest
from service.sessions import Session

# Grey levels of 255. One for uint8, because both sides round numbers that differ in the seventh digit; for float32 one
# level of a 16-bit image.
MAX_DIFFERENCE: dict[Pixels, float] = {"uint8": 1.0, "float32": 255 / 65535}
MAX_DIFFERING = 0.001  # share of pixels that may be one level off
SHAPES = (
    (1, 1, 1),
    (1, 1, 7),
    (1, 9, 1),
    (1, 2, 3),
    (2, 17, 23),
    (3, 40, 9),
    (1, 64, 65),
)  # N, H, W of the input's pixels; none is the traced one, and few are multiples of anything
BATCHES = (1, 3)  # where H and W are fixed
PHOTOGRAPH_SIZE = (96, 90)  # of the smaller of input and answer: a share of pixels wants many of them
MOTION = (2, -3)  # of photographs where the network takes frames

Difference = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Parity:
    """The largest difference, in grey levels of 255, and the share of SR pixels that are a grey level off."""

    difference: float
    differing: float


def check_parity(session: Session, module: nn.Module) -> Parity:
    """Runs noise of several shapes and three photographs through both.

    `module` is the network as it was trained, in `pixels.with_pixels`, whatever was traced in its place.

    Raises:
        ParityFailed: an answer is more than `MAX_DIFFERENCE` off anywhere, `MAX_DIFFERING` of all pixels are a grey
            level off, a shape differs, or PyTorch itself answers NaN.
        ModelOutputInvalid: only the graph does.
    """
    facts = session.manifest
    largest, differing, total = 0.0, 0, 0
    for what, pixels in _pictures(facts):
        difference = _difference(session, module, what=what, pixels=_as_pixels(pixels, facts.pixels))
        if difference.max() > MAX_DIFFERENCE[facts.pixels]:
            raise ParityFailed(
                f"{what}: {difference.max():.4g} grey levels off, more than {MAX_DIFFERENCE[facts.pixels]:.4g}"
            )
        largest = max(largest, float(difference.max()))
        differing += int(np.count_nonzero(difference.max(axis=-1) >= 1))
        total += difference[..., 0].size
    if differing > MAX_DIFFERING * total:
        raise ParityFailed(f"{differing} of {total} pixels are a grey level off, more than {MAX_DIFFERING:.1%}")
    return Parity(largest, differing / total)


def _difference(session: Session, module: nn.Module, *, what: str, pixels: Batch) -> Difference:
    """Absolute difference of the answers [N, H', W', 3] in grey levels of 255.

    float32 answers are not clamped; where they leave [0, 1] the difference is a share of the largest value instead,
    for that is what float32 is exact to.
    """
    noise = draw_noise(session.manifest, pixels)
    with torch.inference_mode():
        expected = module(*(torch.from_numpy(array) for array in (pixels, noise) if array is not None)).numpy()
    if not np.isfinite(expected).all():
        raise ParityFailed(f"{what}: PyTorch answers NaN or infinity: the weights are broken")
    answer = session.run(pixels, noise)
    if answer.shape != expected.shape:
        raise ParityFailed(f"{what}: the graph answers {answer.shape}, PyTorch {expected.shape}")
    difference: Difference = np.abs(answer.astype(np.float64) - expected)
    if pixels.dtype == np.uint8:
        return difference
    return difference * 255 / max(1.0, float(np.abs(expected).max()))


def _pictures(facts: Manifest) -> Iterator[tuple[str, Pixels8]]:
    """Batches of what the graph takes, in bytes, and what each of them is."""
    fixed = picture_size(facts)
    window = (facts.frame_window,) if facts.input == "frames" else ()
    random = np.random.default_rng(0)
    for batch, height, width in [(batch, *fixed) for batch in BATCHES] if fixed else SHAPES:
        shape = (batch, *window, height, width, 3)
        yield f"noise {shape[:-1]}", random.integers(0, 256, shape, dtype=np.uint8)
    times = facts.scale if facts.direction == "down" else 1
    size = fixed or (PHOTOGRAPH_SIZE[0] * times, PHOTOGRAPH_SIZE[1] * times)
    for name, photograph in photographs().items():
        picture = moving(photograph, *window, MOTION) if window else photograph
        yield name, centre_crop(picture if window else mirrored(picture, *size), *size)[np.newaxis]


def _as_pixels(batch: Pixels8, pixels: Pixels) -> Batch:
    return batch if pixels == "uint8" else batch.astype(np.float32) / np.float32(255)
