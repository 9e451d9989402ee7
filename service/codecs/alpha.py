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
        inner = grown[top - context.start : bottom - context.start]
        np.copyto(colour[top:bottom], inner, where=(alpha[top:bottom] == 0)[..., None], casting="unsafe")


def _grow(colour: Pixels, visible: npt.NDArray[np.bool_], far_colour: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """int32 [h,w,3]: the colour where visible, grown REACH rings into the hidden, `far_colour` beyond."""
    height, width = visible.shape
    # A frame of one pixel, neither known nor to be filled, so that neighbours need no bounds.
    known = np.pad(visible, 1).ravel()
    hidden = np.pad(~visible, 1).ravel()
    grown = np.empty((height + 2, width + 2, 3), np.int32)
    grown[...] = far_colour
    np.copyto(grown[1:-1, 1:-1], colour, where=visible[..., None])
    flat = grown.reshape(-1, 3)
    stride = width + 2
    around = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1])
    for ring in _rings(known, hidden, around):
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
    known: npt.NDArray[np.bool_], hidden: npt.NDArray[np.bool_], around: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.int64]]:
    """Flat indices of the hidden pixels that touch a known one, up to REACH times; the caller makes them known.

    `hidden` is used up: it loses each ring.
    """
    touching = np.zeros_like(known)
    margin = int(around[-1])
    for step in around:
        touching[margin:-margin] |= known[margin + step : len(known) - margin + step]
    ring = np.flatnonzero(touching & hidden)
    last_to_name = np.empty(len(known), np.int32)
    for _ in range(REACH):
        if not ring.size:
            return
        hidden[ring] = False
        yield ring
        named = (ring[:, None] + around).ravel()
        named = named[hidden[named]]
        # Each pixel is named by up to eight neighbours: of the equal entries the one that wrote last stays.
        order = np.arange(len(named), dtype=np.int32)
        last_to_name[named] = order
        ring = named[last_to_name[named] == order]


def _mean_of_visible(colour: Pixels, alpha: Pixels) -> npt.NDArray[np.int32]:
    """int32 [3]: the mean colour of pixels that can be seen; 0 where none can."""
    total, count = np.zeros(3, np.int64), 0
    rows = max(1, _STRIP_PIXELS // alpha.shape[1])
    for top in range(0, alpha.shape[0], rows):
        visible = alpha[top : top + rows] > 0
        for channel in range(3):
            total[channel] += np.sum(colour[top : top + rows, :, channel] * visible, dtype=np.int64)
        count += int(np.count_nonzero(visible))
    return (total // max(1, count)).astype(np.int32)
