"""Why a pickle was not read, and how its owner makes a file of it that can be.

A pickle is a program: loading it can do anything. `torch.load(weights_only=True)` runs no part of it but the making of
tensors, and refuses the rest. This project never loads a pickle in any other way; whoever trusts a file can.
"""

import re
import shlex
from pathlib import Path

# What PyTorch says when a pickle wants more than tensors.
FOREIGN = re.compile(
    r"GLOBAL (?P<name>[\w.]+) (?:was not an allowed|whose module)"
    r"|but got (?:<class ')?(?P<type>[\w.]+)"
    r"|(?P<tar>\.tar format)"
)
ANY_PICKLE = b"\x80"  # the opcode that begins every pickle of protocol 2 or newer
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
DIGEST = re.compile(r"-[0-9a-f]{8,64}$")  # the digest in a name is not that of the new file


def explain(path: Path, error: Exception) -> str:
    """Why `torch.load` refused the file; if it may be a pickle of more than tensors, with the cure."""
    said = ESCAPES.sub("", str(error))
    found = FOREIGN.search(said)
    if found is not None and found["tar"]:
        return (
            f"is of PyTorch's oldest format, a .tar, which cannot be read as tensors alone (weights_only). {cure(path)}"
        )
    if found is not None:
        name = found["name"] or found["type"]
        return f"cannot be read as tensors alone (weights_only): it also makes a {name}. {cure(path)}"
    if _begins_as_pickle(path):
        return f"cannot be read as tensors alone (weights_only): it is damaged, or an unusual pickle. {cure(path)}"
    reason = said.splitlines()[0] if said and "weights_only" not in said.lower() else type(error).__name__
    return f"cannot be read as tensors alone (weights_only); it is damaged, or no weights file at all ({reason})"


def cure(path: Path) -> str:
    """What a user who trusts the file can do; the file is then made again without a pickle."""
    target = path.with_name(DIGEST.sub("", path.stem) + ".safetensors")
    script = (
        "import torch; from safetensors.torch import save_file; "
        f"found = torch.load({str(path)!r}, map_location='cpu', weights_only=False); "
        "found = getattr(found, 'state_dict', lambda: found)(); "
        "found = found.get('ema_state_dict', found.get('state_dict', found)); "
        "save_file({name: value.contiguous() for name, value in found.items() if torch.is_tensor(value)}, "
        f"{str(target)!r})"
    )
    return (
        "Loading a pickle runs code that its maker chose, so it is not done here. If you trust where this file comes "
        f"from as you would trust a program from there, run\n    python -c {shlex.quote(script)}\n"
        f"and import {target}"
    )


def _begins_as_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == ANY_PICKLE
