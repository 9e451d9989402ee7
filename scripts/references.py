"""References: what documents repeat of the code, written from the code; `make references` runs this.

The table of settings in docs/operations.md, and docs/openapi.json. A test fails where a file is not what this writes. A
change of the interface that breaks clients is not written unless that is meant: `make references BREAKING=yes`.
"""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.breaking import breaking_changes  # noqa: E402 - the repository is not installed
from service.app import create_app  # noqa: E402 - the service is beside this folder
from service.settings import DEFAULT_STORE, ENV_PREFIX, Settings  # noqa: E402

OPERATIONS = ROOT / "docs" / "operations.md"
OPENAPI = ROOT / "docs" / "openapi.json"
BEGIN, END = "<!-- settings: make references -->", "<!-- end of settings -->"


def settings_table() -> str:
    """One row a setting, as `python -m service --help` explains it."""
    rows = ["| variable | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "none" if field.default is None else "the folder `store`" if field.default == DEFAULT_STORE else None
        rows.append(f"| `{ENV_PREFIX}{name.upper()}` | {default or f'`{field.default}`'} | {field.description} |")
    return "\n".join(rows)


def operations_page(page: str) -> str:
    """`page` with its table of settings as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


def openapi_text(settings: Settings) -> str:
    """The interface, in a form whose differences are easy to read. The models that are served do not matter."""
    return json.dumps(create_app(settings).openapi(), indent=1) + "\n"


def main() -> int:
    """The exit status: 1 where the interface would break clients."""
    OPERATIONS.write_text(operations_page(OPERATIONS.read_text()))
    text = openapi_text(Settings(device="cpu"))
    changes = breaking_changes(json.loads(OPENAPI.read_text()), json.loads(text)) if OPENAPI.exists() else []
    for change in changes:
        print(f"breaking: {change}")
    if changes and os.environ.get("BREAKING") != "yes":
        print(f"{OPENAPI} is left as it is. If clients are meant to be broken: make references BREAKING=yes")
        return 1
    OPENAPI.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
