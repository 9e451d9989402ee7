"""The size of the frames in an AV1 stream, from its sequence headers: what a decoder will really allocate.

AV1 Bitstream & Decoding Process Specification, 5.3 (OBUs) and 5.5 (sequence header); the names are the specification's.
"""

from collections.abc import Iterator

from service.codecs.border import damaged

_MAX_UNITS = 100  # a still picture has about five
_SEQUENCE_HEADER = 1


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise damaged("AVIF", "its AV1 sequence header is cut short")
        return self._value >> self._left & ((1 << count) - 1)


def frame_sizes(stream: memoryview) -> Iterator[tuple[int, int]]:
    """(width, height) that each sequence header of the stream allows its frames. Raises UndecodableImage."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(stream):
            return
        header = stream[at]
        at += 2 if header & 4 else 1
        size = len(stream) - at
        if header & 2:
            size, at = _leb128(stream, at)
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            yield _largest_frame(_Bits(bytes(stream[at : at + min(size, 1024)])))
        at += size
    raise damaged("AVIF", f"its AV1 stream has more than {_MAX_UNITS} units")


def _leb128(stream: memoryview, at: int) -> tuple[int, int]:
    """(value, offset behind it), 4.10.5."""
    value = 0
    for index, byte in enumerate(stream[at : at + 8]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise damaged("AVIF", "its AV1 stream is cut short")


def _largest_frame(bits: _Bits) -> tuple[int, int]:
    bits.take(3)  # seq_profile
    bits.take(1)  # still_picture
    if bits.take(1):  # reduced_still_picture_header
        bits.take(5)  # seq_level_idx
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(64)  # num_units_in_display_tick, time_scale
        if bits.take(1):  # equal_picture_interval
            _skip_uvlc(bits)
        if bits.take(1):  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display_delay = bits.take(1)  # initial_display_delay_present_flag
    for _ in range(bits.take(5) + 1):  # operating_points_cnt_minus_1
        bits.take(12)  # operating_point_idc
        if bits.take(5) > 7:  # seq_level_idx
            bits.take(1)  # seq_tier
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)


def _skip_uvlc(bits: _Bits) -> None:
    """4.10.3."""
    zeros = 0
    while not bits.take(1):
        zeros += 1
    bits.take(zeros if zeros < 32 else 0)
