"""Alembic's folder: `env.py` runs what is in `versions` on the connection `migrate.py` hands it."""
