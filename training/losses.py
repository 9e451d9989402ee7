"""Losses, one function each, as the papers write them: tensors in, a scalar out.

Reductions: pixel losses are means over all elements; adversarial ones over the batch; flow penalties one root per
pair of frames, then the mean over the batch.
"""

import torch
from torch.nn import functional as F

HUBER_EPSILON = 0.01  # VESPCN section 3.2
POOL = 4  # HR pixels per LR pixel of the degradation GAN


def l1(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean absolute error (EDSR section 3.3)."""
    return F.l1_loss(sr, hr)


def mse(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """Mean squared error (SRGAN equation 4, ESPCN equation 4)."""
    return F.mse_loss(sr, hr)


def adversarial_generator(fake: torch.Tensor) -> torch.Tensor:
    """-log D(G(x)) of logits [N, 1]: the non-saturating form (SRGAN equation 6)."""
    return F.softplus(-fake).mean()


def adversarial_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """-log D(real) - log(1 - D(fake)) of logits [N, 1] (SRGAN equation 2), no label smoothing."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """-D(fake) of scores [N, 1] (degradation GAN, section 3.3)."""
    return -fake.mean()


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Scores [N, 1] are pushed above 1 for real images and below -1 for made ones, no further."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def pooled_mse(lr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """L2 between [N, C, H, W] and [N, C, 4H, 4W] averaged 4x4: what High-to-Low must stay close to."""
    return F.mse_loss(lr, F.avg_pool2d(hr, POOL))


def flow_huber(flow: torch.Tensor, epsilon: float = HUBER_EPSILON) -> torch.Tensor:
    """Smoothness of flow [..., 2, H, W]: sqrt(epsilon + sum of squared differences of neighbouring pixels).

    Forward differences along both axes of both components (VESPCN section 3.2, Huber's loss approximated). The paper's
    formula is for one pair of frames: one root per pair, each over the sum of its pixels, and the mean of the roots.
    """
    across = (flow[..., 1:] - flow[..., :-1]).square().sum(dim=(-3, -2, -1))
    down = (flow[..., 1:, :] - flow[..., :-1, :]).square().sum(dim=(-3, -2, -1))
    return (epsilon + across + down).sqrt().mean()


def motion(frames: torch.Tensor, flow: torch.Tensor, *, beta: float, weight: float) -> torch.Tensor:
    """Sum over neighbours of beta * MSE of the warp + weight * `flow_huber` per pixel (VESPCN equations 3 and 5).

    The paper's squared norm is a sum over pixels. The mean of it goes with the penalty divided by their number: beside
    a mean, the whole penalty of 33x33 pixels would be a thousand times too strong, and the flow would stay at nothing.

    `frames` [N, D, H, W]: compensated neighbours around the middle one; `flow` [N, D - 1, 2, H, W] in the paper's
    unit, in which 1 is the largest displacement.
    """
    middle = frames.shape[1] // 2
    centre = frames[:, middle : middle + 1]
    neighbours = torch.cat([frames[:, :middle], frames[:, middle + 1 :]], dim=1)
    warp = F.mse_loss(neighbours, centre.expand_as(neighbours))
    return flow.shape[1] * (beta * warp + weight * flow_huber(flow) / centre[0].numel())
