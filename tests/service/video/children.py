"""The service's children, as the system lists them."""

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

CHILD = "service.video.child"


def video_children(process: "psutil.Process") -> list["psutil.Process"]:
    """Those of `process` that read or write a video now; who has ended meanwhile has no command line."""
    return [child for child in process.children(recursive=True) if CHILD in _command_line(child)]


def _command_line(process: "psutil.Process") -> list[str]:
    try:
        line: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return line
