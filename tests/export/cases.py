"""Every family as small networks, exported once for all tests: tracing is what takes the time."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.store import Exported, export_checkpoint
from models import NetworkConfig
from models.checkpoint import save_checkpoint
from service.sessions import Session
from tests.export.examples import PROVENANCE
from tests.models import cases

# Those of the shared tests whose graphs differ in kind. The name before the first space is the family's.
NAMES = (
    "edsr",
    "mdsr",
    "srresnet options",
    "srgan",
    "h2l",
    "h2l map",
    "l2h",
    "l2h equivariant",
    "espcn",
    "vespcn",
    "vespcn single",
)
CASES: dict[str, NetworkConfig] = {name: cases.CASES[name] for name in NAMES}
SCALED = [(name, scale) for name, config in CASES.items() for scale in config.scales]


@dataclass
class FamilyStore:
    """A store that a case enters, under its name, when a test first asks for it."""

    path: Path
    checkpoints: Path
    exported: dict[str, Exported] = field(default_factory=dict)

    def export(self, name: str) -> Exported:
        """The case's files; tests leave them as they are."""
        if name not in self.exported:
            model, config = name.replace(" ", "-"), CASES[name]
            file = self.checkpoints / f"{model}.safetensors"
            network = cases.randomised(config.build())
            save_checkpoint(file, network, config=config, provenance=PROVENANCE | {"psnr": scores(config)})
            self.exported[name] = export_checkpoint(file, model=model, store=self.path)
        return self.exported[name]

    def session(self, name: str, scale: int, pixels: str = "uint8") -> Session:
        """The case's graph of one scale, in the class that serves it."""
        suffix = ".onnx" if pixels == "uint8" else ".float32.onnx"
        graphs = {path.name: path for path in self.export(name).graphs}
        return Session.open(graphs[f"x{scale}{suffix}"], device="cpu", threads=1)


def scores(config: NetworkConfig) -> dict[str, float]:
    """As training writes them: with the scale in the name only where there are several. x3 has 33 dB."""
    if len(config.scales) == 1:
        return {"Set5": 30.0 + config.scales[0]}
    return {f"Set5 x{scale}": 30.0 + scale for scale in config.scales}


def in_floats(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes as a float32 graph takes them."""
    return pixels.astype(np.float32) / np.float32(255)
