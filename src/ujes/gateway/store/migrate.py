"""Brings a database to the tables this version knows, or refuses it with a sentence.

Most starts find nothing to do, and Alembic costs a quarter of a second to import: the stored revision
is read with plain SQL, an empty database is made from the tables at once (a test proves that both ways
end the same), and only an older one brings Alembic in. All of it happens in one transaction that holds
the write lock, so that of two gateways started together one waits and then finds the work done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from ujes.gateway.store.database import StoreRefused, cause_of, place
from ujes.gateway.store.tables import metadata

#: Every revision, oldest first, as in `migrations/versions`.
REVISIONS = ("0001",)
HEAD = REVISIONS[-1]

_VERSION_TABLE = "alembic_version"
_GRANT = "Make its folder, and give the gateway's user read and write permission for both."
_FOLDER = Path(__file__).parent / "migrations"


def prepare(engine: Engine) -> None:
    """Make the database ready for use. Called once at open, before anything else touches it."""
    with _refusing(engine), engine.begin() as connection:
        names = inspect(connection).get_table_names()
        if _VERSION_TABLE in names:
            _upgrade(connection, _stored_revision(connection))
        elif names:
            raise StoreRefused(
                f"{place(engine)} is a database of another program. "
                "Name another file or database in the setting `database`."
            )
        else:
            _create(connection)


def _stored_revision(connection: Connection) -> str | None:
    version = table(_VERSION_TABLE, column("version_num"))
    revision = connection.execute(select(version.c.version_num)).scalar()
    return None if revision is None else str(revision)


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def _upgrade(connection: Connection, revision: str | None) -> None:
    if revision == HEAD:
        return
    if revision is not None and revision not in REVISIONS:
        raise StoreRefused(
            f"{place(connection.engine)} was written by a newer UJES "
            f"(revision {revision}, this one knows up to {HEAD}). "
            "Upgrade UJES, or restore the backup made before the upgrade."
        )
    run_migrations(connection)


def run_migrations(connection: Connection, target: str = "head") -> None:
    """Run Alembic on a connection that is in a transaction."""
    from alembic import command  # noqa: PLC0415 - only when there is something to migrate
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, target)


# --- what is wrong with a database that does not open -----------------------------------------


@contextlib.contextmanager
def _refusing(engine: Engine) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as fault:
        raise StoreRefused(_sentence(fault, engine)) from fault


def _sentence(fault: SQLAlchemyError, engine: Engine) -> str:
    name = str(getattr(cause_of(fault), "sqlite_errorname", ""))
    where = place(engine)
    if name == "SQLITE_NOTADB":
        return f"{where} is not a database. Move it away to start with an empty one, or restore a backup."
    if name.startswith("SQLITE_CORRUPT"):
        return (
            f"The database {where} is damaged. Restore a backup, or move it away "
            "(with its -wal and -shm files) to start with an empty one."
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return _cannot_open(Path(where))
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return f"The database {where} may not be written. {_GRANT}"
    if name.startswith("SQLITE_BUSY"):
        return f"The database {where} is locked by another program. End that program and start again."
    if name == "SQLITE_FULL":
        return f"There is no space left for the database {where}. Make room and start again."
    return f"The database {where} cannot be used: {type(cause_of(fault)).__name__}: {cause_of(fault)}"


def _cannot_open(file: Path) -> str:
    if _is_folder(file):
        return f"{file} is a folder, not a database file. Name a file in the setting `database`."
    if not _is_folder(file.parent):
        return f"The folder {file.parent} of the database is not there, or may not be entered. {_GRANT}"
    return f"The database {file} cannot be opened. {_GRANT}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False
