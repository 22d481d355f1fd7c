"""Where engine hosts dial in. Knows who is connected; what they say goes to `Reports`.

A connection is nobody's until its `Hello` named a live instance and brought its token. A frame that cannot be
read ends the connection, not the engine: the host dials again and both sides say where they stand.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import cast

from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.observe import Fault, Observers
from ujes.link.address import TcpAddress, parse, prepare_folder
from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import LINK_VERSION, FromGateway, FromHost, Hello, Welcome

#: A connection says hello within this time.
HELLO_TIMEOUT_S = 10.0
#: Connections at once, those that have not said hello included.
CONNECTIONS_MAX = 4096
#: A host that does not read loses its connection when this much waits for it.
UNREAD_BYTES_MAX = 64 * 1024 * 1024


class Links:
    """The server's end of every link."""

    def __init__(self, fleet: Fleet, observers: Observers, address: str) -> None:
        self._fleet = fleet
        self._observers = observers
        self.address = address
        self._server: asyncio.Server | None = None
        self._by_tag: dict[str, _Link] = {}
        self._all: set[_Link] = set()
        #: answers the hello of an instance that is who it says
        self.greet: Callable[[str, Hello], Welcome] = lambda _tag, _hello: Welcome(version=LINK_VERSION)
        #: called once the welcome is on its way
        self.greeted: Callable[[str], None] = lambda _tag: None
        #: takes every further message
        self.hear: Callable[[str, FromHost], None] = lambda _tag, _message: None

    async def open(self) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        prepare_folder(self.address)
        address = parse(self.address)
        if isinstance(address, TcpAddress):
            self._server = await loop.create_server(self._connection, address.host, address.port)
            return
        # A socket file left by a gateway that is gone; the lock on the home says it is gone.
        address.path.unlink(missing_ok=True)
        self._server = await loop.create_unix_server(self._connection, str(address.path))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._all):
            link.close()

    def send(self, tag: str, message: FromGateway) -> bool:
        """Whether the host is connected; a message on a link that breaks is lost, and owed again."""
        link = self._by_tag.get(tag)
        if link is None:
            return False
        link.send(message)
        return True

    def _connection(self) -> asyncio.Protocol:
        return _Link(self)

    def admit(self, link: _Link) -> bool:
        self._all.add(link)
        return len(self._all) <= CONNECTIONS_MAX

    def identify(self, link: _Link, hello: Hello) -> bool:
        """Take the link as that of the instance it names, if it proves to be it."""
        instance = self._fleet.get(hello.tag)
        digest = hashlib.sha256(hello.token.encode()).hexdigest()
        if hello.version != LINK_VERSION or instance is None:
            return False
        if not hmac.compare_digest(digest, instance.token_hash):
            return False
        former = self._by_tag.pop(hello.tag, None)
        if former is not None:
            former.close()
        self._by_tag[hello.tag] = link
        link.tag = hello.tag
        link.send(self.greet(hello.tag, hello))
        self._fleet.link_up(hello.tag)
        self.greeted(hello.tag)
        return True

    def lost(self, link: _Link) -> None:
        self._all.discard(link)
        if link.tag is not None and self._by_tag.get(link.tag) is link:
            del self._by_tag[link.tag]
            self._fleet.link_down(link.tag)

    def complain(self, link: _Link, text: str) -> None:
        self._observers.tell(Fault(text=f"The link of {link.tag or 'an unknown engine'} was closed: {text}."))


class _Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._decoder: Decoder[FromHost] = Decoder(FromHost)
        self._transport: asyncio.Transport | None = None
        self._hello_due: asyncio.TimerHandle | None = None
        self.tag: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._links.admit(self):
            self.close()
            return
        self._hello_due = asyncio.get_running_loop().call_later(HELLO_TIMEOUT_S, self.close)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._decoder.feed(data):
                self._take(message)
        except BrokenFrame as error:
            self._links.complain(self, str(error))
            self.close()

    def _take(self, message: FromHost) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self.tag is not None:
            self._links.hear(self.tag, message)
            return
        if self._hello_due is not None:
            self._hello_due.cancel()
        if not isinstance(message, Hello) or not self._links.identify(self, message):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._hello_due is not None:
            self._hello_due.cancel()
        self._links.lost(self)

    def send(self, message: FromGateway) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(encode(message))
        if self._transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._links.complain(self, "its host does not read")
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
