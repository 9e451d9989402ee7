"""Feature networks load what was published, see what is in a picture, and a loss of features is what it says."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import nn

from training.efficientnet import EfficientNetLite0
from training.perceptual import (
    EFFICIENTNET_SCALE,
    FeatureLoss,
    WeightsMissing,
    efficientnet_file,
    feature_loss,
    load_efficientnet,
    load_vgg19,
)
from training.recipe import Perceptual
from training.vgg import MEAN, Vgg19

CAT, COFFEE = {281, 282, 285}, {967}  # ImageNet: tabby, tiger cat, Egyptian cat; espresso


@pytest.fixture(scope="module")
def efficientnet() -> EfficientNetLite0:
    try:
        return load_efficientnet(efficientnet_file())
    except WeightsMissing as error:
        pytest.skip(str(error))


def photograph(name: str) -> torch.Tensor:
    pixels = getattr(skimage.data, name)()
    side = min(pixels.shape[:2])
    top, left = ((size - side) // 2 for size in pixels.shape[:2])
    square = Image.fromarray(pixels[top : top + side, left : left + side]).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize(("name", "right"), [("chelsea", CAT), ("coffee", COFFEE)])
def test_efficientnet_sees_what_is_in_the_picture(efficientnet: EfficientNetLite0, name: str, right: set[int]) -> None:
    with torch.no_grad():
        best = efficientnet(photograph(name)).softmax(dim=1).topk(5)
    assert int(best.indices[0, 0]) in right
    assert float(sum(p for p, i in zip(best.values[0], best.indices[0].tolist(), strict=True) if i in right)) > 0.8


def test_efficientnets_scale_is_that_of_its_features(efficientnet: EfficientNetLite0) -> None:
    with torch.no_grad():
        squares = [
            efficientnet.features(photograph(name)).square().mean()
            for name in ("chelsea", "coffee", "astronaut", "rocket")
        ]
    assert float(torch.stack(squares).mean().sqrt()) == pytest.approx(EFFICIENTNET_SCALE, rel=0.02)


def test_a_worse_picture_is_farther_in_features(efficientnet: EfficientNetLite0) -> None:
    loss = FeatureLoss(efficientnet, EFFICIENTNET_SCALE)
    sharp = photograph("chelsea")[..., 60:156, 60:156]
    blurred = nn.functional.interpolate(nn.functional.avg_pool2d(sharp, 4), scale_factor=4, mode="bilinear")
    noisy = (sharp + 0.01 * torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    assert loss(sharp, sharp).item() == 0
    assert 0 < loss(noisy, sharp).item() < loss(blurred, sharp).item()
    loss(noisy, sharp).backward()
    assert noisy.grad is not None
    assert noisy.grad.abs().max() > 0


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not an EfficientNet-Lite0"):
        load_efficientnet(tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not a torchvision VGG19"):
        load_vgg19(str(tmp_path / "other.pth"))


def test_missing_weights_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="torchvision"):
        feature_loss(Perceptual(backbone="vgg19"))
    with pytest.raises(WeightsMissing, match="torchvision"):
        feature_loss(Perceptual(backbone="vgg19", weights=str(tmp_path / "absent.pth")))


def torchvision_names() -> list[tuple[int, int, int]]:
    """(index, inputs, outputs) of the convolutions in torchvision's vgg19().features."""
    outputs = [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    indices = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    return list(zip(indices, [3, *outputs[:-1]], outputs, strict=True))


def test_vgg19_takes_torchvisions_names_and_leaves_the_classifier(tmp_path: Path) -> None:
    state: dict[str, torch.Tensor] = {}
    for index, inputs, outputs in torchvision_names():
        # A network that hands on its first channel: the centre tap of a delta kernel.
        weight = torch.zeros(outputs, inputs, 3, 3)
        weight[0, 0, 1, 1] = 1
        state |= {f"features.{index}.weight": weight, f"features.{index}.bias": torch.zeros(outputs)}
    torch.save({**state, "classifier.6.bias": torch.zeros(1000)}, tmp_path / "vgg19.pth")
    network = load_vgg19(str(tmp_path / "vgg19.pth"))
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = network.features(images)
    # Four pools and ReLUs of the red channel, normalised as ImageNet's.
    red = ((images[:, :1] - MEAN[0]) / 0.229).clamp(min=0)
    assert found.shape == (1, 512, 2, 2)
    assert torch.allclose(found[:, :1], nn.functional.max_pool2d(red, 16))
    assert not found[:, 1:].any()


def test_vgg19_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = Vgg19()
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_024_384


def test_features_are_divided_by_the_scale_before_they_are_squared() -> None:
    class Twice:
        def features(self, images: torch.Tensor) -> torch.Tensor:
            return images * 2

    sr, hr = torch.tensor([1.0, 4.0]).view(1, 1, 1, 2), torch.tensor([0.0, 2.0]).view(1, 1, 1, 2)
    assert FeatureLoss(Twice(), 4.0)(sr, hr).item() == pytest.approx((0.25 + 1.0) / 2)
