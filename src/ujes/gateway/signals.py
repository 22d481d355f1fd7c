"""Named points of the gateway's work at which a test can have it killed.

Production code says `reach("submit.stored")` where a crash would matter most. Nothing happens unless the
process was started with `UJES_TEST_KILL_AT=<name>`: then it dies there as by SIGKILL, once, without any
clean-up. `<name>:<n>` means the n-th time.
"""

from __future__ import annotations

import os
import signal

KILL_AT = "UJES_TEST_KILL_AT"


def _kill_at(name: str, count: int) -> None:
    global _left  # noqa: PLW0603 - how often the name may still be passed is a fact about the process
    if name == _name:
        _left -= count
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def reach(name: str) -> None:
    """The process stands at the point `name`."""
    if _name:
        _kill_at(name, 1)


_name, _, _times = os.environ.get(KILL_AT, "").partition(":")
_left = int(_times) if _times.isdecimal() else 1
