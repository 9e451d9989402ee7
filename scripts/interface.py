"""Interface: what of it breaks clients, from the last release to now; `make interface` and CI run this.

docs/openapi.json against itself as it was at the newest tag v*, or, before the first one, at the commit before. Exit
status 1 where something breaks clients and CHANGELOG.md has gained no line that begins with **Breaking**.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.breaking import breaking_changes  # noqa: E402 - the repository is not installed

DOCUMENT, CHANGELOG = "docs/openapi.json", "CHANGELOG.md"
MARK = "- **Breaking**"


def main(root: Path) -> int:
    """The exit status."""
    base = _git(root, "describe", "--tags", "--abbrev=0", "--match", "v*") or _git(
        root, "rev-parse", "--verify", "HEAD~1"
    )
    kept = _git(root, "show", f"{base}:{DOCUMENT}") if base else None
    if not kept:
        print("interface: not compared, for there is no earlier document in the history here")
        return 0
    changes = breaking_changes(json.loads(kept), json.loads((root / DOCUMENT).read_text()))
    for change in changes:
        print(f"breaking since {base}: {change}")
    told = (root / CHANGELOG).read_text().count(MARK) - (_git(root, "show", f"{base}:{CHANGELOG}") or "").count(MARK)
    if changes and told <= 0:
        print(f"If clients are meant to be broken, say so in {CHANGELOG}, in a line that begins with {MARK}")
        return 1
    print(f"interface: {len(changes)} breaking changes since {base}")
    return 0


def _git(root: Path, *arguments: str) -> str | None:
    """What it prints; None if it fails."""
    try:
        ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main(ROOT))
