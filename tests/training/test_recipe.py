"""Every recipe that is shipped can be read and builds its network; a wrong one is refused by name."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from training.recipe import read_recipe

RECIPES = sorted(Path("training/recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert recipe.config().build() is not None
    assert recipe.sources


def test_there_are_recipes() -> None:
    assert {"edsr_x2", "edsr_x3", "edsr_x4"} <= {path.stem for path in RECIPES}


def test_a_misspelt_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPES[0].read_text().replace("steps =", "stepps ="))
    with pytest.raises(ValidationError, match="stepps"):
        read_recipe(path)


def test_overrides_win_and_none_is_ignored() -> None:
    assert read_recipe(RECIPES[0], steps=7).steps == 7
    assert read_recipe(RECIPES[0], steps=None).steps == read_recipe(RECIPES[0]).steps


def test_an_unknown_family_is_refused() -> None:
    recipe = read_recipe(RECIPES[0], network={"family": "vgg"})
    with pytest.raises(ValueError, match="families: edsr"):
        recipe.config()
