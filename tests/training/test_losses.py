"""Each loss against a value worked out by hand."""

import math

import pytest
import torch

from training import losses

LOG2 = math.log(2)


def test_l1_and_mse_are_means_over_all_elements() -> None:
    sr, hr = torch.tensor([[[[1.0, 5.0]]]]), torch.tensor([[[[2.0, 2.0]]]])
    assert losses.l1(sr, hr).item() == 2.0  # (1 + 3) / 2
    assert losses.mse(sr, hr).item() == 5.0  # (1 + 9) / 2


def test_an_undecided_discriminator_costs_both_sides_the_log_of_two() -> None:
    undecided = torch.zeros(4, 1)
    assert losses.adversarial_generator(undecided).item() == pytest.approx(LOG2)
    assert losses.adversarial_discriminator(undecided, undecided).item() == pytest.approx(2 * LOG2)


def test_adversarial_terms_by_hand() -> None:
    fake, real = torch.tensor([[-1.0], [2.0]]), torch.tensor([[3.0], [0.0]])

    def cost(probability: float) -> float:
        return -math.log(probability)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    generator = (cost(sigmoid(-1)) + cost(sigmoid(2))) / 2
    discriminator = (cost(sigmoid(3)) + cost(sigmoid(0))) / 2 + (cost(1 - sigmoid(-1)) + cost(1 - sigmoid(2))) / 2
    assert losses.adversarial_generator(fake).item() == pytest.approx(generator)
    assert losses.adversarial_discriminator(real, fake).item() == pytest.approx(discriminator)


def test_the_generator_still_learns_from_a_discriminator_that_is_sure() -> None:
    fake = torch.full((1, 1), -30.0, requires_grad=True)
    losses.adversarial_generator(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1.0)  # log(1 - D) would give almost nothing


def test_the_hinge_by_hand() -> None:
    real, fake = torch.tensor([[2.0], [0.25]]), torch.tensor([[-3.0], [0.5]])
    assert losses.hinge_discriminator(real, fake).item() == (0 + 0.75) / 2 + (0 + 1.5) / 2
    assert losses.hinge_generator(fake).item() == 1.25


def test_the_pixel_target_of_high_to_low_is_the_mean_of_each_four_by_four() -> None:
    hr = torch.zeros(1, 1, 4, 8)
    hr[..., :4] = torch.arange(16.0).view(4, 4)  # mean 7.5
    lr = torch.tensor([[[[7.5, 2.0]]]])
    assert losses.pooled_mse(lr, hr).item() == 2.0  # (0 + 4) / 2


def test_constant_flow_costs_only_the_root_of_epsilon() -> None:
    flow = torch.full((3, 2, 2, 5, 4), 7.0)
    assert losses.flow_huber(flow).item() == pytest.approx(0.1)


def test_flow_differences_are_summed_under_one_root_per_pair() -> None:
    flow = torch.zeros(2, 1, 2, 2, 2)
    flow[0, 0, 0] = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # x: differs by 1 along both rows
    flow[0, 0, 1] = torch.tensor([[0.0, 0.0], [2.0, 0.0]])  # y: by 2 along the second row and the first column
    expected = (math.sqrt(0.01 + 1 + 1 + 4 + 4) + math.sqrt(0.01)) / 2
    assert losses.flow_huber(flow).item() == pytest.approx(expected)


def test_the_motion_loss_is_a_sum_over_neighbours_and_a_mean_over_pixels() -> None:
    frames = torch.tensor([1.0, 3.0, 6.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    flow = torch.zeros(1, 2, 2, 4, 4)
    warp = (1 - 3) ** 2 + (6 - 3) ** 2
    got = losses.motion(frames, flow, beta=0.5, weight=2.0).item()
    assert got == pytest.approx(0.5 * warp + 2.0 * 2 * 0.1 / 16)
