"""Waiting for what another process does and nobody announces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 60.0
_pause = threading.Event()


def until(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Look again and again until `condition` holds; fail naming `what` when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        _pause.wait(0.01)


def until_exists(path: Path) -> None:
    until(path.exists, f"{path} exists")
