"""Runs the migrations inside the transaction, and under the lock, of `migrate.prepare`."""

from __future__ import annotations

from alembic import context

from ujes.gateway.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes columns by copying the table.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
