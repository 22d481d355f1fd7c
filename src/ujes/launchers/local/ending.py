"""How a host ended, as a sentence for the user."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ujes.enginehost.evidence import left_by_host
from ujes.launchers.local.marks import LOG_FILE

_TAIL_BYTES = 4096
_TAIL_LINES = 8


def sentence(code: int | None, work_dir: Path) -> str:
    """`code` is the exit status, minus the number of a signal, or None when nobody saw the end."""
    tail = log_tail(work_dir)
    said = f": {tail}" if tail else ""
    if code is None:
        return f"ended, nobody saw how{said}"
    if code < 0:
        return f"ended by signal {_signal_text(-code)}"
    return f"exit status {code}{said}"


def log_tail(work_dir: Path) -> str:
    """The last lines the host or its programs wrote to their standard error."""
    try:
        with left_by_host(work_dir / LOG_FILE) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:]).strip()


def _signal_text(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    guesses: dict[int, str] = {
        signal.SIGKILL: ", perhaps by the system for lack of memory",
        signal.SIGXCPU: ", its CPU time was used up",
    }
    return f"{number} ({name}){guesses.get(number, '')}"
