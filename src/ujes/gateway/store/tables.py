"""The tables, once, in types that SQLite, PostgreSQL and MySQL share.

A change here needs a migration beside it (`migrations/versions`) and its number in `migrate.REVISIONS`;
a test fails while the two disagree. Columns `node`, `lease_until_ms`, `version` and the instance's tag
are what several gateways over one database need. Times are epoch milliseconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles


class LongText(Text):
    """Text of any length: MySQL's plain TEXT ends at 64 KB."""

    inherit_cache = True
    __visit_name__ = "long_text"


@compiles(LongText)
def _render_text(_type: LongText, _compiler: Any, **_: Any) -> str:
    return "TEXT"


@compiles(LongText, "mysql", "mariadb")
def _render_longtext(_type: LongText, _compiler: Any, **_: Any) -> str:
    return "LONGTEXT"


#: Texts in keys and indexes need a length on MySQL; 190 four-byte characters fit every index there.
KEY_CHARS_MAX = 190
#: SQLite counts up by itself only in a column called INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


def _key(name: str, **options: Any) -> Column[str]:
    return Column(name, String(KEY_CHARS_MAX), nullable=False, **options)


def _long(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, LongText(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger(), nullable=nullable)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger(), nullable=False)


jobs = Table(
    "jobs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    _key("submitter"),
    _key("run_as"),
    _key("creator"),
    _key("engine"),
    _key("engine_version"),
    _key("run_type"),
    _long("code"),
    _long("labels"),
    _long("variables"),
    _long("startup"),
    _long("runtime"),
    _long("params_json"),
    _long("source"),
    _time("created_at_ms"),
    # From here on it changes while the job lives.
    _long("run_code", nullable=True),
    Column("state", String(16), nullable=False),
    Column("progress", Double(), nullable=False),
    Column("instance", String(KEY_CHARS_MAX)),
    Column("is_reuse", Boolean()),
    _count("launch_failures"),
    _time("updated_at_ms"),
    _time("scheduled_at_ms", nullable=True),
    _time("running_at_ms", nullable=True),
    _time("ended_at_ms", nullable=True),
    Column("cancel_by", String(KEY_CHARS_MAX)),
    _long("cancel_reason", nullable=True),
    _time("cancel_at_ms", nullable=True),
    Column("error_code", BigInteger()),
    _long("error", nullable=True),
    _key("node"),
    _count("version"),
    _time("lease_until_ms", nullable=True),
    Index("ix_jobs_state", "state"),
    Index("ix_jobs_submitter_created_at_ms", "submitter", "created_at_ms"),
    Index("ix_jobs_created_at_ms", "created_at_ms"),
    Index("ix_jobs_instance", "instance"),
    # A number is never given twice, not even after the newest rows were deleted.
    sqlite_autoincrement=True,
)

entries = Table(
    "entries",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("subject", String(16), nullable=False),
    _key("subject_id"),
    _time("at_ms"),
    _key("kind"),
    _long("text"),
    Index("ix_entries_subject_subject_id", "subject", "subject_id"),
    sqlite_autoincrement=True,
)

result_sets = Table(
    "result_sets",
    metadata,
    Column("job_id", RowId, ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("number", Integer(), primary_key=True, autoincrement=False),
    _long("path"),
    Column("kind", String(16), nullable=False),
    _count("rows"),
    _count("columns"),
    _count("size_bytes"),
)

instances = Table(
    "instances",
    metadata,
    _key("tag", primary_key=True),
    _key("run_as"),
    _key("creator"),
    _key("engine"),
    _key("engine_version"),
    Column("is_once", Boolean(), nullable=False),
    _long("startup"),
    _key("token_hash"),
    Column("status", String(16), nullable=False),
    Column("target", String(16), nullable=False),
    _long("reason", nullable=True),
    _long("handle", nullable=True),
    Column("wanted_by", BigInteger()),
    Column("job_id", BigInteger()),
    _count("jobs_done"),
    _time("created_at_ms"),
    _time("updated_at_ms"),
    _time("idle_since_ms", nullable=True),
    _key("node"),
    _count("version"),
    _time("lease_until_ms", nullable=True),
    Index("ix_instances_status", "status"),
)

users = Table(
    "users",
    metadata,
    _key("name", primary_key=True),
    _long("password_hash"),
    Column("is_admin", Boolean(), nullable=False),
    _time("created_at_ms"),
)

tokens = Table(
    "tokens",
    metadata,
    _key("id", primary_key=True),
    _key("token_hash", unique=True),
    _long("users"),
    _long("hosts"),
    _time("created_at_ms"),
    _time("expires_at_ms", nullable=True),
    _time("last_used_at_ms", nullable=True),
)

logins = Table(
    "logins",
    metadata,
    _key("ticket_hash", primary_key=True),
    _key("user_name"),
    _time("created_at_ms"),
    _time("seen_at_ms"),
    Index("ix_logins_user_name", "user_name"),
)
