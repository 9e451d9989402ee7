"""Does an imported network super-resolve at all? A constant that no file tells, taken wrongly, loads without an error
and gives garbage: a residual scale, BatchNorm's epsilon, the range of the answer.
"""

import numpy as np
import torch

from export.importers.layout import Imported
from export.photographs import centre_crop, photographs

SIDE = 64
LEAST_DB = 20.0  # trained networks reach 30 and more, a full EDSR with a wrong residual scale less than 10


def consistency_db(imported: Imported) -> float:
    """PSNR in dB between a photograph and the network's answer for it, reduced back to its size by averaging."""
    config = imported.config
    scale = min(config.scales)
    lr = torch.from_numpy(centre_crop(photographs()["astronaut"], SIDE)).permute(2, 0, 1).float()[None]
    gain = config.value_range / 255
    with torch.inference_mode():
        sr = config.at_scale(imported.network, scale)(lr * gain) / gain
    error = torch.nn.functional.avg_pool2d(sr.clamp(0, 255), scale) - lr
    return float(20 * np.log10(255) - 10 * np.log10(float(error.square().mean()) + 1e-12))


def implausible(imported: Imported) -> str | None:
    """A warning, or None where the network's answer looks like what went in, or need not: it is for faces only."""
    if not imported.config.tileable:
        return None
    reached = consistency_db(imported)
    if reached >= LEAST_DB:
        return None
    residual_scale = getattr(imported.config, "residual_scale", None)
    hint = f" Is the residual scale, taken as {residual_scale}, right?" if residual_scale is not None else ""
    return (
        f"the network's answer for a photograph, reduced back to its size, is only {reached:.1f} dB from it (expected: "
        f"{LEAST_DB:.0f} or more).{hint}"
    )
