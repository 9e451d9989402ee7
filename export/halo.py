"""Step 5, halo: how much context a tile really needs, measured on photographs.

`halo_exact`, the receptive radius, is what a tile may need; a trained network uses far less of it. The served default
is the smallest halo whose tiles stay within one grey level of the whole image's answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from export.contract import draw_noise
from export.errors import ExportError
from export.photographs import Motion, Pixels8, mirrored, moving, photographs
from service.manifest import Manifest
from service.sessions import Session

CORE = 48  # LR pixels kept of a tile
STEP = 4  # LR pixels; finer is not worth a tile shape of its own
# Grey levels before rounding. Half a level would do to keep the pixels looked at within one level; a whole photograph
# has a hundred times as many seams, and its worst pixel was 1 to 3 times as far off as the worst one here. Halos that
# pass for 0.25 passed for one level everywhere; each further step of 4 makes the difference some 10 times smaller.
MAX_DIFFERENCE = 0.25
MARGIN = 4  # the reference sees this much more than halo_exact, so that a wrong halo_exact shows
# Where the core lies, as shares of the room the photograph leaves (vertical, horizontal).
PLACES = ((0.5, 0.5), (0.9, 0.2), (0.3, 0.8))
# Of the photographs where the network takes frames, in LR pixels per frame: a slow pan, a fast one, a cut's worth.
MOTIONS: tuple[Motion, ...] = ((1, -2), (-3, 5), (9, 12))


@dataclass(frozen=True)
class Core:
    """One core inside one picture, and what a session makes of it with more or less context around it.

    `picture` is what the graph takes, without batch: [H, W, 3] or [D, H, W, 3]; `noise`, where it takes a map of it,
    [H, W, 1]. `top` and `left` are in LR pixels.
    """

    session: Session
    picture: Pixels8
    top: int
    left: int
    noise: npt.NDArray[np.float32] | None = None

    def answer(self, halo: int) -> npt.NDArray[np.float32]:
        """The core's pixels in [0, 255] when the network sees `halo` LR pixels around it, or up to the border.

        It sees more above and on the left where a tile must begin on the network's grid.
        """
        facts = self.session.manifest
        grid, (into, out) = facts.size_multiple, _pixels_per_lr_pixel(facts)
        height, width = (side // into for side in self.picture.shape[-3:-1])
        top, left = (max(0, start - halo) // grid * grid for start in (self.top, self.left))
        bottom, right = min(height, self.top + CORE + halo), min(width, self.left + CORE + halo)
        tile = (slice(top * into, bottom * into), slice(left * into, right * into), slice(None))
        pixels = self.picture[(np.newaxis, ..., *tile)].astype(np.float32) / np.float32(255)
        noise = None if self.noise is None else np.ascontiguousarray(self.noise[(np.newaxis, *tile)])
        answer = self.session.run(pixels, noise)[0].clip(0, 1) * np.float32(255)
        rows, columns = (self.top - top) * out, (self.left - left) * out
        core: npt.NDArray[np.float32] = answer[rows : rows + CORE * out, columns : columns + CORE * out]
        return core

    @cached_property
    def whole(self) -> npt.NDArray[np.float32]:
        """The core's pixels in the answer for the whole picture: more context cannot change them."""
        return self.answer(self.session.manifest.halo_exact + MARGIN)

    def difference(self, halo: int) -> float:
        """Largest difference to the whole picture's answer, in grey levels, before rounding."""
        return float(np.abs(self.answer(halo) - self.whole).max())


def measure_halo(session: Session) -> int:
    """The smallest multiple of 4, or else `halo_exact`, at which every core is within `MAX_DIFFERENCE`.

    0 for a network of one size, which is never tiled. `session` runs a float32 graph, because differences below one
    grey level count. A halo that fails is given up at its first failing core, so the cost is little more than one pass
    over the cores with the exact halo.

    Raises:
        ExportError: the tiles differ even at `halo_exact`: the config understates its receptive radius.
    """
    if session.manifest.fixed_size is not None:
        return 0
    all_cores = list(cores(session))
    exact = session.manifest.halo_exact
    halos: list[int] = [*range(STEP, exact, STEP), exact]
    for halo in halos:
        if all(core.difference(halo) <= MAX_DIFFERENCE for core in all_cores):
            return halo
    raise ExportError(
        f"{session.manifest.model}: tiles with halo_exact = {exact} differ from the whole image by more than "
        f"{MAX_DIFFERENCE} grey levels, so the receptive radius is larger than the config says"
    )


def cores(session: Session) -> Iterator[Core]:
    """Three of each photograph, each with room for `halo_exact` around it where the photograph has it."""
    facts = session.manifest
    context = facts.halo_exact + MARGIN
    into, _ = _pixels_per_lr_pixel(facts)
    for photograph in photographs().values():
        for (down, right), motion in zip(PLACES, MOTIONS, strict=True):
            picture = _picture(photograph, facts, motion)
            height, width = (side // into for side in picture.shape[-3:-1])
            noise = draw_noise(facts, picture[np.newaxis])
            yield Core(
                session,
                picture,
                _place(height, context, down),
                _place(width, context, right),
                None if noise is None else noise[0],
            )


def _picture(photograph: Pixels8, facts: Manifest, motion: Motion) -> Pixels8:
    """What the graph takes, made of a photograph; an HR one is grown until two cores have all their context."""
    if facts.direction == "down":
        side = 2 * (CORE + facts.halo_exact + MARGIN) * facts.scale
        return mirrored(photograph, side, side)
    return moving(photograph, facts.frame_window, motion) if facts.input == "frames" else photograph


def _pixels_per_lr_pixel(facts: Manifest) -> tuple[int, int]:
    """Along one side: of what goes in, and of what comes out."""
    return (1, facts.scale) if facts.direction == "up" else (facts.scale, 1)


def _place(size: int, context: int, share: float) -> int:
    """First row or column of a core that has `context` on both sides, or is in the middle where that cannot be."""
    first = min(context, (size - CORE) // 2)
    return first + round(share * max(0, size - CORE - 2 * context))
