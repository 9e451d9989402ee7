"""Parity lets rounding pass and nothing else: checked with a graph whose answer is known bit for bit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from export.errors import ParityFailed
from export.parity import MAX_DIFFERING, check_parity
from export.pixels import Pixels
from service.sessions import Session
from tests import oracles


class Nearest(nn.Module):
    """oracles.nearest_graph(2) in PyTorch, plus an error: `error` is added where `where(sr)` says so."""

    def __init__(self, error: float = 0, share: float = 1.0) -> None:
        super().__init__()
        self.error, self.share = error, share

    def forward(self, lr: Tensor) -> Tensor:
        sr = lr.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2).double()
        wrong = torch.arange(sr[..., 0].numel()).reshape(sr.shape[:-1]) < self.share * sr[..., 0].numel()
        direction = torch.where(sr > sr.new_tensor(128 if lr.dtype == torch.uint8 else 0.5), -1, 1)
        return (sr + self.error * direction * wrong[..., None]).to(lr.dtype)


def nearest(tmp_path: Path, pixels: Pixels = "uint8") -> Session:
    path = oracles.save_graph(tmp_path, "nearest", 2, oracles.nearest_graph(2, pixels))
    return Session.open(path, device="cpu", threads=1)


@pytest.mark.parametrize("pixels", ["uint8", "float32"])
def test_equal_answers_pass_with_no_difference_at_all(tmp_path: Path, pixels: Pixels) -> None:
    parity = check_parity(nearest(tmp_path, pixels), Nearest())
    assert (parity.difference, parity.differing) == (0, 0)


def test_one_grey_level_in_a_few_pixels_is_rounding(tmp_path: Path) -> None:
    parity = check_parity(nearest(tmp_path), Nearest(1, MAX_DIFFERING / 2))
    assert parity.difference == 1
    assert 0 < parity.differing < MAX_DIFFERING


def test_one_grey_level_in_more_pixels_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParityFailed, match="pixels are a grey level off"):
        check_parity(nearest(tmp_path), Nearest(1, MAX_DIFFERING * 2))


def test_two_grey_levels_are_an_error_even_in_one_pixel(tmp_path: Path) -> None:
    with pytest.raises(ParityFailed, match="2 grey levels off"):
        check_parity(nearest(tmp_path), Nearest(2, 1e-6))


def test_floats_may_differ_by_less_than_a_16_bit_level(tmp_path: Path) -> None:
    check_parity(nearest(tmp_path, "float32"), Nearest(0.5 / 65535))
    with pytest.raises(ParityFailed, match="grey levels off"):
        check_parity(nearest(tmp_path, "float32"), Nearest(2 / 65535))


def test_broken_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParityFailed, match="PyTorch answers NaN"):
        check_parity(nearest(tmp_path, "float32"), Nearest(float("nan")))


def test_another_size_is_an_error(tmp_path: Path) -> None:
    class Larger(nn.Module):
        def forward(self, lr: Tensor) -> Tensor:
            return lr.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)

    with pytest.raises(ParityFailed, match=r"the graph answers \(1, 2, 2, 3\), PyTorch \(1, 3, 3, 3\)"):
        check_parity(nearest(tmp_path), Larger())
