"""SRResNet and SRGAN under this project's names, as ported from Keras, and what no file tells about them."""

import pytest
import torch
from torch import Tensor

from export.errors import ImportRefused
from export.importers import Options, import_published
from models import SrganConfig, SrresnetConfig
from tests.export.importers.examples import Lornatang, lively, official, pixels, state_file, without_counters

PORTED = SrresnetConfig(4, blocks=2, features=4, prelu="channel", conv_bias=True, norm_eps=1e-3, tanh=True)


def ported() -> dict[str, Tensor]:
    return without_counters(lively(PORTED.build()))


@torch.no_grad()
def test_a_port_from_keras_comes_back_with_keras_constants() -> None:
    imported = import_published(state_file(ported()))
    assert imported.config == PORTED
    assert torch.equal(imported.network(pixels() / 255), lively(PORTED.build())(pixels() / 255))


@pytest.mark.parametrize("name", ["SRGAN_x4.pth", "gan_generator.h5"])
def test_the_files_name_tells_srgan_from_srresnet_with_a_warning(name: str) -> None:
    gan, plain = (import_published(state_file(ported(), name)) for name in (name, "pre_generator.h5"))
    assert isinstance(gan.config, SrganConfig)
    assert plain.config == PORTED
    assert "taken for srgan; --family" in gan.warnings[0]
    assert "taken for srresnet; --family" in plain.warnings[0]


@pytest.mark.parametrize("family", [SrresnetConfig, SrganConfig])
def test_the_users_word_wins_and_needs_no_warning(family: type[SrresnetConfig]) -> None:
    imported = import_published(state_file(ported(), "SRGAN_x4.pth"), Options(family=family.family))
    assert type(imported.config) is family
    assert not imported.warnings


def test_another_family_is_refused() -> None:
    with pytest.raises(ImportRefused, match="'esrgan', not one of srresnet, srgan"):
        import_published(state_file(ported()), Options(family="esrgan"))


def test_names_of_this_project_without_keras_constants_are_refused_because_nothing_tells_the_others() -> None:
    tensors = without_counters(SrresnetConfig(4, blocks=1, features=4).build())
    with pytest.raises(ImportRefused, match="nothing tells its BatchNorm's epsilon and the range"):
        import_published(state_file(tensors))


@pytest.mark.parametrize("shape", [(), (10, 4, 3, 3)], ids=str)
def test_upsampling_that_is_none_of_the_papers_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImportRefused, match="none of SRResNet's"):
        import_published(state_file(ported() | {"up.1.conv.weight": torch.zeros(shape)}))


def test_a_misfit_is_refused_with_what_did_not_fit() -> None:
    tensors = official(lively(Lornatang([2])))
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("running_var")}
    with pytest.raises(ImportRefused, match=r"family srresnet\. Tensors.*missing: body\.0\.bn1\.running_var"):
        import_published(state_file(tensors))
