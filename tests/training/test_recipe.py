"""Every recipe that is shipped can be read and builds its network; a wrong one is refused by name."""

from fnmatch import fnmatch
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.objectives import OBJECTIVES
from training.recipe import config_of, read_recipe

TRAINING = Path(__file__).resolve().parents[2] / "training"
README = TRAINING / "README.md"
RECIPES = sorted((TRAINING / "recipes").glob("*.toml"))
RECIPES_BY_NAME = {path.stem: path for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert recipe.config().build() is not None
    assert recipe.sources
    assert recipe.config().family in OBJECTIVES
    if recipe.degradation is not None:
        assert config_of(recipe.degradation.h2l).family == "h2l"
    assert f"`{path.stem.removesuffix('_cpu')}" in README.read_text()


def test_every_family_has_a_recipe_for_a_gpu_and_one_for_a_cpu() -> None:
    for family in OBJECTIVES:
        stems = {path.stem for path in RECIPES if read_recipe(path).network["family"] == family}
        assert any(stem.endswith("_cpu") for stem in stems), family
        assert any(not stem.endswith("_cpu") for stem in stems), family


def test_no_clip_is_both_trained_on_and_held_out() -> None:
    for path in RECIPES:
        video = read_recipe(path).video
        assert video is None or not any(fnmatch(clip, pattern) for clip in video.held_out for pattern in video.clips)


@pytest.mark.parametrize(("family", "table"), [("l2h", "degradation"), ("vespcn", "video"), ("srgan", "perceptual")])
def test_a_recipe_without_its_familys_table_is_refused(family: str, table: str) -> None:
    with pytest.raises(ValidationError, match=rf"a recipe for {family} needs a table \[{table}\]"):
        read_recipe(RECIPES_BY_NAME["edsr_x2"], network={"family": family, "scale": 4})


def test_rates_follow_the_schedule() -> None:
    def rates(schedule: str, *steps: int) -> list[float]:
        recipe = read_recipe(RECIPES_BY_NAME["edsr_x2"], steps=300, schedule=schedule)
        return [recipe.rate_at(step) for step in steps]

    assert rates("halve", 0, 199, 200, 299) == [1e-4, 1e-4, 5e-5, 5e-5]
    assert rates("tenth", 0, 149, 150, 299) == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    assert rates("constant", 0, 299) == [1e-4, 1e-4]
    assert rates("cosine", 0, 150, 300) == pytest.approx([1e-4, 5e-5, 0])


def test_a_rate_warms_up_in_even_steps() -> None:
    recipe = read_recipe(RECIPES_BY_NAME["edsr_x2"], steps=110, warmup_steps=10, schedule="cosine")
    assert [recipe.rate_at(step) for step in (0, 4, 9, 10, 60)] == pytest.approx([1e-5, 5e-5, 1e-4, 1e-4, 5e-5])


def test_patches_grow_when_the_recipe_says() -> None:
    recipe = read_recipe(RECIPES_BY_NAME["edsr_x2"], steps=300, patches=[(0.0, 8), (0.5, 12)])
    assert [recipe.patch_at(step) for step in (0, 149, 150, 299)] == [8, 8, 12, 12]


def test_a_border_as_wide_as_the_smallest_patch_is_refused() -> None:
    with pytest.raises(ValidationError, match="unseen border of 4"):
        read_recipe(RECIPES_BY_NAME["edsr_x2"], patches=[(0.0, 8), (0.5, 12)], unseen_border=4)


def test_sources_are_groups_by_name_or_tables(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    text = RECIPES_BY_NAME["vespcn_x3"].read_text()
    path.write_text(text.replace('["clips"]', '["clips", { name = "my own", licence = "CC0-1.0" }]'))
    names = [source.name for source in read_recipe(path).sources]
    assert names[-1] == "my own"
    assert names[0].startswith("intel sample videos")
    path.write_text(text.replace('["clips"]', '["clipz"]'))
    with pytest.raises(ValueError, match=r"no group 'clipz' in sources\.toml; groups: photographs, clips"):
        read_recipe(path)


def test_a_misspelt_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPES_BY_NAME["edsr_x2"].read_text().replace("steps =", "stepps ="))
    with pytest.raises(ValidationError, match="stepps"):
        read_recipe(path)


def test_overrides_win_and_none_is_ignored() -> None:
    assert read_recipe(RECIPES_BY_NAME["edsr_x2"], steps=7).steps == 7
    assert read_recipe(RECIPES_BY_NAME["edsr_x2"], steps=None).steps == 300_000


def test_an_unknown_family_is_refused() -> None:
    recipe = read_recipe(RECIPES_BY_NAME["edsr_x2"], network={"family": "vgg"})
    with pytest.raises(ValueError, match="families: edsr"):
        recipe.config()
