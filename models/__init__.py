"""The networks, one file per family. FAMILIES is the registry: a family is served because it has a line here."""

from models.config import NetworkConfig
from models.degradation import H2lConfig, L2hConfig
from models.edsr import EdsrConfig
from models.espcn import EspcnConfig
from models.mdsr import MdsrConfig
from models.srresnet import SrganConfig, SrresnetConfig
from models.vespcn import VespcnConfig

FAMILIES: dict[str, type[NetworkConfig]] = {
    "edsr": EdsrConfig,
    "mdsr": MdsrConfig,
    "srresnet": SrresnetConfig,
    "srgan": SrganConfig,
    "h2l": H2lConfig,
    "l2h": L2hConfig,
    "espcn": EspcnConfig,
    "vespcn": VespcnConfig,
}

__all__ = [
    "FAMILIES",
    "EdsrConfig",
    "EspcnConfig",
    "H2lConfig",
    "L2hConfig",
    "MdsrConfig",
    "NetworkConfig",
    "SrganConfig",
    "SrresnetConfig",
    "VespcnConfig",
]
