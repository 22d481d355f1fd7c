"""Which child processes there are: asked before every run, so it must be cheap."""

from __future__ import annotations

from pathlib import Path

#: environment variable with the job's number, set by the host before a run
JOB_MARK = "UJES_JOB"


def direct_children() -> frozenset[int]:
    """Process ids of the children of this process."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return _direct_children_anywhere()
    found: set[int] = set()
    for task in tasks.iterdir():
        try:
            found.update(int(pid) for pid in (task / "children").read_text().split())
        except FileNotFoundError:
            continue  # the thread ended just now, its children went to another
    return frozenset(found)


def _direct_children_anywhere() -> frozenset[int]:
    import psutil  # noqa: PLC0415 - dear, and not needed on Linux

    return frozenset(child.pid for child in psutil.Process().children())
