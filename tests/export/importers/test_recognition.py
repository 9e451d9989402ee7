"""Every layout is recognised by its names alone; other networks are refused, the well-known ones by their names."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from export.errors import ImportRefused
from export.importers import LAYOUTS, Options, import_published, read_state_file
from export.importers.refused import REFUSED
from models import L2hConfig, MdsrConfig, SrresnetConfig
from tests.export.examples import small_config, small_edsr
from tests.export.importers.examples import (
    CompactMdsr,
    Leftthomas,
    Lornatang,
    basicsr,
    official,
    state_file,
    without_counters,
    write_keras,
)

SRRESNET = SrresnetConfig(2, blocks=1, features=4, prelu="channel", conv_bias=True)
EXAMPLES: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    "edsr-pytorch": lambda _: official(small_edsr(small_config(2))),
    "basicsr": lambda _: basicsr(small_edsr(small_config(2)), blocks=2)["params"],
    "mdsr-pytorch": lambda _: official(MdsrConfig(blocks=1, features=4).build()),
    "mdsr-compact": lambda _: official(CompactMdsr()),
    "keras-port": lambda _: without_counters(SRRESNET.build()),
    "keras": lambda folder: read_state_file(write_keras(folder / "a.h5", SRRESNET.build())).tensors,
    "lornatang": lambda _: without_counters(Lornatang([2])),
    "leftthomas": lambda _: without_counters(Leftthomas(1)),
    "face-sr": lambda _: without_counters(
        L2hConfig(features=4, narrow_features=4, head_features=4, blocks=1, narrow_blocks=1).build()
    ),
}


def test_there_is_an_example_of_every_layout() -> None:
    assert list(EXAMPLES) == [layout.name for layout in LAYOUTS]


@pytest.mark.parametrize("name", EXAMPLES)
def test_exactly_one_layout_recognises_a_file_and_is_the_one_that_reads_it(tmp_path: Path, name: str) -> None:
    tensors = EXAMPLES[name](tmp_path)
    assert [layout.name for layout in LAYOUTS if layout.recognises(tensors)] == [name]
    assert import_published(state_file(tensors)).provenance["imported_from"]["layout"] == name


@pytest.mark.parametrize("option", ["residual_scale", "family"])
def test_an_option_that_means_nothing_for_a_layout_is_refused(tmp_path: Path, option: str) -> None:
    for layout in LAYOUTS:
        if option not in layout.uses:
            options = Options(residual_scale=0.1) if option == "residual_scale" else Options(family="srgan")
            with pytest.raises(ImportRefused, match=f"--{option.replace('_', '-')} means nothing"):
                import_published(state_file(EXAMPLES[layout.name](tmp_path)), options)


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["head.0.weight", "body.0.body.0.body.0.weight", "tail.0.0.weight", "tail.1.weight"], "RCAN"),
        (["conv_first.weight", "body.0.residual_group.0.rcab.0.weight", "upsample.0.weight"], "RCAN"),
        (["conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_hr.weight"], "MSRResNet"),
        (["conv_first.weight", "recon_trunk.0.conv1.weight", "upconv1.weight", "HRconv.weight"], "MSRResNet"),
        (["conv_first.weight", "body.0.rdb1.conv1.weight", "conv_up1.weight"], "ESRGAN"),
        (["conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight", "upconv1.weight"], "ESRGAN"),
        (["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"], "ESRGAN"),
        (["EF1.weight", "t1_course_warp.weight"], "VESPCN with a learned convolution"),
        (["features.0.weight", "classifier.0.weight"], "discriminator"),
        (["conv2d/kernel", "dense_1/kernel"], "discriminator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_well_known_networks_are_refused_by_name_and_with_the_reason(names: list[str], title: str) -> None:
    tensors = {name: torch.zeros(1) for name in names}
    with pytest.raises(ImportRefused, match=rf"{title}.*which is not read: "):
        import_published(state_file(tensors))


def test_the_page_about_importing_names_every_layout_and_every_refused_network() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "importing.md").read_text()
    titles = [*(layout.title for layout in LAYOUTS), *(known.title for known in REFUSED)]
    assert [title for title in titles if title not in page] == []


def test_any_other_file_is_refused_with_what_could_be_read_and_what_it_has() -> None:
    with pytest.raises(ImportRefused, match=r"no known layout \(EDSR of EDSR-PyTorch; .*it has conv1\.weight"):
        import_published(state_file({"conv1.weight": torch.zeros(1)}))
