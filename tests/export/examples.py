"""Small networks with random weights: as real to the exporter as trained ones, and quick to trace."""

from pathlib import Path
from typing import Any

import torch

from models import EdsrConfig
from models.checkpoint import save_checkpoint
from models.edsr import Edsr

PROVENANCE: dict[str, Any] = {
    "recipe": "random",
    "sources": [{"name": "nothing", "licence": "CC0-1.0"}],
    "licence": "Apache-2.0",
    "psnr": {"Set5": 30.5},
}


def small_config(scale: int = 2, **changes: Any) -> EdsrConfig:  # noqa: ANN401 - any field
    return EdsrConfig(scale, **{"blocks": 2, "features": 8} | changes)


def small_edsr(config: EdsrConfig, *, seed: int = 0) -> Edsr:
    """Weights three times as large as PyTorch's, so that answers have contrast and are cut off at 0 and 255."""
    torch.manual_seed(seed)
    network = config.build().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not name.startswith(("sub_mean.", "add_mean.")):
                parameter.mul_(3)
    return network


def checkpoint_config(scale: int) -> EdsrConfig:
    """Of `small_checkpoint`: one block, because each further one makes tracing slower and shows nothing new."""
    return small_config(scale, blocks=1)


def small_checkpoint(path: Path, *, scale: int = 2, **provenance: Any) -> Path:  # noqa: ANN401 - any entry
    config = checkpoint_config(scale)
    save_checkpoint(path, small_edsr(config), config=config, provenance=PROVENANCE | provenance)
    return path
