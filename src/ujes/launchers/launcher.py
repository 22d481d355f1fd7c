"""The port of a launcher: starts engine instances somewhere, finds them again, and stops them.

The reconciler calls it; the handle is the launcher's own JSON text, which nobody else reads. The tag was
chosen and stored before `launch`, so whatever a broken start left behind can be found by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLimits:
    """Limits of one engine process, 0 for none."""

    #: address space
    memory_bytes: int = 0
    #: CPU seconds over the life of the process
    cpu_s: int = 0
    open_files: int = 0
    processes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchOrder:
    """Everything an instance needs to start."""

    tag: str
    #: engine type, found by entry point in the instance's own Python
    engine: str
    #: the Python that runs it; "" is the gateway's own
    python: str = ""
    user: str
    #: account of the operating system it runs as; "" is the gateway's own
    account: str = ""
    startup: Mapping[str, str]
    work_dir: Path
    roots: tuple[Path, ...]
    #: unix:///path or tcp://host:port
    gateway_address: str
    #: secret; never in arguments, environment or logs
    token: str
    env: Mapping[str, str]
    limits: ProcessLimits
    #: without a gateway and without a job, the host leaves after this
    orphan_timeout_s: float
    #: log lines of one job are cut off here, result sets go on
    log_bytes_max: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StopTimes:
    """How long each step of a stop may take before the next, stronger one."""

    interrupt_s: float = 0.5
    terminate_s: float = 0.5
    kill_s: float = 5.0


class LaunchError(Exception):
    """The instance could not be started; the text says why, for the user."""


class Launcher(Protocol):
    def launch(self, order: LaunchOrder) -> AsyncIterator[str]:
        """Start an instance; yields a handle after each stage. Raises `LaunchError`."""

    async def find(self, tag: str) -> str | None:
        """A handle for what lives under `tag`, or None when nothing does."""

    async def check(self, tag: str, handle: str | None) -> str | None:
        """None while the instance lives, else how it ended, as far as can be told."""

    async def stop(self, tag: str, handle: str | None, times: StopTimes) -> None:
        """End every process of the instance; returns when none is left. Any partial state will do."""
