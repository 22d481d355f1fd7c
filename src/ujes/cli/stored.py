"""Commands that write to the store of a home directly, whether a gateway runs on it or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from ujes.cli.connect import home_option
from ujes.cli.serve import load_settings
from ujes.gateway.store.store import Store

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

database_option = click.option(
    "--database", metavar="URL", help="SQLAlchemy URL of the store; SQLite in the home if not given."
)


def store_options(command: F) -> F:
    return home_option(database_option(command))


def with_store(home: Path, database: str | None, work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` returns, on the opened store."""
    settings = load_settings(home=home, database=database)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def main() -> T:
        store = await Store.open(settings.database_url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())
