"""3,000 damaged files: whatever is done to the bytes, an error of ours with a 4xx status comes out, or a picture."""

import random
from collections import Counter

import numpy as np
import pytest

from service.codecs import ImageLimits, check_header, decode, read_header
from service.errors import ServiceError
from tests.service.codecs.samples import STILLS, animated

MUTANTS = 3_000
BATCHES = 10
LIMITS = ImageLimits(max_input_pixels=1_000_000, max_side=16_384)
NUMBERS = (0, 1, 2, 0x7F, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


@pytest.fixture(scope="module")
def originals() -> list[bytes]:
    return [make() for make in STILLS.values()] + [animated(form) for form in ("PNG", "WEBP", "AVIF", "TIFF")]


def flip_bits(data: bytearray, rng: random.Random, _originals: list[bytes]) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random, _originals: list[bytes]) -> None:
    del data[rng.randrange(len(data)) :]


def splice(data: bytearray, rng: random.Random, originals: list[bytes]) -> None:
    other = rng.choice(originals)
    data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]


def edit_header(data: bytearray, rng: random.Random, _originals: list[bytes]) -> None:
    at, size = rng.randrange(min(len(data), 80)), rng.choice((1, 2, 4))
    number = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))


def edit_anywhere(data: bytearray, rng: random.Random, _originals: list[bytes]) -> None:
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 4))
    number = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))


def cut_out(data: bytearray, rng: random.Random, _originals: list[bytes]) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 60)]


def repeat_a_piece(data: bytearray, rng: random.Random, _originals: list[bytes]) -> None:
    at, source = rng.randrange(len(data)), rng.randrange(len(data))
    data[at:at] = data[source : source + rng.randint(1, 60)]


MUTATIONS = (flip_bits, truncate, splice, edit_header, edit_anywhere, cut_out, repeat_a_piece)


def mutant(seed: int, originals: list[bytes]) -> bytes:
    rng = random.Random(seed)
    data = bytearray(rng.choice(originals))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if data:
            rng.choice(MUTATIONS)(data, rng, originals)
    return bytes(data)


def refusal_of(data: bytes) -> ServiceError | None:
    """The error that the way from bytes to pixels ends in, or None."""
    try:
        header = read_header(data)
        check_header(header, LIMITS)
        image = decode(data, header)
    except ServiceError as error:
        return error
    assert image.colour.shape == (header.height, header.width, 3)
    assert image.colour.dtype == (np.uint16 if header.bits == 16 else np.uint8)
    return None


@pytest.mark.parametrize("batch", range(BATCHES))
def test_only_errors_of_ours_come_out(batch: int, originals: list[bytes]) -> None:
    ends: Counter[str] = Counter()
    for seed in range(batch, MUTANTS, BATCHES):
        data = mutant(seed, originals)
        refusal = refusal_of(data)
        if refusal:
            assert 400 <= refusal.status < 500, f"mutant {seed}: {refusal!r}"
            assert refusal.detail
        ends[refusal.code if refusal else "decoded"] += 1
    # The mutations reach the decoders: some files survive, and more than one kind of error is met.
    assert ends["decoded"] > 10
    assert len(ends) > 3
