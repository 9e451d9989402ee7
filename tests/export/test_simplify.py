"""A traced graph loses what is idle and keeps what has weights of its own."""

from collections import Counter

import onnx
import torch
from torch import Tensor, nn

from export.pixels import with_pixels
from export.trace import trace
from models import SrganConfig
from tests import oracles


class Normed(nn.Module):
    """A convolution, BatchNorm with statistics that do something, and arithmetic that does nothing.

    Equal tensors would become one: hence two unlike ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.shuffle = nn.Conv2d(3, 12, 1), nn.BatchNorm2d(12), nn.PixelShuffle(2)
        self.norm.running_mean, self.norm.running_var = torch.arange(12.0), torch.arange(1.0, 13.0)

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.shuffle(self.norm(self.conv(lr * 1.0 + 0.0)))
        return sr


def test_batchnorm_keeps_its_weights_and_the_convolution_its_own() -> None:
    network = Normed().eval()
    module = with_pixels(network, config=SrganConfig(2), scale=2, pixels="float32")
    proto = trace(module, oracles.manifest("test", scale=2, pixels="float32"))
    assert Counter(node.op_type for node in proto.graph.node) == {
        "Transpose": 2,
        "Conv": 1,
        "BatchNormalization": 1,
        "DepthToSpace": 1,
    }
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert (tensors[f"network.{name}"] == tensor.numpy()).all(), name
