"""`ujes serve`, `ujes stop`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ujes.cli.connect import home_option
from ujes.cli.failure import Failure
from ujes.gateway.headstart import HeadStart
from ujes.launchers.local.spawn import spawned_ahead

if TYPE_CHECKING:
    from ujes.gateway.auth.firstadmin import FirstAdmin

STOP_TIMEOUT_S = 60.0
LOOK_S = 0.05


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 9001]"
)
@home_option
@click.option(
    "--database", metavar="URL", help="SQLAlchemy URL of the store; SQLite in the home if not given."
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings file; else HOME/ujes.toml when it is there.",
)
def serve(**given: Any) -> None:
    """Run a gateway until it is told to stop.

    It prints one line, `UJES ready on http://HOST:PORT`, when it can answer. SIGTERM leaves running jobs and
    their engines to the next start on the same home; SIGINT (Ctrl-C) and `ujes stop` end everything.
    """
    gc.disable()  # until it is up: looking through what imports make is a fifth of the start
    with spawned_ahead() as warm_parent:
        settings = load_settings(**given)
        ahead = HeadStart(warm_parent=warm_parent, first_admin=_first_admin(settings))
        from ujes.app import serve as run_gateway  # noqa: PLC0415

        sys.exit(run_gateway(settings, ahead))


def _first_admin(settings: Any) -> FirstAdmin | None:
    if settings.has_database:
        return None
    from ujes.gateway.auth.firstadmin import make_first_admin  # noqa: PLC0415

    return make_first_admin()


@click.command()
@home_option
def stop(home: Path) -> None:
    """End the gateway that runs on a home: jobs are cancelled, every process is stopped."""
    from ujes.gateway.home import presence  # noqa: PLC0415

    running = presence(home)
    if running is None:
        raise Failure(f"No gateway runs on {home}.")
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGINT)
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    # The gateway lets go of its home last; the lock on it can only be looked at.
    while presence(home) is not None:
        if time.monotonic() > deadline_s:
            raise Failure(
                f"The gateway (process {running.pid}) has not ended after {STOP_TIMEOUT_S:.0f} s. "
                "Its log says what it waits for."
            )
        time.sleep(LOOK_S)
    click.echo(f"The gateway at {running.url} has ended.")


def load_settings(**given: Any) -> Any:
    """The settings, or a `Failure` that names what is wrong in them."""
    import tomllib  # noqa: PLC0415

    from pydantic import ValidationError  # noqa: PLC0415
    from pydantic_settings import SettingsError  # noqa: PLC0415

    from ujes.settings import load  # noqa: PLC0415

    try:
        return load(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Failure(f"The settings cannot be used: {wrong}.") from None
    except (tomllib.TOMLDecodeError, SettingsError, UnicodeDecodeError) as error:
        raise Failure(f"The settings cannot be read: {error}.") from None
