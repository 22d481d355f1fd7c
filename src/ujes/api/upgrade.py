"""A connection that became a WebSocket: uvicorn's, with an end for peers that do not take part in it.

The library closes a connection only when everything written to it was read. A peer that reads nothing would
keep it, and the memory behind it, for ever; so it is cut off instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from websockets.frames import Frame

#: Parts of one message; the library bounds their size, but an empty one has none.
PARTS_MAX = 4096
#: What a peer gets, after the closing frame, to read the rest.
LINGER_S = 10.0


class Upgraded(WebSocketsSansIOProtocol):
    async def run_asgi(self) -> None:
        await super().run_asgi()
        if self.writable.is_set():
            self.loop.call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < PARTS_MAX:
            super().handle_cont(event)
        else:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """The peer did not answer a ping."""
        self.pong_timer = None
        self.transport.abort()
