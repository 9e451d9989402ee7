"""What a video's numbers are taken for where its file does not say: as players do, and said in the result."""

from service.video.records import Colour

STUDIO, FULL = 1, 2
RGB, BT709, BT601 = 0, 1, 6
KNOWN_MATRICES = frozenset((1, 4, 5, 6, 7, 9, 10))
HD_LINES = 720


def explicit(colour: Colour, *, lines: int) -> Colour:
    """The colour that frames of so many lines are taken for: BT.709 from 720 lines on, BT.601 below.

    The result is marked with it, for it has more lines, and would be taken for something else. Primaries and transfer
    stay as they are; the result of an RGB source is BT.709's YCbCr.
    """
    matrix = colour.matrix
    if matrix == RGB:
        matrix = BT709
    elif matrix not in KNOWN_MATRICES:
        matrix = BT709 if lines >= HD_LINES else BT601
    return Colour(colour.primaries, colour.transfer, matrix, FULL if colour.range == FULL else STUDIO)
