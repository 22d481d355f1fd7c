"""A gateway inside this process, for a command that finds none.

It lives in a thread with an event loop of its own, so that the command can stay ordinary code and Ctrl-C is
the command's. Other commands on the same home find it and may use it meanwhile; so, when the command is
done, it stays until their jobs have ended.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
import structlog

from ujes.cli.connect import Target

if TYPE_CHECKING:
    from ujes.app import Running
    from ujes.settings import Settings

#: How often other commands' jobs are looked for once our own work is done.
_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalGateway:
    url: str
    token: str = field(repr=False)
    #: of the administrator, when this start made it
    first_password: str | None = field(repr=False)

    def target(self, user: str) -> Target:
        return Target(url=self.url, user=user, token=self.token)


@contextmanager
def local_gateway(settings: Settings) -> Iterator[LocalGateway]:
    """Answers within the block. Raises what `ujes.app.running` raises."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    host = _Thread(settings)
    host.start()
    try:
        yield host.ready.result()
    except BaseException:
        host.is_hurried = True
        raise
    finally:
        host.stop()


class _Thread(threading.Thread):
    def __init__(self, settings: Settings) -> None:
        super().__init__(name="gateway")
        self.ready: concurrent.futures.Future[LocalGateway] = concurrent.futures.Future()
        #: jobs of others are not waited for
        self.is_hurried = False
        self._must_end = False
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = asyncio.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._must_end = True
        if self._loop is not None and self.is_alive():
            # A loop that has ended by itself is closed; `ready` has told why.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._done.set)
        self.join()

    async def _serve(self) -> None:
        from ujes.app import running  # noqa: PLC0415 - the whole gateway

        self._loop = asyncio.get_running_loop()
        if self._must_end:
            # Ctrl-C came before there was a loop to tell.
            self._done.set()
        try:
            async with running(self._settings) as gateway:
                auth = gateway.gateway.auth
                self.ready.set_result(
                    LocalGateway(
                        url=gateway.url, token=gateway.local_token, first_password=auth.first_password
                    )
                )
                await self._done.wait()
                await self._others_end(gateway)
        except Exception as error:
            if self.ready.done():
                raise
            self.ready.set_exception(error)

    async def _others_end(self, gateway: Running) -> None:
        has_told = False
        while not self.is_hurried and any(True for _ in gateway.gateway.board.jobs()):
            if not has_told:
                click.echo(
                    "Other jobs use this gateway; waiting for them to end (Ctrl-C ends them).", err=True
                )
                has_told = True
            await asyncio.sleep(_LOOK_S)
