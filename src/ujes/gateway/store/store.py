"""The durable records: jobs, instances, result sets, users, tokens and logins, in one SQL database.

Whatever an awaited write answers is on disk when it answers. Many callers share one commit (`writer.py`);
the `*_soon` writes take their turn in the same line and are not waited for. Reads run on threads of their
own and see everything that was acknowledged. A change of a job or an instance is stored only when the
stored record is still the one it was made from: its version decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Connection, Engine, Select, bindparam, delete, func, select, update

from ujes.core.errors import InternalError, NotFound
from ujes.core.instance import EngineInstance, InstanceStatus
from ujes.core.job import Job, JobState
from ujes.gateway.log import logger
from ujes.gateway.store import operations, rows, tables
from ujes.gateway.store.database import READERS_MAX, StoreRefused, cause_of, engines
from ujes.gateway.store.migrate import prepare
from ujes.gateway.store.records import Entry, JobPage, JobQuery, Login, NewJob, ResultSet, Token, User
from ujes.gateway.store.writer import OnFailure, Writer

__all__ = ["Store", "StoreRefused"]

A = TypeVar("A")
R = TypeVar("R")

# Built once: a Select of this many columns takes as long to build as to run.
_select_jobs = select(*[c for c in tables.jobs.columns if c.name != "lease_until_ms"])
_select_instances = select(*[c for c in tables.instances.columns if c.name != "lease_until_ms"])
_select_job = _select_jobs.where(tables.jobs.c.id == bindparam("at_key"))
_UNFINISHED = [state.value for state in JobState if not state.is_final]
_LIVE = [status.value for status in InstanceStatus if not status.is_final]


class Store:
    """Belongs to the event loop that opened it."""

    def __init__(self, writer_engine: Engine, reader_engine: Engine, on_failure: OnFailure) -> None:
        self._writer_engine = writer_engine
        self._reader_engine = reader_engine
        transactions = operations.Transactions(writer_engine)
        self._writer: Writer[operations.Operation] = Writer(transactions.run, on_failure)
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="store-reader")
        self._point_read = operations.Prepared(_select_job, ["at_key"], reader_engine.dialect)
        self._is_closed = False

    @classmethod
    async def open(cls, url: str, *, on_failure: OnFailure | None = None) -> Self:
        """Open, creating or migrating as needed. Raises StoreRefused with what to do.

        `on_failure` hears, on the loop, of every soon-write that could not be stored.
        """
        writer_engine, reader_engine = engines(url)
        try:
            await asyncio.get_running_loop().run_in_executor(None, prepare, writer_engine)
        except BaseException:
            writer_engine.dispose()
            raise
        return cls(writer_engine, reader_engine, on_failure or _log_failure)

    async def close(self) -> None:
        """Store everything in line, end the threads. A second call does nothing."""
        await self._writer.close()
        if not self._is_closed:
            self._is_closed = True
            self._readers.shutdown(wait=True)
            self._reader_engine.dispose()
            self._writer_engine.dispose()

    # --- jobs ---

    async def add_job(self, new: NewJob) -> Job:
        row = rows.job_row(rows.first_record(new, 0))
        job_id = cast("int", await self._writer.write(operations.AddJob(row)))
        return rows.first_record(new, job_id)

    async def save_job(self, before: Job, after: Job, entries: Sequence[Entry] = ()) -> bool:
        """Durable when it answers True; False when `before` is no longer what is stored, or has ended."""
        operation = _saved_job(before, after, entries)
        return not before.state.is_final and bool(await self._writer.write(operation))

    def save_job_soon(self, before: Job, after: Job, entries: Sequence[Entry] = ()) -> None:
        operation = _saved_job(before, after, entries)
        if before.state.is_final:
            raise InternalError(f"Job {before.id} has ended and cannot change.")
        self._writer.write_soon(operation)

    async def job(self, job_id: int) -> Job | None:
        return await self._on_reader(self._job_now, job_id)

    async def jobs(self, query: JobQuery) -> JobPage:
        return await self._read(lambda connection: _job_page(connection, query))

    async def unfinished_jobs(self) -> tuple[Job, ...]:
        jobs = tables.jobs
        statement = _select_jobs.where(jobs.c.state.in_(_UNFINISHED)).order_by(jobs.c.id)
        return await self._all(rows.job_of, statement)

    async def story(self, job_id: int) -> tuple[Entry, ...]:
        return await self._story("job", str(job_id))

    async def instance_story(self, tag: str) -> tuple[Entry, ...]:
        return await self._story("instance", tag)

    async def _story(self, subject: str, subject_id: str) -> tuple[Entry, ...]:
        e = tables.entries.c
        statement = (
            select(e.subject, e.subject_id, e.at_ms, e.kind, e.text)
            .where(e.subject == subject, e.subject_id == subject_id)
            .order_by(e.id)
        )
        return await self._all(rows.entry_of, statement)

    async def add_result(self, result: ResultSet) -> None:
        """A result set that is there already stays as it is."""
        await self._writer.write(operations.AddResult(rows.result_row(result)))

    def add_result_soon(self, result: ResultSet) -> None:
        self._writer.write_soon(operations.AddResult(rows.result_row(result)))

    async def results(self, job_id: int) -> tuple[ResultSet, ...]:
        results = tables.result_sets
        statement = select(results).where(results.c.job_id == job_id).order_by(results.c.number)
        return await self._all(rows.result_of, statement)

    # --- instances ---

    async def add_instance(self, instance: EngineInstance, entries: Sequence[Entry] = ()) -> None:
        row = rows.instance_row(instance)
        await self._writer.write(operations.AddInstance(row, _entry_rows(entries)))

    async def save_instance(
        self, before: EngineInstance, after: EngineInstance, entries: Sequence[Entry] = ()
    ) -> bool:
        """Durable when it answers True; False when `before` is no longer what is stored, or is over."""
        operation = _saved_instance(before, after, entries)
        return not before.status.is_final and bool(await self._writer.write(operation))

    def save_instance_soon(
        self, before: EngineInstance, after: EngineInstance, entries: Sequence[Entry] = ()
    ) -> None:
        operation = _saved_instance(before, after, entries)
        if before.status.is_final:
            raise InternalError(f"Instance {before.tag} is over and cannot change.")
        self._writer.write_soon(operation)

    async def instance(self, tag: str) -> EngineInstance | None:
        statement = _select_instances.where(tables.instances.c.tag == tag)
        return await self._first(rows.instance_of, statement)

    async def live_instances(self) -> tuple[EngineInstance, ...]:
        """Those that are not over, oldest first."""
        i = tables.instances.c
        statement = _select_instances.where(i.status.in_(_LIVE)).order_by(i.created_at_ms, i.tag)
        return await self._all(rows.instance_of, statement)

    # --- users, tokens, logins ---

    async def add_user(self, user: User) -> None:
        taken = f"There is a user `{user.name}` already."
        await self._writer.write(operations.AddRow(tables.users, rows.user_row(user), taken))

    async def user(self, name: str) -> User | None:
        return await self._first(rows.user_of, select(tables.users).where(tables.users.c.name == name))

    async def users(self) -> tuple[User, ...]:
        return await self._all(rows.user_of, select(tables.users).order_by(tables.users.c.name))

    async def save_user(self, user: User) -> None:
        """Give a known user another password or rank."""
        users = tables.users
        changed = {"password_hash": user.password_hash, "is_admin": user.is_admin}
        statement = update(users).where(users.c.name == user.name).values(changed)
        if not await self._change(statement):
            raise NotFound(f"There is no user `{user.name}`.")

    async def drop_user(self, name: str) -> bool:
        """Forget a user and end its logins; False when there was none."""
        logins = delete(tables.logins).where(tables.logins.c.user_name == name)
        return await self._change(logins, delete(tables.users).where(tables.users.c.name == name))

    async def add_token(self, token: Token) -> None:
        taken = f"There is a token `{token.id}` already."
        await self._writer.write(operations.AddRow(tables.tokens, rows.token_row(token), taken))

    async def token(self, token_hash: str) -> Token | None:
        tokens = tables.tokens
        return await self._first(rows.token_of, select(tokens).where(tokens.c.token_hash == token_hash))

    async def tokens(self) -> tuple[Token, ...]:
        t = tables.tokens.c
        return await self._all(rows.token_of, select(tables.tokens).order_by(t.created_at_ms, t.id))

    async def drop_token(self, token_id: str) -> bool:
        return await self._change(delete(tables.tokens).where(tables.tokens.c.id == token_id))

    def touch_token(self, token_hash: str, at_ms: int) -> None:
        """Note, soon, that it was used."""
        tokens = tables.tokens
        statement = update(tokens).where(tokens.c.token_hash == token_hash).values(last_used_at_ms=at_ms)
        self._writer.write_soon(operations.Touch(statement))

    async def add_login(self, login: Login) -> None:
        taken = "There is a login with this ticket already."
        await self._writer.write(operations.AddRow(tables.logins, rows.login_row(login), taken))

    async def logins(self) -> tuple[Login, ...]:
        """All of them, oldest first."""
        c = tables.logins.c
        return await self._all(rows.login_of, select(tables.logins).order_by(c.created_at_ms, c.ticket_hash))

    async def drop_login(self, ticket_hash: str) -> bool:
        return await self._change(delete(tables.logins).where(tables.logins.c.ticket_hash == ticket_hash))

    def touch_login(self, ticket_hash: str, at_ms: int) -> None:
        """Note, soon, that it was seen."""
        logins = tables.logins
        statement = update(logins).where(logins.c.ticket_hash == ticket_hash).values(seen_at_ms=at_ms)
        self._writer.write_soon(operations.Touch(statement))

    # --- the ways to the database ---

    async def _change(self, *statements: Any) -> bool:
        return bool(await self._writer.write(operations.Change(statements)))

    async def _first(self, record_of: Callable[[Sequence[Any]], R], statement: Select[Any]) -> R | None:
        def read(connection: Connection) -> R | None:
            row = connection.execute(statement).first()
            return None if row is None else record_of(row)

        return await self._read(read)

    async def _all(self, record_of: Callable[[Sequence[Any]], R], statement: Select[Any]) -> tuple[R, ...]:
        return await self._read(lambda c: tuple(record_of(row) for row in c.execute(statement)))

    async def _read(self, read: Callable[[Connection], R]) -> R:
        return await self._on_reader(self._read_now, read)

    async def _on_reader(self, function: Callable[[A], R], argument: A) -> R:
        if self._is_closed:
            raise InternalError("The store is closed.")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, function, argument)
        except Exception as fault:
            cause = cause_of(fault)
            raise InternalError(f"The database could not be read: {type(cause).__name__}: {cause}") from fault

    def _read_now(self, read: Callable[[Connection], R]) -> R:
        with self._reader_engine.connect() as connection:
            return read(connection)

    def _job_now(self, job_id: int) -> Job | None:
        """Read one job on the driver's cursor, three times faster than through Core."""
        connection = self._reader_engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(self._point_read.sql, (job_id,))
            row = cursor.fetchone()
            cursor.close()
        finally:
            connection.close()
        return None if row is None else rows.job_of(row)


def _saved_job(before: Job, after: Job, entries: Sequence[Entry]) -> operations.SaveJob:
    if after.id != before.id or after.version <= before.version:
        raise InternalError(
            f"Job {after.id}, version {after.version}, does not follow version {before.version}."
        )
    row = (*rows.job_changes(after), before.id, before.version)
    return operations.SaveJob(row, _entry_rows(entries))


def _saved_instance(
    before: EngineInstance, after: EngineInstance, entries: Sequence[Entry]
) -> operations.SaveInstance:
    if after.tag != before.tag or after.version <= before.version:
        raise InternalError(
            f"Instance {after.tag}, version {after.version}, does not follow version {before.version}."
        )
    row = (*rows.instance_row(after)[1:], before.tag, before.version)
    return operations.SaveInstance(row, _entry_rows(entries))


def _entry_rows(entries: Sequence[Entry]) -> tuple[rows.Row, ...]:
    return tuple(rows.entry_row(entry) for entry in entries)


def _job_page(connection: Connection, query: JobQuery) -> JobPage:
    jobs = tables.jobs
    wanted = _conditions(query)
    total = connection.execute(select(func.count()).select_from(jobs).where(*wanted)).scalar_one()
    statement = (
        _select_jobs.where(*wanted)
        .order_by(jobs.c.created_at_ms.desc(), jobs.c.id.desc())
        .offset(query.offset)
        .limit(query.limit)
    )
    return JobPage(jobs=tuple(rows.job_of(row) for row in connection.execute(statement)), total=total)


def _conditions(query: JobQuery) -> list[Any]:
    j = tables.jobs.c
    equal = {
        j.submitter: query.submitter,
        j.run_as: query.run_as,
        j.engine: query.engine,
        j.creator: query.creator,
        j.run_type: query.run_type,
        j.instance: query.instance,
    }
    wanted = [column == value for column, value in equal.items() if value is not None]
    if query.states:
        wanted.append(j.state.in_(sorted(state.value for state in query.states)))
    if query.ids:
        wanted.append(j.id.in_(query.ids))
    if query.created_from_ms is not None:
        wanted.append(j.created_at_ms >= query.created_from_ms)
    if query.created_to_ms is not None:
        wanted.append(j.created_at_ms <= query.created_to_ms)
    return wanted


def _log_failure(failure: Exception) -> None:
    logger().error("store.write_failed", error=str(failure), exc_info=failure)
