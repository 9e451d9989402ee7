"""What is special to each family's updates: which parts learn, and from what."""

import pytest
import torch
from torch import nn

from tests.training.cases import recipe, trainer
from training.loop import Trainer
from training.objectives import Surroundings, prepare
from training.objectives.pixel import LumaObjective, PixelObjective, SignedObjective, luma_pixels
from training.objectives.srgan import SrganObjective
from training.objectives.video import VideoObjective


def changed(run: Trainer, network: str = "network") -> set[str]:
    """Parameters that one step changes, by the first part of their names."""
    before = {name: value.detach().clone() for name, value in run.objective.networks[network].named_parameters()}
    run.step()
    after = dict(run.objective.networks[network].named_parameters())
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def vector(run: Trainer, network: str) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in run.objective.networks[network].parameters()])


def test_an_mdsr_update_reaches_one_branch_and_what_is_shared() -> None:
    run = trainer(recipe("mdsr"))
    branches = set()
    for _ in range(8):
        names = changed(run)
        touched = {name.split(".")[1] for name in names if name.startswith(("pre_process", "upsample"))}
        assert len(touched) == 1
        assert {name.split(".")[0] for name in names} == {"head", "pre_process", "body", "upsample", "tail"}
        branches |= touched
    assert branches == {"0", "1", "2"}


def test_srresnet_is_compared_in_minus_one_to_one() -> None:
    objective = trainer(recipe("srresnet")).objective
    assert isinstance(objective, SignedObjective)
    assert objective.wanted(torch.tensor([0.0, 255.0])).tolist() == [-1.0, 1.0]
    assert objective.given(torch.tensor([0.0, 255.0])).tolist() == [0.0, 1.0]


def test_what_happens_on_an_unseen_border_has_no_part_in_the_loss() -> None:
    objective = trainer(recipe("srresnet", unseen_border=1)).objective
    assert isinstance(objective, SignedObjective)
    hr = torch.full((1, 3, 16, 16), 0.5)
    spoilt = hr.clone()
    spoilt[..., :2, :], spoilt[..., -2:, :], spoilt[..., :, :2], spoilt[..., :, -2:] = 1, 2, 3, 4  # 1 LR pixel
    assert float(objective.loss(objective.seen(spoilt, 2), objective.seen(hr, 2))) == 0
    spoilt[..., 2, 2] = 1
    assert float(objective.loss(objective.seen(spoilt, 2), objective.seen(hr, 2))) == pytest.approx(0.25 / 144)


def test_an_update_leaves_out_the_border_that_the_recipe_says(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = trainer(recipe("edsr", unseen_border=2)).objective
    assert isinstance(objective, PixelObjective)
    sizes: list[torch.Size] = []

    def seen(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        sizes.append(sr.shape)
        return (sr - hr).abs().mean()

    monkeypatch.setattr(objective, "loss", seen)
    objective.update(0)
    assert sizes == [(2, 3, 8, 8)]  # 2 of 8 LR pixels at each side, x2


def test_espcn_is_given_the_y_that_the_papers_measure() -> None:
    objective = trainer(recipe("espcn")).objective
    assert isinstance(objective, LumaObjective)
    colours = torch.tensor([[255.0, 255, 255], [0, 0, 0], [255, 0, 0]]).T.reshape(1, 3, 1, 3)
    assert (objective.given(colours) * 255).flatten().tolist() == pytest.approx([235, 16, 81.481], abs=1e-3)
    assert luma_pixels(colours).shape == (1, 1, 1, 3)


def test_srgan_updates_both_networks_in_each_step_and_leaves_the_features_alone() -> None:
    run = trainer(recipe("srgan"))
    assert "tail.weight" in changed(run)
    assert "classifier.2.weight" in changed(run, "discriminator")


def test_the_generators_step_does_not_move_the_discriminator() -> None:
    objective = trainer(recipe("srgan")).objective
    assert isinstance(objective, SrganObjective)
    before = [parameter.detach().clone() for parameter in objective.discriminator.parameters()]
    fake = objective.forward(torch.rand(2, 3, 8, 8))
    objective._update_generator(torch.rand(2, 3, 16, 16), fake)
    after = list(objective.discriminator.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in after)


def test_srgans_terms_add_up() -> None:
    adversarial = {"weight": 0.5, "pixel_weight": 0.25}
    terms = trainer(recipe("srgan", adversarial=adversarial)).step()
    assert terms["loss"].item() == pytest.approx(sum(terms[n].item() for n in ("content", "adversarial", "pixel")))
    assert min(term.item() for term in terms.values()) > 0


def test_srgan_takes_one_size_of_patches() -> None:
    with pytest.raises(ValueError, match=r"one size of patches, not \[8, 16\]"):
        trainer(recipe("srgan", patches=[(0.0, 8), (0.5, 16)]))


@pytest.mark.parametrize(
    ("stage", "moving", "still"),
    [
        ("h2l", ["h2l", "low_judge"], ["network", "high_judge"]),
        ("l2h", ["network", "high_judge"], ["h2l", "low_judge"]),
    ],
)
def test_a_stage_of_the_degradation_gan_trains_its_generator_only(
    stage: str, moving: list[str], still: list[str]
) -> None:
    base = recipe("l2h").degradation
    assert base is not None
    run = trainer(recipe("l2h", degradation={**base.model_dump(), "stages": [(0.0, stage)]}))
    buffers = {name: value.clone() for name, value in run.objective.networks["h2l"].named_buffers()}
    before = {name: vector(run, name) for name in moving + still}
    run.step()
    after = {name: vector(run, name) for name in moving + still}
    assert all(not torch.equal(before[name], after[name]) for name in moving)
    assert all(torch.equal(before[name], after[name]) for name in still)
    frozen = all(torch.equal(buffers[n], value) for n, value in run.objective.networks["h2l"].named_buffers())
    assert frozen == (stage == "l2h")


def test_low_to_highs_errors_do_not_teach_high_to_low() -> None:
    """Two runs that differ in the second generator alone keep equal first ones."""
    results = []
    for seed in (1, 2):
        run = trainer(recipe("l2h"))
        torch.manual_seed(seed)
        for parameter in run.objective.networks["network"].parameters():
            parameter.data.normal_(std=0.05)
        for _ in range(2):
            run.step()
        results.append(vector(run, "h2l"))
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("stage", "parts"), [("motion", {"motion"}), ("fusion", {"fusion"}), ("joint", {"motion", "fusion"})]
)
def test_a_stage_of_vespcn_trains_its_parts(stage: str, parts: set[str]) -> None:
    run = trainer(recipe("vespcn", video={"stages": [(0.0, stage)]}))
    for _ in range(2):  # in the first step only the layers that begin at zero have gradients in the flow networks
        names = changed(run)
    assert {name.split(".")[0] for name in names} == parts


def test_motion_compensation_learns_a_steady_motion() -> None:
    run = trainer(
        recipe("vespcn", learning_rate=2e-3, batch=4, patches=[(0.0, 16)], video={"stages": [(0.0, "motion")]})
    )
    values = [run.step()["motion"].item() for _ in range(400)]
    assert sum(values[-50:]) < sum(values[:50]) / 1.5  # of many batches, for each has other motions


def test_clips_and_photographs_take_turns() -> None:
    run = trainer(recipe("vespcn"))
    objective = run.objective
    assert isinstance(objective, VideoObjective)
    assert objective.clips is not None
    assert objective.made is not None
    counts = {"clips": 0, "made": 0}
    for name, sampler in (("clips", objective.clips), ("made", objective.made)):
        original = sampler.batch

        def counted(size: int, patch: int, name: str = name, original: object = original) -> object:
            counts[name] += 1
            return original(size, patch)  # type: ignore[operator]

        sampler.batch = counted  # type: ignore[method-assign,assignment]
    for _ in range(20):
        objective._batch(8)
    assert min(counts.values()) >= 4


def test_held_out_clips_are_scored() -> None:
    run = trainer(recipe("vespcn"))
    run.step()
    (name, psnr), *rest = run.objective.scores(run.shipped, None, full=True).items()  # type: ignore[arg-type]
    assert (name, rest) == ("clips", [])
    assert 5 < psnr < 60


def test_a_family_without_an_objective_is_named(tmp_path: object) -> None:
    settings = recipe("l2h").model_copy(update={"network": {"family": "h2l"}})
    with pytest.raises(ValueError, match="h2l has no recipe of its own"):
        prepare(settings, nn.Identity(), Surroundings(None, torch.device("cpu")))  # type: ignore[arg-type]


def test_the_ratio_says_how_often_the_discriminators_learn_for_each_generators_step() -> None:
    base = recipe("l2h").degradation
    assert base is not None
    run = trainer(recipe("l2h", degradation={**base.model_dump(), "ratio": 3}))
    run.step()
    optimisers = run.objective.optimisers
    steps = {name: int(next(iter(state.state.values()))["step"]) for name, state in optimisers.items()}
    assert steps == {"optimiser": 1, "h2l_optimiser": 1, "low_optimiser": 3, "high_optimiser": 3}
