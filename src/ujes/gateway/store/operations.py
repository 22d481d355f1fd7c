"""What can be written, and how a batch of it becomes one transaction.

The hot statements (add a job, save one, entries) are written in Core, compiled once for the dialect, and
run on the driver's cursor, many rows in one statement. Measured on SQLite with 64 submitters, adding jobs
through Core's own RETURNING is half as fast, and a tenth as fast beside a busy event loop: the driver
gives the interpreter lock away at every row it returns, and has to win it back from the loop. Everything
else runs through Core as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Executable

from ujes.core.errors import InternalError, InvalidRequest
from ujes.gateway.store.database import is_integrity, translated
from ujes.gateway.store.rows import Row
from ujes.gateway.store.tables import entries, instances, jobs, result_sets

#: Rows of one INSERT are a power of two, so that few statements serve every batch and stay prepared.
_ROWS_MAX = 128

_UNLEASED_JOB = tuple(column.name for column in jobs.columns if column.name != "lease_until_ms")
_UNLEASED_INSTANCE = tuple(column.name for column in instances.columns if column.name != "lease_until_ms")
_JOB_CHANGES = _UNLEASED_JOB[_UNLEASED_JOB.index("run_code") :]
_INSTANCE_CHANGES = _UNLEASED_INSTANCE[1:]
_ENTRY = tuple(column.name for column in entries.columns if column.name != "id")


class Operation(Protocol):
    def apply(self, batch: Batch) -> object:
        """Write within the batch's transaction; what it returns is the caller's answer."""


class Prepared:
    """A Core statement compiled once, for the driver's own cursor and rows that are tuples."""

    def __init__(
        self, statement: Insert | Update | Select[Any], names: Sequence[str], dialect: Dialect
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        if compiled.positiontup != list(names):
            raise InternalError(f"Columns of a statement are out of order: {compiled.positiontup}")
        self.sql = str(compiled)


class ManyRows:
    """An INSERT of any number of rows in few statements."""

    def __init__(self, table: Table, names: Sequence[str], dialect: Dialect) -> None:
        one = Prepared(insert(table), names, dialect).sql
        head, _, values = one.partition(" VALUES ")
        self._sql = {n: f"{head} VALUES {', '.join([values] * n)}" for n in _powers_of_two()}

    def run(self, cursor: Any, rows: Sequence[Row]) -> None:
        done = 0
        for size in sorted(self._sql, reverse=True):
            while len(rows) - done >= size:
                cursor.execute(self._sql[size], tuple(chain.from_iterable(rows[done : done + size])))
                done += size


def _powers_of_two() -> Iterator[int]:
    size = 1
    while size <= _ROWS_MAX:
        yield size
        size *= 2


def _compare_and_set(table: Table, key: str, changes: Sequence[str], dialect: Dialect) -> Prepared:
    statement = (
        update(table)
        .where(table.c[key] == bindparam("at_key"), table.c.version == bindparam("at_version"))
        .values({name: bindparam(f"new_{name}") for name in changes})
    )
    return Prepared(statement, [*(f"new_{name}" for name in changes), "at_key", "at_version"], dialect)


class Statements:
    """The hot statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.add_jobs = ManyRows(jobs, _UNLEASED_JOB, dialect)
        self.add_entries = ManyRows(entries, _ENTRY, dialect)
        self.save_job = _compare_and_set(jobs, "id", _JOB_CHANGES, dialect)
        self.save_instance = _compare_and_set(instances, "tag", _INSTANCE_CHANGES, dialect)


class Batch:
    """One transaction in the making."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.connection = connection
        self.statements = statements
        self.cursor: Any = connection.connection.cursor()
        self.entries: list[Row] = []

    def change(self, statement: Prepared, row: Row) -> bool:
        self.cursor.execute(statement.sql, row)
        return bool(self.cursor.rowcount == 1)

    def add_jobs(self, rows: Sequence[Row]) -> Iterable[int]:
        """The new rows' ids, in their order."""
        if self.connection.dialect.name == "sqlite":
            return self._add_numbered_jobs(rows)
        statement = insert(jobs).returning(jobs.c.id, sort_by_parameter_order=True)
        named = [dict(zip(_UNLEASED_JOB[1:], row, strict=True)) for row in rows]
        return self.connection.execute(statement, named).scalars().all()

    def _add_numbered_jobs(self, rows: Sequence[Row]) -> Iterable[int]:
        # The write lock is ours, so the next numbers are, too. SQLite promises no order for
        # RETURNING, and hands the interpreter lock around once for every row it returns.
        self.cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")
        last = self.cursor.fetchone()
        first = 1 if last is None else last[0] + 1
        ids = range(first, first + len(rows))
        self.statements.add_jobs.run(self.cursor, [(i, *row) for i, row in zip(ids, rows, strict=True)])
        return ids

    def finish(self) -> None:
        """Write what was collected, just before the commit."""
        if self.entries:
            self.statements.add_entries.run(self.cursor, self.entries)
        self.cursor.close()


# --- the operations ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddJob:
    """All of a batch go first and together: nobody can know, or refer to, an id before the commit."""

    row: Row

    def apply(self, batch: Batch) -> int:
        return next(iter(batch.add_jobs([self.row])))


@dataclass(frozen=True, slots=True)
class SaveJob:
    row: Row
    entries: tuple[Row, ...] = ()

    def apply(self, batch: Batch) -> bool:
        is_won = batch.change(batch.statements.save_job, self.row)
        if is_won:
            batch.entries.extend(self.entries)
        return is_won


@dataclass(frozen=True, slots=True)
class SaveInstance:
    row: Row
    entries: tuple[Row, ...] = ()

    def apply(self, batch: Batch) -> bool:
        is_won = batch.change(batch.statements.save_instance, self.row)
        if is_won:
            batch.entries.extend(self.entries)
        return is_won


@dataclass(frozen=True, slots=True)
class AddInstance:
    row: Row
    entries: tuple[Row, ...] = ()

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(insert(instances), dict(zip(_UNLEASED_INSTANCE, self.row, strict=True)))
        batch.entries.extend(self.entries)


@dataclass(frozen=True, slots=True)
class AddResult:
    """Told twice, stored once."""

    row: Row

    def apply(self, batch: Batch) -> None:
        job_id, number = self.row[:2]
        known = select(text("1")).where(result_sets.c.job_id == job_id, result_sets.c.number == number)
        if batch.connection.execute(known).first() is None:
            batch.connection.execute(insert(result_sets), _named(result_sets, self.row))


@dataclass(frozen=True, slots=True)
class AddRow:
    table: Table
    row: Row
    #: what to say when its key is taken
    taken: str

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(insert(self.table), _named(self.table, self.row))


@dataclass(frozen=True, slots=True)
class Change:
    """Core statements that belong together; answers how many rows the last one changed."""

    statements: tuple[Executable, ...]

    def apply(self, batch: Batch) -> int:
        return [batch.connection.execute(statement).rowcount for statement in self.statements][-1]


@dataclass(frozen=True, slots=True)
class Touch:
    """A time to note when the row is still there."""

    statement: Executable

    def apply(self, batch: Batch) -> None:
        batch.connection.execute(self.statement)


def _named(table: Table, row: Row) -> dict[str, Any]:
    return dict(zip(table.columns.keys(), row, strict=True))


# --- a transaction ----------------------------------------------------------------------------


class Transactions:
    """Runs operations in one durable transaction each time; used by the writer's thread alone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = Statements(engine.dialect)

    def run(self, operations: Sequence[Operation]) -> list[object]:
        """Each operation's answer, in order. When this raises, nothing of it is stored."""
        try:
            with self._engine.begin() as connection:
                batch = Batch(connection, self._statements)
                answers = _apply_all(batch, operations)
                batch.finish()
        except Exception as fault:
            raise _explained(fault, operations) from fault
        return answers


def _apply_all(batch: Batch, operations: Sequence[Operation]) -> list[object]:
    rows = [operation.row for operation in operations if isinstance(operation, AddJob)]
    ids = iter(batch.add_jobs(rows) if rows else ())
    return [
        next(ids) if isinstance(operation, AddJob) else operation.apply(batch) for operation in operations
    ]


def _explained(fault: Exception, operations: Sequence[Operation]) -> Exception:
    only = operations[0] if len(operations) == 1 else None
    if isinstance(only, AddRow) and is_integrity(fault):
        return InvalidRequest(only.taken)
    return translated(fault)
