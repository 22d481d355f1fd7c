"""Starts the program of a warm parent. Imports next to nothing: `ujes serve` does this before all else.

While the gateway imports what it needs, the warm parent imports what engines need, on another core.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from ujes.launchers.local.environment import FOR_WARM_PARENT, for_engines

_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Spawned:
    """A warm parent on its way. It ends when our end of `control` is closed."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    #: its standard error, in a file without a name
    log: IO[bytes]

    def log_tail(self) -> str:
        size_bytes = os.fstat(self.log.fileno()).st_size
        tail = os.pread(self.log.fileno(), _LOG_TAIL_BYTES, max(0, size_bytes - _LOG_TAIL_BYTES))
        return tail.decode("utf-8", "replace").strip()


def spawn(python: str = "") -> Spawned:
    """Start it; an empty `python` is our own. Raises OSError."""
    ours, theirs = socket.socketpair()
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its process
    try:
        process = subprocess.Popen(
            [
                python or sys.executable,
                "-m",
                "ujes.launchers.local.warm",
                "--control",
                str(theirs.fileno()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(theirs.fileno(),),
            env={**for_engines(os.environ), **FOR_WARM_PARENT},
            start_new_session=True,
            cwd="/",
        )
    except OSError:
        ours.close()
        log.close()
        raise
    finally:
        theirs.close()
    return Spawned(process=process, control=ours, log=log)


@contextmanager
def spawned_ahead() -> Iterator[Spawned | None]:
    """A warm parent of our own Python for whoever takes it within the block; None when it does not start.

    Afterwards it is gone: a gateway that ended has ended it, one that never came up left it here.
    """
    try:
        spawned = spawn()
    except OSError:  # the first launch tries again and tells its job
        yield None
        return
    try:
        yield spawned
    finally:
        spawned.control.close()
        if spawned.process.returncode is None:
            spawned.process.kill()
            spawned.process.wait()
        spawned.log.close()
