"""Ensemble: the network's mean answer to a picture in its eight orientations, each turned back. Lim et al. 2017, 3.4.

The paper's "geometric self-ensemble" (EDSR+): answers are averaged unquantised, and clipped and rounded once.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.manifest import Manifest
from service.sessions import Device, Pixels, Session

RUNS = 8


class EnsembleSession:
    """Stands for a float32 session where the scheduler wants one, and runs it eight times, one after the other.

    It takes and gives uint8 pixels, or float32 ones, which it leaves unclipped as any float32 graph does. Of a tile it
    answers what it would answer of the whole image there: the halo is the same on all sides, and a mirrored tile lies
    on the mirrored image's grid. In its manifest one LR pixel costs eight times the work.
    """

    def __init__(self, session: Session, *, pixels: Literal["uint8", "float32"]) -> None:
        """`session` is the float32 one; `pixels` are those that are given and wanted."""
        facts = session.manifest
        self._session = session
        self.manifest: Manifest = facts.model_copy(
            update={"pixels": pixels, "macs_per_lr_pixel": RUNS * facts.macs_per_lr_pixel}
        )

    @property
    def device(self) -> Device:
        """What the session runs on."""
        return self._session.device

    def run(self, pixels: Pixels, noise: NDArray[np.float32] | None = None, *, spread: bool = True) -> Pixels:
        """[N,H,W,3] -> [N,sH,sW,3]; `spread` as in Session.run.

        Raises as Session.run, and ValueError for noise: no degradation has an ensemble.
        """
        if noise is not None:
            raise ValueError("an ensemble takes no noise")
        wide = pixels if pixels.dtype == np.float32 else np.divide(pixels, np.float32(255), dtype=np.float32)
        answers = self._answers(wide, spread=spread)
        mean = np.array(next(answers), np.float32)  # a copy: what is turned back is a view
        for answer in answers:
            mean += answer
        mean /= RUNS
        if self.manifest.pixels == "float32":
            return mean
        np.clip(mean, 0, 1, out=mean)
        mean *= 255
        return np.rint(mean, out=mean).astype(np.uint8)

    def _answers(self, pixels: Pixels, *, spread: bool) -> Iterator[Pixels]:
        """The answer to each orientation, as the picture lies. One is in memory at a time."""
        for turns in range(4):
            for mirrored in (False, True):
                turned = np.rot90(pixels[:, :, ::-1] if mirrored else pixels, turns, axes=(1, 2))
                answer = self._session.run(np.ascontiguousarray(turned), spread=spread)
                back = np.rot90(answer, -turns, axes=(1, 2))
                yield back[:, :, ::-1] if mirrored else back
