"""Colour hidden under full transparency is replaced by what is visible beside it, before the network sees it.

Editors leave anything there, mostly black. A network that looks across the edge would draw it into the visible side
as a dark fringe; an area of the neighbours' colour gives it nothing to draw.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from service.codecs.image import Pixels

REACH = 32
"""Pixels that visible colour is grown into the hidden; what is further away gets the visible pixels' mean. No network
here sees further than 36, and what lies near that bound has next to no weight."""

_STRIP_PIXELS = 1 << 20


def fill_hidden_colour(colour: Pixels, alpha: Pixels) -> None:
    """Fill `colour` [H,W,3] in place wherever `alpha` [H,W] is 0; every other pixel is left untouched.

    Each ring of hidden pixels takes the mean of its neighbours that are visible or in an earlier ring, so colour grows
    outward from the edge. Worked in strips of rows with REACH rows of context: the same result as on the whole, in
    little memory.
    """
    if alpha.all():
        return
    far_colour = _mean_of_visible(colour, alpha)
    height, width = alpha.shape
    rows = max(REACH, _STRIP_PIXELS // width)
    # A strip's context may hold rows that are filled already. That changes nothing: only hidden pixels are written, and
    # only visible ones are read.
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        if alpha[top:bottom].all():
            continue
        context = slice(max(0, top - REACH), min(height, bottom + REACH))
        grown = _grow(colour[context], alpha[context] > 0, far_colour)
        hidden = alpha[top:bottom] == 0
        inner = grown[top - context.start : bottom - context.start]
        colour[top:bottom][hidden] = inner[hidden]


def _grow(colour: Pixels, visible: npt.NDArray[np.bool_], far_colour: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """int32 [h,w,3]: the colour where visible, grown REACH rings into the hidden, `far_colour` beyond."""
    height, width = visible.shape
    known = np.pad(visible, 1).ravel()  # a frame of unknown pixels around, so that neighbours need no bounds
    grown = np.empty((height + 2, width + 2, 3), np.int32)
    grown[...] = far_colour
    grown[1:-1, 1:-1][visible] = colour[visible]
    flat = grown.reshape(-1, 3)
    inside = np.pad(np.ones_like(visible), 1).ravel()
    stride = width + 2
    around = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1])
    for ring in _rings(known, inside, around):
        total = np.zeros((len(ring), 3), np.int32)
        count = np.zeros((len(ring), 1), np.int32)
        for step in around:
            neighbour = ring + step
            from_known = known[neighbour, None]
            total += flat[neighbour] * from_known
            count += from_known
        flat[ring] = (total + count // 2) // count
        known[ring] = True
    return grown[1:-1, 1:-1]


def _rings(
    known: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_], around: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.int64]]:
    """Flat indices of the unknown pixels that touch a known one, up to REACH times; the caller makes them known."""
    touched = np.zeros_like(known)
    edge = np.flatnonzero(known)
    for _ in range(REACH):
        touched[:] = False
        for step in around:
            touched[edge + step] = True
        edge = np.flatnonzero(touched & inside & ~known)
        if not edge.size:
            return
        yield edge


def _mean_of_visible(colour: Pixels, alpha: Pixels) -> npt.NDArray[np.int32]:
    """int32 [3]: the mean colour of pixels that can be seen; 0 where none can."""
    total, count = np.zeros(3, np.int64), 0
    rows = max(1, _STRIP_PIXELS // alpha.shape[1])
    for top in range(0, alpha.shape[0], rows):
        visible = alpha[top : top + rows] > 0
        total += colour[top : top + rows][visible].sum(axis=0, dtype=np.int64)
        count += int(visible.sum())
    return (total // max(1, count)).astype(np.int32)
