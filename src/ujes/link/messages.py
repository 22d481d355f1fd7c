"""What the gateway and an engine host say to each other.

The host dials and says `Hello`; the gateway answers `Welcome`. After that both sides send what follows
from their state. Every message may be repeated after a broken connection; each is written so that a
repetition changes nothing:

- `Lines.first` is the number of its first line in the job's log, so a line already kept is recognised;
- `Result` carries its index, `Accepted` and `Ended` are facts about one job;
- `Run` for a job the host already has is ignored.

What the host has said about a job it keeps (in a bounded buffer) until `Ack` says how many log lines
are kept and `Forget` says that the job's end is durable.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: Raised when a message changes its meaning; hosts and gateway of other versions refuse each other.
LINK_VERSION = 1


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", forbid_unknown_fields=False):
    """Any message; the tag is the class's name."""


class HostJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job the host has not been told to forget."""

    job: int
    #: number of the first log line the host wrote for it
    first_line: int
    has_ended: bool


# --- host to gateway ---------------------------------------------------------------------------


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame of every connection."""

    version: int
    tag: str
    token: str
    pid: int
    engine: str
    #: opening: `Opened` or `OpenFailed` will follow; open: the engine is ready, or runs `jobs`
    phase: Literal["opening", "open"]
    jobs: list[HostJob]


class Opened(Frame, frozen=True, kw_only=True, tag="opened"):
    """The engine is ready to run jobs."""

    #: e.g. "DuckDB 2.0.0, 2 threads, memory limit 1.0 GiB"
    banner: str


class OpenFailed(Frame, frozen=True, kw_only=True, tag="open_failed"):
    """The engine could not be opened; the host ends."""

    code: int
    text: str


class Accepted(Frame, frozen=True, kw_only=True, tag="accepted"):
    """The host has the job and begins it."""

    job: int


class Lines(Frame, frozen=True, kw_only=True, tag="lines"):
    """Log lines, complete as they stand in the log, without line ends."""

    job: int
    first: int
    lines: list[str]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the work that counts its own tasks (`progressInfo`)."""

    id: str
    total: int
    running: int = 0
    failed: int = 0
    succeeded: int = 0


class Progress(Frame, frozen=True, kw_only=True, tag="progress"):
    """How far the job is, 0..1 over all statements; at most four a second."""

    job: int
    value: float
    stages: list[Stage] = []


class Result(Frame, frozen=True, kw_only=True, tag="result"):
    """A result set is complete and can be read."""

    job: int
    index: int
    path: str
    kind: Literal["table", "text", "html", "picture"]
    rows: int
    columns: int
    size_bytes: int


class Ended(Frame, frozen=True, kw_only=True, tag="ended"):
    """The run is over; nothing of it runs any more."""

    job: int
    outcome: Literal["succeed", "failed", "cancelled"]
    code: int | None = None
    text: str | None = None


class Leaving(Frame, frozen=True, kw_only=True, tag="leaving"):
    """The host ends by itself and says why."""

    reason: str


# --- gateway to host ---------------------------------------------------------------------------


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a job's log the gateway has."""

    job: int
    #: number of the next line the gateway needs
    next_line: int


class Welcome(Frame, frozen=True, kw_only=True, tag="welcome"):
    """The host is known. What it holds of jobs in neither list it keeps until told."""

    version: int
    kept: list[Kept] = []
    #: jobs whose end is durable
    forget: list[int] = []


class Run(Frame, frozen=True, kw_only=True, tag="run"):
    """Run this job now. The host has at most one at a time."""

    job: int
    code: str
    run_type: str
    #: options of this run: `params.configuration.runtime`
    runtime: dict[str, str]
    #: folder the result sets are written to; the host makes it
    result_dir: str
    #: number the job's next log line gets
    first_line: int
    #: who runs it and for what, shown to the code as environment variables
    env: dict[str, str]


class Interrupt(Frame, frozen=True, kw_only=True, tag="interrupt"):
    """End this job now; `Ended` follows when nothing of it runs any more."""

    job: int


class Ack(Frame, frozen=True, kw_only=True, tag="ack"):
    """Log lines before `next_line` are kept."""

    job: int
    next_line: int


class Forget(Frame, frozen=True, kw_only=True, tag="forget"):
    """The job's end is durable."""

    job: int


class Stop(Frame, frozen=True, kw_only=True, tag="stop"):
    """Close the engine and end. A running job is interrupted first."""

    reason: str


FromHost = Hello | Opened | OpenFailed | Accepted | Lines | Progress | Result | Ended | Leaving
FromGateway = Welcome | Run | Interrupt | Ack | Forget | Stop
