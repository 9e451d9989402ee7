"""Receptive fields of single layers, by hand; those of whole networks are proved by gradient in test_families.py."""

from models.reach import Span, radius


def test_convolutions_widen() -> None:
    assert Span(0, 0).conv() == Span(-1, 1)
    assert Span(2, 5).conv(9) == Span(-2, 9)
    assert Span(0, 0).conv(5, layers=3) == Span(-6, 6)


def test_strides_count_in_the_finer_grid() -> None:
    assert Span(1, 2).conv(stride=2) == Span(1, 5)
    assert Span(-1, 0).conv(5, stride=2) == Span(-4, 2)


def test_pixel_shuffles_round_down_on_both_sides_of_zero() -> None:
    assert Span(-1, 4).shuffle(2) == Span(-1, 2)
    assert Span(-4, 3).shuffle(4) == Span(-1, 0)


def test_bilinear_doubling_reads_two_pixels() -> None:
    assert Span(0, 0).bilinear_x2() == Span(-1, 0)  # at -0.25
    assert Span(1, 1).bilinear_x2() == Span(0, 1)  # at 0.25
    assert Span(-1, 4).bilinear_x2() == Span(-1, 2)


def test_displacements_and_side_ways_add_up() -> None:
    assert Span(0, 3).displaced(2) == Span(-2, 5)
    assert Span(0, 3).joined(Span(-1, 2)) == Span(-1, 3)


def test_the_radius_is_that_of_the_worst_pixel_and_side() -> None:
    assert radius(lambda span: span.conv(9)) == 4
    assert radius(lambda span: span.conv().shuffle(2), scale=2) == 1
    # 4 pixels share one of the coarser grid, whose convolution sees 4 to the left of the first, 3 + 4 for the last.
    assert radius(lambda span: Span(span.first // 4 * 4 - 4, span.last // 4 * 4 + 7), period=4) == 7
