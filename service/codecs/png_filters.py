"""PNG's filters (section 9): Up alone, which costs next to nothing, or for each row the one that leaves the least.

The least is the sum of absolute differences, read as signed bytes: the heuristic of section 12.7.
"""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

NONE, SUB, UP, AVERAGE, PAETH = range(5)
AT_ONCE_BYTES = 1 << 17  # what is compared at a time takes about twenty times as much


def up(rows: Bytes, above: Bytes) -> Bytes:
    """[N, B] and the row above them [B] -> [N, 1 + B]: the filter's number and the differences to the row above."""
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = UP
    np.subtract(rows[0], above, out=filtered[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def least(rows: Bytes, above: Bytes, *, pixel_bytes: int) -> Bytes:
    """As `up`, each row by the filter that leaves the least; `pixel_bytes` is the distance to the pixel on the left."""
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    count = max(AT_ONCE_BYTES // rows.shape[1], 1)
    for top in range(0, len(rows), count):
        part = rows[top : top + count]
        before = np.concatenate([above[None] if top == 0 else rows[top - 1 : top], part[:-1]])
        filtered[top : top + count] = _least(part, before, pixel_bytes)
    return filtered


def _least(rows: Bytes, above: Bytes, pixel_bytes: int) -> Bytes:
    left, corner = _shifted(rows, pixel_bytes), _shifted(above, pixel_bytes)
    mean = ((left.astype(np.uint16) + above) >> 1).astype(np.uint8)
    candidates = [rows, rows - left, rows - above, rows - mean, rows - _paeth(left, above, corner)]
    rests = [np.abs(candidate.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for candidate in candidates]
    chosen = np.argmin(rests, axis=0)
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = chosen
    for number, candidate in enumerate(candidates):
        filtered[chosen == number, 1:] = candidate[chosen == number]
    return filtered


def _shifted(rows: Bytes, pixel_bytes: int) -> Bytes:
    """Each byte's counterpart in the pixel on the left, 0 before the first."""
    shifted = np.zeros_like(rows)
    shifted[:, pixel_bytes:] = rows[:, :-pixel_bytes]
    return shifted


def _paeth(left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
    """Of the three the one nearest to left + above - corner; of equals, in this order (section 9.4)."""
    a, b, c = (each.astype(np.int16) for each in (left, above, corner))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, above, corner))
