"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ujes.gateway.store.tables import LongText

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Key = sa.String(190)
_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _add_jobs()
    _add_entries()
    _add_result_sets()
    _add_instances()
    _add_users()


def _add_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _RowId, autoincrement=True, nullable=False),
        sa.Column("submitter", _Key, nullable=False),
        sa.Column("run_as", _Key, nullable=False),
        sa.Column("creator", _Key, nullable=False),
        sa.Column("engine", _Key, nullable=False),
        sa.Column("engine_version", _Key, nullable=False),
        sa.Column("run_type", _Key, nullable=False),
        sa.Column("code", LongText(), nullable=False),
        sa.Column("labels", LongText(), nullable=False),
        sa.Column("variables", LongText(), nullable=False),
        sa.Column("startup", LongText(), nullable=False),
        sa.Column("runtime", LongText(), nullable=False),
        sa.Column("params_json", LongText(), nullable=False),
        sa.Column("source", LongText(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("run_code", LongText()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("instance", _Key),
        sa.Column("is_reuse", sa.Boolean()),
        sa.Column("launch_failures", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("scheduled_at_ms", sa.BigInteger()),
        sa.Column("running_at_ms", sa.BigInteger()),
        sa.Column("ended_at_ms", sa.BigInteger()),
        sa.Column("cancel_by", _Key),
        sa.Column("cancel_reason", LongText()),
        sa.Column("cancel_at_ms", sa.BigInteger()),
        sa.Column("error_code", sa.BigInteger()),
        sa.Column("error", LongText()),
        sa.Column("node", _Key, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_index("ix_jobs_submitter_created_at_ms", "jobs", ["submitter", "created_at_ms"])
    op.create_index("ix_jobs_created_at_ms", "jobs", ["created_at_ms"])
    op.create_index("ix_jobs_instance", "jobs", ["instance"])


def _add_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("id", _RowId, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("subject_id", _Key, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", _Key, nullable=False),
        sa.Column("text", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entries_subject_subject_id", "entries", ["subject", "subject_id"])


def _add_result_sets() -> None:
    op.create_table(
        "result_sets",
        sa.Column("job_id", _RowId, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("path", LongText(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("columns", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_result_sets_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_result_sets"),
    )


def _add_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("tag", _Key, nullable=False),
        sa.Column("run_as", _Key, nullable=False),
        sa.Column("creator", _Key, nullable=False),
        sa.Column("engine", _Key, nullable=False),
        sa.Column("engine_version", _Key, nullable=False),
        sa.Column("is_once", sa.Boolean(), nullable=False),
        sa.Column("startup", LongText(), nullable=False),
        sa.Column("token_hash", _Key, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("reason", LongText()),
        sa.Column("handle", LongText()),
        sa.Column("wanted_by", sa.BigInteger()),
        sa.Column("job_id", sa.BigInteger()),
        sa.Column("jobs_done", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("idle_since_ms", sa.BigInteger()),
        sa.Column("node", _Key, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tag", name="pk_instances"),
    )
    op.create_index("ix_instances_status", "instances", ["status"])


def _add_users() -> None:
    op.create_table(
        "users",
        sa.Column("name", _Key, nullable=False),
        sa.Column("password_hash", LongText(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", _Key, nullable=False),
        sa.Column("token_hash", _Key, nullable=False),
        sa.Column("users", LongText(), nullable=False),
        sa.Column("hosts", LongText(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger()),
        sa.Column("last_used_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_tokens_token_hash"),
    )
    op.create_table(
        "logins",
        sa.Column("ticket_hash", _Key, nullable=False),
        sa.Column("user_name", _Key, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ticket_hash", name="pk_logins"),
    )
    op.create_index("ix_logins_user_name", "logins", ["user_name"])
