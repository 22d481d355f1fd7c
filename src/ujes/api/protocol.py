"""One HTTP connection: uvicorn's, with bounds on what a client may make the gateway wait for and keep.

uvicorn reads a head of any size, and waits for the rest of a request for ever. Here a head has up to
`HEAD_BYTES_MAX`, and a client that owes part of a request gets `PATIENCE_S` for it. What is no HTTP is
refused in the words of the wire.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ujes.api.linkis.envelope import ERROR, encode

#: Request line and headers. One piece as it came from the network may be more.
HEAD_BYTES_MAX = 64 * 1024
#: A client that owes the rest of a request, and sends nothing, is hung up on after this.
PATIENCE_S = 60.0
#: A head is there whole by then, however it is dripped.
HEAD_TIMEOUT_S = 30.0

_NOT_HTTP = "This is no HTTP request that could be understood. Check the request line and the headers."
_HEAD_TOO_LARGE = f"The request's address and headers have more than {HEAD_BYTES_MAX:,} bytes together."


class BoundedHttp(HttpToolsProtocol):
    _head_bytes = 0
    _is_in_head = True
    _hang_up_at: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hang_up_in(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._is_in_head:
            self._wait_no_more()
            if self._owes_body():
                self._hang_up_in(PATIENCE_S)
        elif not was_in_head:
            self._hang_up_in(HEAD_TIMEOUT_S)
        else:
            self._count_head(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse("400 Bad Request", _NOT_HTTP)

    def _owes_body(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none when it became a WebSocket at once
        return cycle is not None and cycle.more_body

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse("431 Request Header Fields Too Large", _HEAD_TOO_LARGE)

    def _refuse(self, status: str, message: str) -> None:
        body = encode("", {}, message, ERROR)
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json;charset=UTF-8\r\n"
        length = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write((head + length).encode() + body)
        self.transport.close()

    def _hang_up_in(self, delay_s: float) -> None:
        self._wait_no_more()
        self._hang_up_at = self.loop.call_later(delay_s, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._hang_up_at is not None:
            self._hang_up_at.cancel()
            self._hang_up_at = None
