"""What `python -m export fetch` can get: weights whose publishers say the digest of their files.

The official files of EDSR and MDSR carry the first 8 hexadecimal digits of their sha256 in their names, as torch.hub
has it. Files that nobody states a digest of cannot be verified and are not listed; `import` reads them
(docs/importing.md).
"""

from dataclasses import dataclass

OFFICIAL = "https://cv.snu.ac.kr/research/EDSR/models"
# The code's licence is MIT; of the weights the authors say nothing, and their training images are for research only.
OFFICIAL_LICENCE = "not stated (code MIT, trained on DIV2K)"


@dataclass(frozen=True)
class Entry:
    """Weights under one name. `files` maps a file's name to the scales that it serves; they lie under `url`."""

    name: str
    title: str
    url: str
    files: dict[str, tuple[int, ...]]
    licence: str

    @property
    def scales(self) -> tuple[int, ...]:
        """All scales, in order."""
        return tuple(sorted(scale for scales in self.files.values() for scale in scales))


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "edsr-baseline-official",
        "EDSR baseline, 16 blocks of 64",
        OFFICIAL,
        {
            "edsr_baseline_x2-1bc95232.pt": (2,),
            "edsr_baseline_x3-abf2a44e.pt": (3,),
            "edsr_baseline_x4-6b446fab.pt": (4,),
        },
        OFFICIAL_LICENCE,
    ),
    Entry(
        "edsr-official",
        "EDSR, 32 blocks of 256",
        OFFICIAL,
        {"edsr_x2-0edfb8a3.pt": (2,), "edsr_x3-ea3ef2c6.pt": (3,), "edsr_x4-4f62e9ef.pt": (4,)},
        OFFICIAL_LICENCE,
    ),
    Entry(
        "mdsr-baseline-official",
        "MDSR baseline, 16 blocks of 64",
        OFFICIAL,
        {"mdsr_baseline-a00cab12.pt": (2, 3, 4)},
        OFFICIAL_LICENCE,
    ),
    Entry("mdsr-official", "MDSR, 80 blocks of 64", OFFICIAL, {"mdsr-4a78bedf.pt": (2, 3, 4)}, OFFICIAL_LICENCE),
)
