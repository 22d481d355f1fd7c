"""Which gateway a command talks to, and as whom.

Credentials come from the environment, a file or standard input, never from the command line, where every
process on the machine could read them. Without any, and without `--server`, a command talks to the gateway
that runs on its home, with the token that gateway wrote for the same operating-system user.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from ujes.cli.failure import Failure

F = TypeVar("F", bound=Callable[..., Any])

USER_CHARS_MAX = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A gateway to talk to."""

    url: str
    user: str
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionOptions:
    """What was said about the connection."""

    home: Path
    server: str | None
    user: str
    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def target(self) -> Target:
        """Raises `Failure` when there is nothing to talk to."""
        found = self.find()
        if found is None:
            raise Failure(
                f"No gateway runs on {self.home}. Start one with `ujes serve`, or name one with --server."
            )
        return found

    def find(self) -> Target | None:
        """None when no server is named and no gateway runs on the home."""
        from ujes.gateway.home import presence  # noqa: PLC0415

        running = presence(self.home)
        url = self.server or (running.url if running else None)
        if url is None:
            return None
        if self.token or self.password:
            return Target(url=url, user=self.user, token=self.token, password=self.password)
        if running is None or url.rstrip("/") != running.url:
            raise Failure(
                f"{url} wants to know who you are: set UJES_TOKEN, or UJES_USER and UJES_PASSWORD, or pass "
                "--token-file or --password-stdin."
            )
        return Target(url=url, user=self.user, token=read_secret(self.home / "local-token"))


def home_option(command: F) -> F:
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="UJES_HOME",
        default="~/.ujes",
        show_default=True,
        callback=_absolute,
        help="Folder that holds everything the gateway keeps.",
    )(command)


def connection_options(command: F) -> F:
    """Adds the options; the command takes `connection: ConnectionOptions`."""
    import functools  # noqa: PLC0415

    @functools.wraps(command)
    def wrapper(
        *,
        home: Path,
        server: str | None,
        user: str | None,
        token_file: Path | None,
        password_stdin: bool,
        **given: Any,
    ) -> Any:
        connection = _options(home, server, user, token_file, password_stdin=password_stdin)
        return command(connection=connection, **given)

    decorators: tuple[Callable[[Any], Any], ...] = (
        click.option("--server", metavar="URL", envvar="UJES_SERVER", help="Address of the gateway."),
        click.option(
            "--user", metavar="NAME", envvar="UJES_USER", help="Who you are there; else your login name."
        ),
        click.option(
            "--token-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="File with a token; else UJES_TOKEN.",
        ),
        click.option(
            "--password-stdin",
            is_flag=True,
            help="Read the password from standard input; else UJES_PASSWORD.",
        ),
        home_option,
    )
    decorated: Any = wrapper
    for decorate in reversed(decorators):
        decorated = decorate(decorated)
    return decorated  # type: ignore[no-any-return]


def _options(
    home: Path, server: str | None, user: str | None, token_file: Path | None, *, password_stdin: bool
) -> ConnectionOptions:
    password = stdin_secret("password") if password_stdin else None
    token = read_secret(token_file) if token_file else None
    if password is None and token is None:
        password, token = os.environ.get("UJES_PASSWORD"), os.environ.get("UJES_TOKEN")
    if password and token:
        raise Failure("There is a password and a token; give only one of them.")
    return ConnectionOptions(
        home=home, server=server, user=user or login_name(), token=token or None, password=password or None
    )


def login_name() -> str:
    """The operating system's name of whoever runs this, as a user's name of ours."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return re.sub(r"[^a-z0-9_.]", "_", name.lower()).lstrip(".")[:USER_CHARS_MAX] or "user"


def read_secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise Failure(f"{path} cannot be read: {why}.") from None
    if not secret:
        raise Failure(f"{path} is empty.")
    return secret


def stdin_secret(what: str) -> str:
    """One line of standard input; asked for, unseen, on a terminal."""
    stream = sys.stdin
    if stream.isatty():
        secret: str = click.prompt(what.capitalize(), hide_input=True, err=True)
    else:
        secret = stream.readline().rstrip("\r\n")
    if not secret:
        raise Failure(f"There is no {what} on standard input.")
    return secret


def _absolute(_context: click.Context, _parameter: click.Parameter, home: Path) -> Path:
    return home.expanduser().absolute()
