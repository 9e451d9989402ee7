"""VGG19 up to ReLU5_4: Simonyan and Zisserman, ICLR 2015, configuration E, with torchvision's parameter names."""

import torch
from torch import nn

# Convolutions of each of the five groups; a max pool lies between groups, none after the last.
GROUPS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, what torchvision's weights were trained with
DEVIATION = (0.229, 0.224, 0.225)


class Vgg19(nn.Module):
    """phi(5,4) of the SRGAN paper: the fourth convolution of group 5 after its ReLU, before the pool.

    That is torchvision's features[:36]; `features.34` is the last convolution.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self._layers = _layers()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """RGB in [0, 1], [N, 3, H, W], to [N, 512, H/16, W/16]."""
        found: torch.Tensor = self._layers((images - self.mean) / self.deviation)
        return found

    def load_torchvision(self, state: dict[str, torch.Tensor]) -> None:
        """Takes the convolutions of a torchvision VGG19; its classifier is not needed and may be there.

        Raises:
            ValueError: keys or shapes are not those of a VGG19.
        """
        prefix = "features."
        given = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        try:
            self._layers.load_state_dict(given)
        except RuntimeError as error:
            raise ValueError(f"not a torchvision VGG19 (features.0 to features.34): {error}") from error


def _layers() -> nn.Sequential:
    layers: list[nn.Module] = []
    width = 3
    for index, (features, convolutions) in enumerate(GROUPS):
        if index:
            layers.append(nn.MaxPool2d(2))
        for _ in range(convolutions):
            # Not in place: the first ReLU would write into what the normalisation's gradient needs.
            layers += [nn.Conv2d(width, features, 3, padding=1), nn.ReLU()]
            width = features
    return nn.Sequential(*layers)
