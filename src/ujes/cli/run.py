"""`ujes run`: submit, follow, show."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from ujes.cli.code import CodeOptions, code_options
from ujes.cli.connect import ConnectionOptions, Target, connection_options
from ujes.cli.follow import exit_code, follow, say_end
from ujes.cli.show import FORMATS, LIMIT_DEFAULT, Format, Showing, check_output, show_results
from ujes.client import Client

#: A gateway another command is starting on the same home should answer by then.
OTHER_STARTS_S = 15.0
LOOK_S = 0.1


@click.command()
@code_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Form of the result.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=100_000),
    default=LIMIT_DEFAULT,
    show_default=True,
    help="Rows drawn of a table.",
)
@click.option("-q", "--quiet", is_flag=True, help="Leave out the log.")
@connection_options
def run(
    *, connection: ConnectionOptions, code: CodeOptions, format_: Format, limit: int, quiet: bool
) -> None:
    """Run code and show its result.

    The log and the progress go to standard error, the result to standard output. Without --server, and
    without a gateway on the home, it starts a gateway of its own for as long as it runs.

    \b
    ujes run "select 42 as answer"
    ujes run -e python "print('hello')"
    ujes run -f report.sql --var day=2026-01-31 --format csv > report.csv

    Ctrl-C kills the job. The exit code is 0 only when it succeeds.
    """
    check_output(format_)
    showing = Showing(format=format_, limit=limit)
    with reached(connection) as target, connected(target) as client:
        followed = follow(client, client.submit(code.spec), is_quiet=quiet)
        say_end(followed.job)
        if not followed.was_interrupted:
            # Also what came before a failure.
            show_results(client, followed.job, showing)
        status = exit_code(followed)
    sys.exit(status)


@contextmanager
def reached(connection: ConnectionOptions) -> Iterator[Target]:
    """The gateway that was meant, or one of our own while the block runs."""
    with ExitStack() as stack:
        yield connection.find() or _own(connection, stack)


def _own(connection: ConnectionOptions, stack: ExitStack) -> Target:
    from ujes.cli.local import local_gateway  # noqa: PLC0415 - the whole gateway
    from ujes.cli.serve import load_settings  # noqa: PLC0415
    from ujes.gateway.home import HomeRefused  # noqa: PLC0415

    settings = load_settings(home=connection.home, host="127.0.0.1", port=0)
    deadline_s = time.monotonic() + OTHER_STARTS_S
    while True:
        try:
            return stack.enter_context(local_gateway(settings)).target(connection.user)
        except HomeRefused:
            # Another command was quicker; its gateway will do, once it says where it answers.
            target = connection.find()
            if target is not None:
                return target
            if time.monotonic() > deadline_s:
                raise
        time.sleep(LOOK_S)


@contextmanager
def connected(target: Target) -> Iterator[Client]:
    with Client(target.url, user=target.user, token=target.token, password=target.password) as client:
        yield client
