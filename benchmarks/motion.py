"""`python -m benchmarks.motion CHECKPOINT CLIP...`: what VESPCN's motion compensation is worth on real clips.

For each clip, of LR luma: the mean squared difference between a frame and its neighbours as they are, after they were
warped onto it, and the ratio of the two (Caballero et al. 2017, section 3.2). With `--single CHECKPOINT` also the PSNR
on Y of the network and of a single-frame one, 8 pixels cropped. Give clips that the weights were not trained on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from models.checkpoint import load_checkpoint
from models.vespcn import Vespcn
from training.evaluate import evaluate_clip
from training.frames import Clip, read_clip

CPU = torch.device("cpu")


class Warping(NamedTuple):
    """Means over a clip's windows and neighbours. Errors are of luma in [0, 1], flow in LR pixels."""

    still: float
    warped: float
    flow: float

    @property
    def ratio(self) -> float:
        """How many times smaller the error is after the warp."""
        return self.still / self.warped


@torch.no_grad()
def measure_warping(network: Vespcn, clip: Clip) -> Warping:
    """The clip's windows through the network's motion compensation.

    Raises:
        ValueError: the network has none.
    """
    found = []
    for window in clip.windows:
        frames = torch.from_numpy(np.stack([clip.lr[place] for place in window])).float()[None] / 255
        compensated = network.compensated(frames)
        middle = frames.shape[1] // 2
        neighbours = [place for place in range(frames.shape[1]) if place != middle]
        centre = frames[:, middle : middle + 1]
        still = (frames[:, neighbours] - centre).square().mean()
        warped = (compensated.frames[:, neighbours] - centre).square().mean()
        found.append((still.item(), warped.item(), compensated.flow.abs().mean().item()))
    return Warping(*np.mean(found, axis=0).tolist())


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a VESPCN with motion compensation")
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--single", type=Path, metavar="CHECKPOINT", help="a single-frame network to compare with")
    parser.add_argument("--shrink", type=int, default=2, help="clips are divided by this first (default 2)")
    parser.add_argument("--windows", type=int, default=30, help="of each clip (default 30)")
    args = parser.parse_args(arguments)
    (network, scale), (single, _) = _network(args.checkpoint), _network(args.single) if args.single else (None, None)
    print("| clip | still | warped | ratio | flow, LR pixels |" + (" PSNR dB | single dB |" if single else ""))
    print("|---|---|---|---|---|" + ("---|---|" if single else ""))
    for path in args.clips:
        clip = read_clip(path, scale=scale, frames=network.frames, windows=args.windows, shrink=args.shrink)
        warping = measure_warping(network, clip)
        row = f"| {path.name} | {warping.still:.2e} | {warping.warped:.2e} | {warping.ratio:.2f} | {warping.flow:.2f} |"
        if single is not None:
            alone = Clip(clip.lr, clip.hr, clip.windows[:, clip.windows.shape[1] // 2][:, None])
            row += f" {evaluate_clip(network, clip, device=CPU):.2f} | {evaluate_clip(single, alone, device=CPU):.2f} |"
        print(row, flush=True)
    return 0


def _network(path: Path) -> tuple[Vespcn, int]:
    """The network and its scale."""
    checkpoint = load_checkpoint(path)
    if not isinstance(checkpoint.network, Vespcn):
        raise SystemExit(f"{path}: a {type(checkpoint.network).__name__}, not a VESPCN")
    return checkpoint.network, checkpoint.config.scales[0]


if __name__ == "__main__":
    sys.exit(main())
