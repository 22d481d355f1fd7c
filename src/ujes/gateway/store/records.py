"""What the store keeps besides jobs and instances, and what it is asked for. All frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ujes.core.job import Job, JobRequest, JobState, Refused


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job about to be stored. With a refusal its row is Failed from the start."""

    request: JobRequest
    now_ms: int
    node: str
    run_code: str | None = None
    refusal: Refused | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the story of a job or an instance: what happened, when, and why."""

    subject: Literal["job", "instance"]
    subject_id: str
    at_ms: int
    kind: str
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobQuery:
    """Which jobs, newest first; None is no filter."""

    submitter: str | None = None
    run_as: str | None = None
    states: frozenset[JobState] = frozenset()
    ids: tuple[int, ...] = ()
    engine: str | None = None
    creator: str | None = None
    run_type: str | None = None
    instance: str | None = None
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    offset: int = 0
    limit: int = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPage:
    jobs: tuple[Job, ...]
    #: how many jobs the query finds in all
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultSet:
    """A complete result set of a job."""

    job_id: int
    #: its number within the job, 0, 1, 2 ...
    index: int
    path: str
    kind: Literal["table", "text", "html", "picture"]
    rows: int
    columns: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    name: str
    #: argon2
    password_hash: str
    is_admin: bool
    created_at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A secret that lets its bearer act as `users`."""

    #: short public name, to list and revoke by
    id: str
    #: SHA-256, hexadecimal
    token_hash: str
    #: "*" is everybody
    users: tuple[str, ...]
    #: "*" is everywhere
    hosts: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None = None
    last_used_at_ms: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """An authenticated visit, known to the browser by its ticket."""

    #: SHA-256, hexadecimal
    ticket_hash: str
    user: str
    created_at_ms: int
    seen_at_ms: int
