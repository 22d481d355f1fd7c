"""What makes the processes of an instance known as its own: left by the child, looked for by the gateway."""

from __future__ import annotations

import hashlib

#: In the work directory: number and birth of the host.
PID_FILE = "host.pid"
#: In the work directory: what the host and its programs wrote to the standard error.
LOG_FILE = "host.log"
#: Marks every process of an instance that was started by exec.
TAG_VARIABLE = "UJES_INSTANCE"


def mark_of(tag: str) -> str:
    """The kernel's short name of every process forked, without exec, from the host of `tag`."""
    return f"ujes-{hashlib.sha256(tag.encode()).hexdigest()[:10]}"
