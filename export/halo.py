"""Step 4, halo: how much context a tile really needs, measured on photographs.

`halo_exact`, the receptive radius, is what a tile may need; a trained network uses far less of it. The served default
is the smallest halo whose tiles stay within one grey level of the whole image's answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from export.errors import ExportError
from export.photographs import Pixels8, photographs
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


@dataclass(frozen=True)
class Core:
    """One core inside one photograph, and what a session makes of it with more or less context around it."""

    session: Session
    photograph: Pixels8
    top: int
    left: int

    def answer(self, halo: int) -> npt.NDArray[np.float32]:
        """The core's SR pixels in [0, 255] when the network sees `halo` LR pixels around it, or up to the border."""
        height, width = self.photograph.shape[:2]
        top, left = max(0, self.top - halo), max(0, self.left - halo)
        bottom, right = min(height, self.top + CORE + halo), min(width, self.left + CORE + halo)
        lr = self.photograph[np.newaxis, top:bottom, left:right].astype(np.float32) / np.float32(255)
        sr = self.session.run(lr)[0].clip(0, 1) * np.float32(255)
        scale = self.session.manifest.scale
        rows, columns = (self.top - top) * scale, (self.left - left) * scale
        core: npt.NDArray[np.float32] = sr[rows : rows + CORE * scale, columns : columns + CORE * scale]
        return core

    @cached_property
    def whole(self) -> npt.NDArray[np.float32]:
        """The core's SR pixels in the answer for the whole photograph: more context cannot change them."""
        return self.answer(self.session.manifest.halo_exact + MARGIN)

    def difference(self, halo: int) -> float:
        """Largest difference to the whole photograph's answer, in grey levels, before rounding."""
        return float(np.abs(self.answer(halo) - self.whole).max())


def measure_halo(session: Session) -> int:
    """The smallest multiple of 4, or else `halo_exact`, at which every core is within `MAX_DIFFERENCE`.

    `session` runs a float32 graph, because differences below one grey level count. A halo that fails is given up at
    its first failing core, so the cost is little more than one pass over the cores with the exact halo.

    Raises:
        ExportError: the tiles differ even at `halo_exact`: the config understates its receptive radius.
    """
    cores = list(_cores(session))
    exact = session.manifest.halo_exact
    halos: list[int] = [*range(STEP, exact, STEP), exact]
    for halo in halos:
        if all(core.difference(halo) <= MAX_DIFFERENCE for core in cores):
            return halo
    raise ExportError(
        f"{session.manifest.model}: tiles with halo_exact = {exact} differ from the whole image by more than "
        f"{MAX_DIFFERENCE} grey levels, so the receptive radius is larger than the config says"
    )


def _cores(session: Session) -> Iterator[Core]:
    context = session.manifest.halo_exact + MARGIN
    for photograph in photographs().values():
        height, width = photograph.shape[:2]
        for down, right in PLACES:
            yield Core(session, photograph, _place(height, context, down), _place(width, context, right))


def _place(size: int, context: int, share: float) -> int:
    """First row or column of a core that has `context` on both sides, or is in the middle where that cannot be."""
    first = min(context, (size - CORE) // 2)
    return first + round(share * max(0, size - CORE - 2 * context))
