"""`ujes token`: secrets that let programs act as users. Works on the store itself."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from ujes.cli.failure import Failure
from ujes.cli.stored import store_options, with_store
from ujes.cli.table import draw
from ujes.cli.user import day
from ujes.client.values import Column
from ujes.gateway.auth.identity import is_user_name
from ujes.gateway.auth.secret import new_secret, secret_hash
from ujes.gateway.auth.tokens import EVERY
from ujes.gateway.clock import SystemClock
from ujes.gateway.store.records import Token
from ujes.gateway.store.store import Store

_DAY_MS = 86_400_000


@click.group()
def token() -> None:
    """Add, list and revoke tokens."""


@token.command()
@click.option("--users", required=True, metavar="A,B|*", help="As whom it may act; * is everybody.")
@click.option(
    "--hosts", default=EVERY, show_default=True, metavar="A,B|*", help="Addresses it may come from."
)
@click.option("--days", type=click.IntRange(min=1, max=36_500), help="How long it is good; else for ever.")
@store_options
def add(users: str, hosts: str, days: int | None, *, home: Path, database: str | None) -> None:
    """Make a token and print it, once: only its hash is kept.

    Programs send it as the header Token-Code, and in Token-User as whom they act.
    """
    code, now_ms = new_secret(), SystemClock().now_ms()
    fresh = Token(
        id=secrets.token_hex(4),
        token_hash=secret_hash(code),
        users=_users(users),
        hosts=_listed("--hosts", hosts),
        created_at_ms=now_ms,
        expires_at_ms=None if days is None else now_ms + days * _DAY_MS,
    )

    async def work(store: Store) -> None:
        await store.add_token(fresh)

    with_store(home, database, work)
    click.echo(f"Made token {fresh.id}; it is shown only this once.", err=True)
    click.echo(code)


@token.command()
@click.argument("token_id", metavar="ID")
@store_options
def revoke(token_id: str, *, home: Path, database: str | None) -> None:
    """Make a token useless, within a second."""

    async def work(store: Store) -> bool:
        return await store.drop_token(token_id)

    if not with_store(home, database, work):
        raise Failure(f"There is no token {token_id}; `ujes token list` shows their ids.")
    click.echo(f"Revoked {token_id}.")


@token.command(name="list")
@store_options
def list_tokens(*, home: Path, database: str | None) -> None:
    """List the tokens, without the secrets."""

    async def work(store: Store) -> tuple[Token, ...]:
        return await store.tokens()

    columns = [
        Column(name=name, type="") for name in ("id", "users", "hosts", "made", "expires", "last used")
    ]
    draw(columns, [_row(one) for one in with_store(home, database, work)], sys.stdout, show_types=False)


def _row(one: Token) -> tuple[str, ...]:
    return (
        one.id,
        ",".join(one.users),
        ",".join(one.hosts),
        day(one.created_at_ms),
        "never" if one.expires_at_ms is None else day(one.expires_at_ms),
        "never" if one.last_used_at_ms is None else day(one.last_used_at_ms),
    )


def _users(text: str) -> tuple[str, ...]:
    users = _listed("--users", text)
    for name in users:
        if name != EVERY and not is_user_name(name):
            raise Failure(f"{name!r} cannot be a user's name.")
    return users


def _listed(option: str, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise click.UsageError(f"{option} needs a name, several joined by commas, or {EVERY}.")
    return names
