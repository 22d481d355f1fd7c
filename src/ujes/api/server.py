"""The HTTP server: uvicorn, on a socket that is open already, without its signal handling.

The library behind WebSockets takes some 60 ms to load, so it is loaded with the first upgrade: a start does
not wait for it, and plain requests never meet it. Compression is not offered: a frame is small or read on
the same network, and a frame that grows when it is unpacked is one more thing to bound.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from ujes.api.protocol import BoundedHttp

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

#: A client's open connections get this long to finish when the gateway closes.
DRAIN_TIMEOUT_S = 3
#: A larger message is not read to its end; the wire itself refuses much smaller ones, with a reason.
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
PING_INTERVAL_S = 20.0
#: A peer that does not answer a ping by then is gone.
PING_TIMEOUT_S = 30.0


class Server:
    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedHttp,
            ws=cast("type[asyncio.Protocol]", _upgraded),
            ws_max_size=MESSAGE_BYTES_MAX,
            ws_ping_interval=PING_INTERVAL_S,
            ws_ping_timeout=PING_TIMEOUT_S,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            log_level="error",  # that a client sent nonsense is not the operator's concern
            access_log=False,
            server_header=False,
            proxy_headers=False,  # else any local client could claim another address
            timeout_graceful_shutdown=DRAIN_TIMEOUT_S,
        )
        self._server = _Quiet(config)
        self._task: asyncio.Task[None] | None = None

    async def open(self, listener: socket.socket) -> None:
        """Answer from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.up.wait()

    async def close(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Quiet(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _upgraded(**given: Any) -> asyncio.Protocol:
    """What uvicorn calls, as if it were a class, when a connection becomes a WebSocket."""
    from ujes.api.upgrade import Upgraded  # noqa: PLC0415 - see above

    return Upgraded(**given)
