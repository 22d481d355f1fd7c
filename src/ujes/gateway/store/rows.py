"""Records to rows and back. A row is a tuple in the order of its table's columns.

The tuples are built by hand: these functions run for every job on the gateway's one core, and the
order is checked once against the tables, in `operations.Prepared`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from ujes.core.errors import InvalidRequest
from ujes.core.instance import EngineInstance, InstanceStatus, InstanceTarget
from ujes.core.job import Cancel, Job, JobRequest, JobState, QueueKey, transition
from ujes.gateway.store.records import Entry, Login, NewJob, ResultSet, Token, User

Row = tuple[Any, ...]

NO_UNICODE = "The text holds characters that are no Unicode (lone surrogates)."

_NOTHING: Mapping[str, str] = MappingProxyType({})
_decode_map = msgspec.json.Decoder(dict[str, str]).decode
_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode
_encode = msgspec.json.Encoder().encode
_STATES = {state.value: state for state in JobState}


def map_text(values: Mapping[str, str]) -> str:
    if not values:
        return "{}"
    try:
        return _encode(dict(values)).decode()
    except UnicodeEncodeError:
        raise InvalidRequest(NO_UNICODE) from None


def map_of(text: str) -> Mapping[str, str]:
    return _NOTHING if text == "{}" else MappingProxyType(_decode_map(text))


# --- jobs -------------------------------------------------------------------------------------


def first_record(new: NewJob, job_id: int) -> Job:
    """The record a new job starts with; one that was refused is over at once."""
    job = Job(
        id=job_id,
        request=new.request,
        run_code=new.run_code,
        created_at_ms=new.now_ms,
        updated_at_ms=new.now_ms,
        node=new.node,
    )
    return job if new.refusal is None else transition(job, new.refusal, new.now_ms)


def job_row(job: Job) -> Row:
    """Everything but the id, which the database gives, and the lease."""
    request = job.request
    return (
        request.submitter,
        request.run_as,
        request.creator,
        request.engine,
        request.engine_version,
        request.run_type,
        request.code,
        map_text(request.labels),
        map_text(request.variables),
        map_text(request.startup),
        map_text(request.runtime),
        request.params_json,
        map_text(request.source),
        job.created_at_ms,
        *job_changes(job),
    )


def job_changes(job: Job) -> Row:
    """The columns that change while a job lives."""
    cancel = job.cancel
    return (
        job.run_code,
        # `_value_` is `value` without the descriptor call, a fifth of this function's time.
        job.state._value_,
        job.progress,
        job.instance,
        job.is_reuse,
        job.launch_failures,
        job.updated_at_ms,
        job.scheduled_at_ms,
        job.running_at_ms,
        job.ended_at_ms,
        None if cancel is None else cancel.by,
        None if cancel is None else cancel.reason,
        None if cancel is None else cancel.at_ms,
        job.error_code,
        job.error,
        job.node,
        job.version,
    )


def job_of(row: Sequence[Any]) -> Job:
    """The job of a row of all columns but the lease."""
    is_reuse, cancel_by = row[19], row[25]
    return Job(
        id=row[0],
        request=_request_of(row),
        run_code=row[15],
        state=_STATES[row[16]],
        progress=row[17],
        instance=row[18],
        is_reuse=None if is_reuse is None else bool(is_reuse),
        launch_failures=row[20],
        created_at_ms=row[14],
        updated_at_ms=row[21],
        scheduled_at_ms=row[22],
        running_at_ms=row[23],
        ended_at_ms=row[24],
        cancel=None if cancel_by is None else Cancel(by=cancel_by, reason=row[26], at_ms=row[27]),
        error_code=row[28],
        error=row[29],
        node=row[30],
        version=row[31],
    )


def _request_of(row: Sequence[Any]) -> JobRequest:
    return JobRequest(
        submitter=row[1],
        run_as=row[2],
        creator=row[3],
        engine=row[4],
        engine_version=row[5],
        run_type=row[6],
        code=row[7],
        labels=map_of(row[8]),
        variables=map_of(row[9]),
        startup=map_of(row[10]),
        runtime=map_of(row[11]),
        params_json=row[12],
        source=map_of(row[13]),
    )


# --- what else is kept ------------------------------------------------------------------------


def entry_row(entry: Entry) -> Row:
    return (entry.subject, entry.subject_id, entry.at_ms, entry.kind, entry.text)


def entry_of(row: Sequence[Any]) -> Entry:
    subject, subject_id, at_ms, kind, text = row
    return Entry(subject=subject, subject_id=subject_id, at_ms=at_ms, kind=kind, text=text)


def result_row(result: ResultSet) -> Row:
    return (
        result.job_id,
        result.index,
        result.path,
        result.kind,
        result.rows,
        result.columns,
        result.size_bytes,
    )


def result_of(row: Sequence[Any]) -> ResultSet:
    job_id, number, path, kind, rows, columns, size_bytes = row
    return ResultSet(
        job_id=job_id, index=number, path=path, kind=kind, rows=rows, columns=columns, size_bytes=size_bytes
    )


def instance_row(instance: EngineInstance) -> Row:
    """Everything but the lease; the tag comes first."""
    queue = instance.queue
    return (
        instance.tag,
        queue.run_as,
        queue.creator,
        queue.engine,
        instance.engine_version,
        instance.is_once,
        map_text(instance.startup),
        instance.token_hash,
        instance.status.value,
        instance.target.value,
        instance.reason,
        instance.handle,
        instance.wanted_by,
        instance.job_id,
        instance.jobs_done,
        instance.created_at_ms,
        instance.updated_at_ms,
        instance.idle_since_ms,
        instance.node,
        instance.version,
    )


def instance_of(row: Sequence[Any]) -> EngineInstance:
    return EngineInstance(
        tag=row[0],
        queue=QueueKey(run_as=row[1], creator=row[2], engine=row[3]),
        engine_version=row[4],
        is_once=bool(row[5]),
        startup=map_of(row[6]),
        token_hash=row[7],
        status=InstanceStatus(row[8]),
        target=InstanceTarget(row[9]),
        reason=row[10],
        handle=row[11],
        wanted_by=row[12],
        job_id=row[13],
        jobs_done=row[14],
        created_at_ms=row[15],
        updated_at_ms=row[16],
        idle_since_ms=row[17],
        node=row[18],
        version=row[19],
    )


def user_row(user: User) -> Row:
    return (user.name, user.password_hash, user.is_admin, user.created_at_ms)


def user_of(row: Sequence[Any]) -> User:
    name, password_hash, is_admin, created_at_ms = row
    return User(name=name, password_hash=password_hash, is_admin=bool(is_admin), created_at_ms=created_at_ms)


def token_row(token: Token) -> Row:
    return (
        token.id,
        token.token_hash,
        _encode(token.users).decode(),
        _encode(token.hosts).decode(),
        token.created_at_ms,
        token.expires_at_ms,
        token.last_used_at_ms,
    )


def token_of(row: Sequence[Any]) -> Token:
    return Token(
        id=row[0],
        token_hash=row[1],
        users=_decode_names(row[2]),
        hosts=_decode_names(row[3]),
        created_at_ms=row[4],
        expires_at_ms=row[5],
        last_used_at_ms=row[6],
    )


def login_row(login: Login) -> Row:
    return (login.ticket_hash, login.user, login.created_at_ms, login.seen_at_ms)


def login_of(row: Sequence[Any]) -> Login:
    ticket_hash, user, created_at_ms, seen_at_ms = row
    return Login(ticket_hash=ticket_hash, user=user, created_at_ms=created_at_ms, seen_at_ms=seen_at_ms)
