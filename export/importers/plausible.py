"""Does an imported network super-resolve at all? A wrong residual scale loads without an error and gives garbage."""

import numpy as np
import torch

from export.importers.edsr import Imported
from export.photographs import centre_crop, photographs

SIDE = 64
LEAST_DB = 20.0  # trained networks reach 30 and more, a full EDSR with a wrong residual scale less than 10


def consistency_db(imported: Imported) -> float:
    """PSNR in dB between a photograph and the network's answer for it, reduced back to its size by averaging."""
    scale = imported.config.scale
    lr = torch.from_numpy(centre_crop(photographs()["astronaut"], SIDE)).permute(2, 0, 1).float()[None]
    with torch.inference_mode():
        sr = imported.network(lr).clamp(0, 255)
    error = torch.nn.functional.avg_pool2d(sr, scale) - lr
    return float(20 * np.log10(255) - 10 * np.log10(float(error.square().mean()) + 1e-12))


def implausible(imported: Imported) -> str | None:
    """A warning, or None where the network's answer looks like what went in."""
    reached = consistency_db(imported)
    if reached >= LEAST_DB:
        return None
    return (
        f"the network's answer for a photograph, reduced back to its size, is only {reached:.1f} dB from it (expected: "
        f"{LEAST_DB:.0f} or more). Is the residual scale, taken as {imported.config.residual_scale}, right?"
    )
