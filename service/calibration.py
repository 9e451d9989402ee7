"""Calibration: at warm-up each network is run on two sizes in each way, so that costs are known before callers come.

Small sizes, for start-up waits for it: the line through them is corrected by the first real tiles.
"""

import math
import time
from collections.abc import Iterable, Sequence

import numpy as np

from service.costs import Costs, Network, Way
from service.planes import Plane, batch_of
from service.sessions import Session
from service.tiling import plan_tiles

SMALL_SIDE = 24
SIDES = (48, 192)  # of the larger size: the least and the most
LONGEST_RUN_S = 0.1  # of the larger size, unless it is the least
QUICK_S = 0.02  # a run so short is repeated, for its first time may have been the thread's


def calibrate(sessions: Iterable[Session], costs: Costs, *, ways: Sequence[Way]) -> None:
    """Fits the lines of all sessions; blocks. Sides are in LR pixels."""
    for session in sessions:
        facts = session.manifest
        for way in ways:
            if facts.fixed_size is not None:
                runs = [_run(session, *facts.fixed_size, way) for _ in range(2)]
            else:
                runs = _runs(session, SMALL_SIDE, way)
                runs += _runs(session, _larger_side(min(seconds for _, seconds in runs)), way)
            costs.fit(Network.of(facts), way, runs)


def _larger_side(small_s: float) -> int:
    affordable = SMALL_SIDE * math.sqrt(LONGEST_RUN_S / small_s)
    least, most = SIDES
    return min(max(int(affordable) // 16 * 16, least), most)


def _runs(session: Session, side: int, way: Way) -> list[tuple[int, float]]:
    runs = [_run(session, side, side, way)]
    while len(runs) < 3 and runs[-1][1] < QUICK_S:
        runs.append(_run(session, side, side, way))
    return runs


def _run(session: Session, height: int, width: int, way: Way) -> tuple[int, float]:
    """Pixels of the graph's input, and the seconds that a tile of them takes."""
    facts = session.manifest
    height, width = height * facts.input_scale, width * facts.input_scale
    source = np.zeros((height, width, 3), np.uint8 if facts.pixels == "uint8" else np.uint16)
    (tile,) = plan_tiles(height, width, halo=0, max_tile=max(height, width)).tiles
    plane = Plane.of_graph(source, facts)
    started = time.perf_counter()
    session.run(*batch_of([(plane, tile)]), spread=way in ("spread", "batch"))
    return height * width, time.perf_counter() - started
