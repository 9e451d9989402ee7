"""Files: written whole or not at all, so that one that is there is one that is done."""

import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> Path:
    """Write `content` beside `path` and move it there. Makes the folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path
