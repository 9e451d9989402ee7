"""Training learns, and a run that was interrupted ends with the very weights of one that was not: every family."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.cases import SMALL, recipe, trainer
from training.loop import Trainer
from training.objectives import OBJECTIVES


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in of.shipped["network"].state_dict().items()}


def flat(state: object, name: str = "") -> dict[str, Any]:
    """A state as one level: names joined by dots."""
    if isinstance(state, dict):
        return {key: leaf for part in state for key, leaf in flat(state[part], f"{name}.{part}").items()}
    if isinstance(state, list):
        return flat(dict(enumerate(state)), name)
    return {name: state}


def state_of(run: Trainer, path: Path) -> dict[str, Any]:
    run.save(path)
    return flat(torch.load(path, weights_only=True))


def test_every_family_that_can_be_trained_has_a_case() -> None:
    assert {case.split()[0] for case in SMALL} == set(OBJECTIVES)


@pytest.mark.parametrize("case", SMALL)
def test_a_resumed_run_ends_in_the_same_state_as_an_uninterrupted_one(case: str, tmp_path: Path) -> None:
    settings = recipe(case, steps=6)
    straight = trainer(settings)
    straight.run(until=6, on_step=lambda _: None)

    first = trainer(settings)
    first.run(until=3, on_step=lambda _: None)
    first.save(tmp_path / "state.pt")
    resumed = trainer(settings, seed=77)  # other initial weights: all must come from the state
    resumed.load(tmp_path / "state.pt")
    assert resumed.progress.step == 3
    resumed.run(until=6, on_step=lambda _: None)

    expected, got = state_of(straight, tmp_path / "a.pt"), state_of(resumed, tmp_path / "b.pt")
    assert expected.keys() == got.keys()
    different = [
        name
        for name, value in expected.items()
        if name != ".progress.seconds"
        and not (torch.equal(value, got[name]) if isinstance(value, torch.Tensor) else value == got[name])
    ]
    assert different == []


def test_the_state_of_an_edsr_run_has_the_names_that_earlier_versions_wrote(tmp_path: Path) -> None:
    run = trainer(recipe())
    run.step()
    run.save(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert set(state) == {"network", "average", "optimiser", "generator", "progress"}
    del state["progress"]["terms"]  # younger than the first runs
    torch.save(state, tmp_path / "state.pt")
    trainer(recipe()).load(tmp_path / "state.pt")


def test_both_sides_of_a_gan_are_in_its_state(tmp_path: Path) -> None:
    run = trainer(recipe("l2h"))
    run.step()
    names = {name.split(".")[1] for name in state_of(run, tmp_path / "state.pt")}
    networks = {"network", "h2l", "low_judge", "high_judge", "average", "average_h2l"}
    assert names == networks | {
        "generator",
        "progress",
        "optimiser",
        "h2l_optimiser",
        "low_optimiser",
        "high_optimiser",
    }


def test_a_state_of_another_kind_of_run_is_refused(tmp_path: Path) -> None:
    trainer(recipe("srresnet")).save(tmp_path / "state.pt")
    with pytest.raises(RuntimeError, match="no discriminator, discriminator_optimiser"):
        trainer(recipe("srgan")).load(tmp_path / "state.pt")


FALLING = [
    # case, terms, steps, by what factor at least
    ("edsr", ["loss"], 100, 2.5),
    ("mdsr", ["loss"], 100, 2.0),
    ("srresnet", ["loss"], 60, 4.0),
    ("srgan", ["content"], 20, 1.5),
    ("l2h", ["h2l_pixel", "l2h_pixel"], 40, 1.5),
    ("espcn", ["loss"], 100, 5.0),
    ("vespcn single", ["sr"], 100, 5.0),
]


@pytest.mark.parametrize(("case", "terms", "steps", "factor"), FALLING, ids=[row[0] for row in FALLING])
def test_the_loss_falls_on_one_place(case: str, terms: list[str], steps: int, factor: float) -> None:
    run = trainer(recipe(case, steps=steps, learning_rate=3e-3, batch=4), one_place=True)
    taken = [run.step() for _ in range(steps)]
    for term in terms:
        values = [step[term].item() for step in taken]
        assert sum(values[-5:]) < sum(values[:5]) / factor


def test_a_stop_request_ends_the_run_after_the_step_at_hand() -> None:
    run = trainer(recipe())
    run.run(until=12, on_step=lambda _: None, stop=lambda: run.progress.step >= 3)
    assert run.progress.step == 3


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    run = trainer(recipe())
    next(iter(run.objective.networks["network"].parameters())).data.fill_(float("nan"))
    for parameter in run.objective.networks["network"].parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="the loss became nan"):
        run.run(until=2, on_step=lambda _: None)


def test_the_average_follows_the_weights() -> None:
    run = trainer(recipe(ema_decay=0.5))
    run.step()
    before = weights(run)
    run.step()
    raw = run.objective.networks["network"].state_dict()
    name = "head.0.weight"
    assert torch.allclose(weights(run)[name], 0.5 * before[name] + 0.5 * raw[name])


def test_the_average_follows_batch_norms_statistics_too() -> None:
    run = trainer(recipe("srresnet", ema_decay=0.5))
    run.step()
    before = weights(run)
    run.step()
    raw = run.objective.networks["network"].state_dict()
    name = "body.0.bn1.running_var"
    assert torch.allclose(weights(run)[name], 0.5 * before[name] + 0.5 * raw[name])


def test_terms_are_kept_for_the_log() -> None:
    run = trainer(recipe("srgan", steps=2))
    run.run(until=2, on_step=lambda _: None)
    assert {"content", "adversarial", "discriminator"} <= set(run.progress.terms)
