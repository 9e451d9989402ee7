"""The networks, one file per family. FAMILIES is the registry: a family is served because it has a line here."""

from models.config import NetworkConfig
from models.edsr import EdsrConfig

FAMILIES: dict[str, type[NetworkConfig]] = {
    "edsr": EdsrConfig,
}

__all__ = ["FAMILIES", "EdsrConfig", "NetworkConfig"]
