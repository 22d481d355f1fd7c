"""A database as the store opens it, and its faults in our words.

SQLite gives durability only when asked: WAL, full sync, and a write transaction that takes its lock at
the start, so that it waits (`BUSY_TIMEOUT_S`) instead of failing half way.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from ujes.core.errors import InternalError, InvalidRequest, StorageFull, UjesError
from ujes.gateway.store.rows import NO_UNICODE

#: How long a write waits for another process (the command line, a backup) to finish its own.
BUSY_TIMEOUT_S = 5.0
#: Reads that may run at once.
READERS_MAX = 3
#: Prepared statements kept by a connection: the store has about forty.
_STATEMENTS_MAX = 256
_PRIVATE = 0o600


class StoreRefused(UjesError):
    """The database cannot be used."""


class StorageBusy(StorageFull):
    """The database is locked by another program. Try again."""


def engines(url: str) -> tuple[Engine, Engine]:
    """One engine to write with, on a single connection, and one to read with."""
    address = _address(url)
    if address.get_backend_name() == "sqlite":
        _keep_private(Path(str(address.database)))
        return _sqlite_writer(address), _sqlite_reader(address)
    # Positions, not names, on every driver: rows are tuples.
    options: dict[str, Any] = {"paramstyle": "format", "pool_pre_ping": True}
    writer = create_engine(address, pool_size=1, max_overflow=0, **options)
    reader = create_engine(address, pool_size=READERS_MAX, isolation_level="AUTOCOMMIT", **options)
    return writer, reader


def _address(url: str) -> URL:
    try:
        address = make_url(url)
        address.get_dialect().import_dbapi()
    except ModuleNotFoundError as fault:
        raise StoreRefused(
            f"The setting `database` names a database whose driver, {fault.name}, is not installed."
        ) from None
    except (ArgumentError, NoSuchModuleError) as fault:
        # The URL itself may hold a password and is not repeated.
        raise StoreRefused(
            f"The setting `database` is not a usable SQLAlchemy URL ({type(fault).__name__}). "
            "An example: sqlite:////var/lib/ujes/ujes.db"
        ) from None
    if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
        raise StoreRefused("A database in memory keeps nothing. Name a file: sqlite:////var/lib/ujes/ujes.db")
    return address


def place(engine: Engine) -> str:
    """Where the database is, without its password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.render_as_string(hide_password=True)


def _sqlite_writer(address: URL) -> Engine:
    engine = create_engine(address, pool_size=1, max_overflow=0, connect_args=_sqlite_options())
    event.listen(engine, "connect", _on_sqlite_writer)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _sqlite_reader(address: URL) -> Engine:
    engine = create_engine(
        address,
        pool_size=READERS_MAX,
        max_overflow=0,
        # A read leaves no transaction behind to roll back.
        pool_reset_on_return=None,
        connect_args=_sqlite_options(),
    )
    event.listen(engine, "connect", _on_sqlite_reader)
    return engine


def _keep_private(database: Path) -> None:
    """The database is for its owner alone; files SQLite puts beside it get the rights it has."""
    for name in (database.name, f"{database.name}-wal", f"{database.name}-shm"):
        with suppress(OSError):  # not there; or unusable, which SQLite tells better
            database.with_name(name).chmod(_PRIVATE)
    with suppress(OSError):
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))


def _sqlite_options() -> dict[str, Any]:
    # No isolation level: the driver begins nothing by itself.
    return {"timeout": BUSY_TIMEOUT_S, "isolation_level": None, "cached_statements": _STATEMENTS_MAX}


def _on_sqlite_writer(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # macOS alone: without it a sync does not reach the disk.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")


def _on_sqlite_reader(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# --- faults -----------------------------------------------------------------------------------


def cause_of(fault: BaseException) -> BaseException:
    """The driver's own exception."""
    return fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault


def is_integrity(fault: BaseException) -> bool:
    """Whether a key was taken, or a row it points to is not there; every driver has the class."""
    return any(kind.__name__ == "IntegrityError" for kind in type(cause_of(fault)).__mro__)


def translated(fault: Exception) -> UjesError:
    """A fault of a write, in our words. What passes by itself is a StorageFull."""
    if isinstance(fault, UjesError):
        return fault
    cause = cause_of(fault)
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name == "SQLITE_FULL":
        return StorageFull()
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageBusy()
    if name.startswith("SQLITE_IOERR"):
        return StorageFull(f"The disk that holds the database does not take writes ({name}).")
    if isinstance(cause, UnicodeEncodeError):
        return InvalidRequest(NO_UNICODE)
    return InternalError(f"The database refused a write: {type(cause).__name__}.")
