"""References: what documents repeat of the code, written from the code; `make references` runs this.

The table of settings in docs/operations.md. A test fails where a file is not what this writes.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from service.settings import DEFAULT_STORE, ENV_PREFIX, Settings  # noqa: E402 - the service is beside this folder

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


def references() -> dict[Path, str]:
    """Each file with generated parts, and what should be in it."""
    operations = ROOT / "docs" / "operations.md"
    return {operations: operations_page(operations.read_text())}


if __name__ == "__main__":
    for path, content in references().items():
        path.write_text(content)
