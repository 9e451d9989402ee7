"""Training learns, and a run that was interrupted ends with the very weights of one that was not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from models import EdsrConfig
from training.data import PairSampler, PixelTable
from training.evaluate import evaluate
from training.loop import Trainer
from training.recipe import Recipe
from training.resize import downscale

CPU = torch.device("cpu")


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "name": "small",
        "network": {"family": "edsr", "scale": 2, "blocks": 1, "features": 8},
        "photos": "photos",
        "sources": [],
        "licence": "Apache-2.0",
        "steps": 12,
        "batch": 2,
        "patches": [(0.0, 8), (0.5, 12)],
        "learning_rate": 1e-3,
        "ema_decay": 0.9,
    }
    return Recipe.model_validate({**values, **changes})


def trainer(run: Recipe, seed: int = 5) -> Trainer:
    torch.manual_seed(seed)
    hr = np.ascontiguousarray(astronaut()[:128, :128])
    sampler = PairSampler(
        PixelTable.of([downscale(hr, 2)], CPU),
        PixelTable.of([hr], CPU),
        scale=2,
        generator=torch.Generator().manual_seed(run.seed),
    )
    config = run.config()
    assert isinstance(config, EdsrConfig)
    return Trainer(run, config.build(), sampler, CPU)


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in of.average.module.state_dict().items()}


def test_a_resumed_run_ends_with_the_same_weights_as_an_uninterrupted_one(tmp_path: Path) -> None:
    straight = trainer(recipe())
    straight.run(until=12, on_step=lambda _: None)

    first = trainer(recipe())
    first.run(until=5, on_step=lambda _: None)
    first.save(tmp_path / "state.pt")
    resumed = trainer(recipe(), seed=77)  # other initial weights: all must come from the state
    resumed.load(tmp_path / "state.pt")
    assert resumed.progress.step == 5
    resumed.run(until=12, on_step=lambda _: None)

    expected = weights(straight)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(resumed).items())
    assert resumed.progress.loss == straight.progress.loss


def test_a_stop_request_ends_the_run_after_the_step_at_hand() -> None:
    run = trainer(recipe())
    run.run(until=12, on_step=lambda _: None, stop=lambda: run.progress.step >= 3)
    assert run.progress.step == 3


def test_the_loss_falls_on_one_picture() -> None:
    run = trainer(recipe(steps=150, learning_rate=3e-3, patches=[(0.0, 16)]))
    losses: list[float] = []
    run.run(until=150, on_step=lambda _: losses.append(run.progress.loss))
    assert losses[-1] < losses[4] / 3


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    run = trainer(recipe())
    run.network.head[0].weight.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="the loss became nan"):
        run.run(until=2, on_step=lambda _: None)


def test_the_average_follows_the_weights() -> None:
    run = trainer(recipe(ema_decay=0.5))
    run.step()
    before = weights(run)
    run.step()
    raw = run.network.state_dict()
    name = "head.0.weight"
    assert torch.allclose(run.average.module.state_dict()[name], 0.5 * before[name] + 0.5 * raw[name])


def test_patches_and_rate_follow_the_recipe() -> None:
    paper = recipe(steps=300, learning_rate=1e-4)
    assert [paper.rate_at(step) for step in (0, 199, 200, 299)] == [1e-4, 1e-4, 5e-5, 5e-5]
    assert [paper.patch_at(step) for step in (0, 149, 150, 299)] == [8, 8, 12, 12]
    cosine = recipe(steps=110, learning_rate=1e-3, schedule="cosine", warmup_steps=10)
    assert cosine.rate_at(0) == pytest.approx(1e-4)
    assert cosine.rate_at(10) == pytest.approx(1e-3)
    assert cosine.rate_at(60) == pytest.approx(5e-4)
    assert cosine.rate_at(110) == pytest.approx(0, abs=1e-9)


def test_evaluation_scores_a_network_on_a_folder(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(astronaut()[:61, :50]).save(tmp_path / "colour.png")
    Image.fromarray(astronaut()[:61, :50, 0]).save(tmp_path / "grey.png")

    class Nearest(torch.nn.Module):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(lr, scale_factor=2, mode="nearest")

    score = evaluate(Nearest(), tmp_path, scale=2, device=CPU)
    assert 20 < score.psnr < 35
    assert 0.5 < score.ssim < 1
