"""What goes to a server and comes back, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

_NOTHING: Mapping[str, str] = MappingProxyType({})

FINAL_STATES = frozenset({"Succeed", "Failed", "Cancelled", "Timeout", "Unknown"})

ResultKind = Literal["table", "text", "picture", "html", "file"]

#: A cell, as the Python type its column stands for.
Cell = object


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSpec:
    """What to run, and on what."""

    code: str
    #: engine type, with or without a version: `duckdb`, `spark-3.5.1`
    engine: str
    #: the language: sql, python, shell ...
    run_type: str
    #: name of the client application; limits and engine reuse go by it
    creator: str = "UJES"
    #: as whom to run; empty for the user of the client
    run_as: str = ""
    #: values for `${name}` in the code
    variables: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: options an engine starts with
    startup: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: options of this run alone
    runtime: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: further labels, e.g. {"executeOnce": ""}
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    #: where the code came from, e.g. {"scriptPath": "file:///..."}
    source: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """An accepted job."""

    #: `taskID`
    id: int
    exec_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as its history shows it; times are epoch milliseconds."""

    id: int
    #: empty when the server does not tell
    exec_id: str
    state: str
    #: 0..1
    progress: float
    engine: str
    run_type: str
    creator: str
    submitter: str
    run_as: str
    code: str
    error_code: int | None
    error: str | None
    log_path: str | None
    result_location: str | None
    #: host and number of the engine process
    instance: str | None
    created_at_ms: int
    updated_at_ms: int
    cost_ms: int | None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES


@dataclass(frozen=True, kw_only=True, slots=True)
class JobList:
    jobs: tuple[Job, ...]
    #: how many there are in all
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LogPart:
    lines: tuple[str, ...]
    #: number of the line to go on from
    next_line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A part of the work that counts its own tasks."""

    id: str
    total: int
    running: int
    failed: int
    succeeded: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    #: 0..1
    value: float
    stages: tuple[Stage, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    name: str
    #: bare lower-case name: int, bigint, decimal, string, timestamp ...
    type: str
    comment: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some rows of a result set, cells as text or None."""

    kind: ResultKind
    columns: tuple[Column, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A whole result set. A text has one column and a row for each line."""

    path: str
    kind: ResultKind
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def text(self) -> str:
        """The lines of a text, html or picture result."""
        return "\n".join("" if row[0] is None else str(row[0]) for row in self.rows if row)
