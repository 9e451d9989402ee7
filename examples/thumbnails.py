"""Thumbnails: old thumbnails of 160 pixels become WebP of 320 for dense screens, some at a time, new ones only.

    python examples/thumbnails.py OLD NEW [--model edsr] [--scale 2]

Exit status 1 when some could not be made; they are named, and tried again by the next run. Needs srserve-client.
"""

import argparse
import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

from srserve_client import AsyncClient, ProblemError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


async def main() -> int:
    """Make what is missing; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--model", default="edsr")
    parser.add_argument("--scale", type=int, default=2)
    arguments = parser.parse_args()

    sources = sorted(path for path in arguments.old.iterdir() if path.suffix.lower() in SUFFIXES)
    targets = {path: arguments.new / path.with_suffix(".webp").name for path in sources}
    todo = [path for path in sources if not targets[path].exists()]
    failed = 0
    async with (
        AsyncClient() as service,
        aclosing(
            service.upscale_batch(
                todo, concurrency=8, model=arguments.model, scale=arguments.scale, format="webp", quality=85
            )
        ) as items,
    ):
        async for item in items:
            path = todo[item.index]
            if item.result is not None:
                item.result.save(targets[path])  # whole or not at all, so that what is there is done
            else:
                failed += 1
                code = item.error.code if isinstance(item.error, ProblemError) else type(item.error).__name__
                print(f"{path}: {code}: {item.error}", file=sys.stderr)
    print(f"{len(todo) - failed} made, {len(sources) - len(todo)} were there, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
