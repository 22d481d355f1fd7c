"""`ujes user`: who may log in. Works on the store itself, also while the gateway runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from ujes.cli.connect import stdin_secret
from ujes.cli.failure import Failure
from ujes.cli.stored import store_options, with_store
from ujes.cli.table import draw
from ujes.client.values import Column
from ujes.gateway.auth.identity import new_user_name
from ujes.gateway.auth.passwords import hash_password
from ujes.gateway.clock import SystemClock
from ujes.gateway.store.records import User
from ujes.gateway.store.store import Store

password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from the first line of standard input; else it is asked for.",
)


@click.group()
def user() -> None:
    """Add, list and remove users."""


@user.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="May see and kill the jobs of all.")
@password_option
@store_options
def add(name: str, *, admin: bool, password_stdin: bool, home: Path, database: str | None) -> None:
    """Add a user who logs in with a password."""
    fresh = User(
        name=new_user_name(name),
        password_hash=_password_hash(is_piped=password_stdin),
        is_admin=admin,
        created_at_ms=SystemClock().now_ms(),
    )

    async def work(store: Store) -> None:
        if await store.user(fresh.name) is not None:
            raise Failure(f"There is a user {fresh.name} already; `ujes user password` changes the password.")
        await store.add_user(fresh)

    with_store(home, database, work)
    click.echo(f"Added {'administrator' if admin else 'user'} {fresh.name}.")


@user.command()
@click.argument("name")
@password_option
@store_options
def password(name: str, *, password_stdin: bool, home: Path, database: str | None) -> None:
    """Change a user's password. Ends the user's logins."""
    password_hash = _password_hash(is_piped=password_stdin)

    async def work(store: Store) -> None:
        known = await store.user(name.lower())
        if known is None:
            raise Failure(f"There is no user {name}.")
        await store.save_user(replace(known, password_hash=password_hash))
        for login in await store.logins():
            if login.user == known.name:
                await store.drop_login(login.ticket_hash)

    with_store(home, database, work)
    click.echo(f"Changed the password of {name.lower()}.")


@user.command()
@click.argument("name")
@store_options
def remove(name: str, *, home: Path, database: str | None) -> None:
    """Remove a user and end the user's logins. Jobs and files stay."""

    async def work(store: Store) -> bool:
        return await store.drop_user(name.lower())

    if not with_store(home, database, work):
        raise Failure(f"There is no user {name}.")
    click.echo(f"Removed {name.lower()}.")


@user.command(name="list")
@store_options
def list_users(*, home: Path, database: str | None) -> None:
    """List the users."""

    async def work(store: Store) -> tuple[User, ...]:
        return await store.users()

    columns = [Column(name=name, type="") for name in ("name", "administrator", "since")]
    rows = [
        (one.name, "yes" if one.is_admin else "no", day(one.created_at_ms))
        for one in with_store(home, database, work)
    ]
    draw(columns, rows, sys.stdout, show_types=False)


def day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def _password_hash(*, is_piped: bool) -> str:
    if not is_piped and not sys.stdin.isatty():
        raise Failure("Pass --password-stdin to read the password from standard input.")
    return hash_password(stdin_secret("password"))
