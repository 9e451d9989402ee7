"""One small config or more of every family, and what the shared tests need to run any of them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from models import (
    EdsrConfig,
    EspcnConfig,
    H2lConfig,
    L2hConfig,
    MdsrConfig,
    NetworkConfig,
    SrganConfig,
    SrresnetConfig,
    VespcnConfig,
)

# A new family needs a line here, or test_families.py fails. The name before the first space is the family's.
CASES: dict[str, NetworkConfig] = {
    "edsr": EdsrConfig(2, blocks=2, features=4),
    "mdsr": MdsrConfig(blocks=2, features=4),
    "mdsr compact": MdsrConfig(blocks=1, features=4, residual_scale=0.1, compact=True),
    "srresnet": SrresnetConfig(4, blocks=2, features=4),
    "srresnet x8": SrresnetConfig(8, blocks=1, features=4),
    "srresnet options": SrresnetConfig(
        2, blocks=1, features=4, prelu="channel", conv_bias=True, norm_eps=1e-3, up_features=6, tanh=True
    ),
    "srgan": SrganConfig(4, blocks=1, features=4),
    "h2l": H2lConfig(features=4),
    "h2l map": H2lConfig(features=4, noise="map"),
    "l2h": L2hConfig(features=6, narrow_features=4, head_features=4, blocks=2, narrow_blocks=2),
    "l2h equivariant": L2hConfig(
        "equivariant", features=6, narrow_features=4, head_features=4, blocks=2, narrow_blocks=2
    ),
    "espcn": EspcnConfig(3, features=6, narrow_features=4),
    "vespcn": VespcnConfig(3, layers=5, features=6, max_disp=3.0),
    "vespcn single": VespcnConfig(2, frames=1, layers=4, features=6, motion=False),
    "vespcn early": VespcnConfig(2, frames=7, layers=3, features=6, motion=False),
    "vespcn slow": VespcnConfig(4, frames=5, layers=6, features=6, fusion="slow", motion=False),
    "vespcn slow shared": VespcnConfig(2, frames=3, layers=3, features=6, fusion="slow_shared", max_disp=1.0),
}


def scaled_cases() -> list[tuple[NetworkConfig, int]]:
    """Every case at every scale that it serves."""
    return [(config, scale) for config in CASES.values() for scale in config.scales]


def inputs_for(
    config: NetworkConfig, *, batch: int = 1, height: int = 16, width: int = 16, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Random pixels for `batch` answers of `height` x `width` LR pixels (16x16 for the noise vector), and noise."""
    torch.manual_seed(1)
    enlarge = config.scales[0] if config.direction == "down" else 1
    size = (height * enlarge, width * enlarge)
    pixels = torch.rand(batch, config.input_channels, *size, dtype=dtype) * config.value_range
    if isinstance(config, H2lConfig):
        return pixels, torch.randn(config.noise_shape(batch, *size), dtype=dtype)
    return (pixels,)


def output_shape(config: NetworkConfig, scale: int, *, batch: int, height: int, width: int) -> tuple[int, ...]:
    """What the class docstring of `NetworkConfig` promises."""
    enlarge = scale if config.direction == "up" else 1
    return (batch, config.output_channels, height * enlarge, width * enlarge)


def randomised(network: nn.Module) -> nn.Module:
    """In eval mode, with no weight left at zero and BatchNorm statistics that do something."""
    torch.manual_seed(2)
    for tensor in trainable(network):
        tensor.data += 0.1 * torch.randn_like(tensor)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = 0.5 + torch.rand(module.num_features)
    return network.eval()


def positive(network: nn.Module) -> nn.Module:
    """In double precision and eval mode, all weights positive and small: gradients neither cancel nor saturate."""
    torch.manual_seed(3)
    for name, tensor in network.double().named_parameters():
        fan_in = max(1, tensor[0].numel())
        tensor.data = (0.5 + torch.rand_like(tensor)) * 0.5 / fan_in
        if "mean" in name:
            tensor.data.zero_()  # what is subtracted from the pixels, which ReLUs would then stop
    return network.eval()


def trainable(network: nn.Module) -> Iterator[Tensor]:
    """Parameters that training changes."""
    return (parameter for parameter in network.parameters() if parameter.requires_grad)
