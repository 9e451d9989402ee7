"""Networks that look like ours, or are often met, and are refused by name rather than by what does not fit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Refused:
    """A network that is not read: the names of its tensors match `pattern` (somewhere), and why."""

    title: str
    pattern: re.Pattern[str]
    reason: str


REFUSED = (
    Refused(
        "RCAN",
        re.compile(r"^body\.\d+\.(?:body\.\d+\.body|residual_group)\."),
        "its channel attention sees the whole image, so no halo makes its tiles match",
    ),
    Refused(
        "ESRGAN or Real-ESRGAN",
        re.compile(r"(?i)\brdb1\.conv1\."),
        "it is another network than SRGAN",
    ),
    Refused(
        "BasicSR's MSRResNet",
        re.compile(r"^(?:recon_trunk\.\d+\.conv1|upconv1)\."),
        "it is not the SRResNet of Ledig et al.: no BatchNorm, LeakyReLU, 3x3 ends and a bilinear skip",
    ),
    Refused(
        "a VESPCN with a learned convolution in place of the warp",
        re.compile(r"^t\d_course_warp\.|^EF1\."),
        "the paper's warps luma by bilinear sampling; this one mixes RGB frames and flow by a 3x3 convolution",
    ),
    Refused(
        "a discriminator or a classifier",
        re.compile(r"^(?:features\.\d+|classifier\.\d+|linear1|dense(?:_\d+)?)[./]"),
        "only a generator enlarges pictures",
    ),
)


def refused(tensors: Mapping[str, Tensor]) -> Refused | None:
    """The first of `REFUSED` that the names match, or None."""
    return next((known for known in REFUSED if any(known.pattern.search(name) for name in tensors)), None)
