"""Where engine hosts dial in. Knows who is connected; what they say goes to `Reports`.

A connection is nobody's until its `Hello` named a live instance and brought its token. A frame that cannot be
read ends the connection, not the engine: the host dials again and both sides say where they stand.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import struct
from collections.abc import Callable
from typing import cast

from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.observe import Fault, Observers
from ujes.launchers.accounts import WAY_MODE
from ujes.link.address import TcpAddress, parse, prepare_folder
from ujes.link.codec import BrokenFrame, Decoder, encode
from ujes.link.messages import LINK_VERSION, FromGateway, FromHost, Hello, Welcome

#: A connection says hello within this time.
HELLO_TIMEOUT_S = 10.0
#: Connections at once, those that have not said hello included.
CONNECTIONS_MAX = 4096
#: A host that does not read loses its connection when this much waits for it.
UNREAD_BYTES_MAX = 64 * 1024 * 1024
_SOCKET_MODE_FOR_ALL = 0o666
#: As the kernel tells of the other end: process, user, group.
_CREDENTIALS = struct.Struct("iII")


class Links:
    """The server's end of every link."""

    def __init__(
        self,
        fleet: Fleet,
        observers: Observers,
        address: str,
        account_of: Callable[[str], int] | None = None,
    ) -> None:
        """With `account_of`, which tells the account of an instance, every account may connect to the socket,
        and a connection is an instance's only when its process runs as that account."""
        self._fleet = fleet
        self._observers = observers
        self.address = address
        self._account_of = account_of
        self._server: asyncio.Server | None = None
        self._is_lost = False
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
        prepare_folder(self.address, 0o700 if self._account_of is None else WAY_MODE)
        address = parse(self.address)
        if isinstance(address, TcpAddress):
            self._server = await loop.create_server(self._connection, address.host, address.port)
            return
        # A socket file left by a gateway that is gone; the lock on the home says it is gone.
        address.path.unlink(missing_ok=True)
        self._server = await loop.create_unix_server(self._connection, str(address.path))
        if self._account_of is not None:
            address.path.chmod(_SOCKET_MODE_FOR_ALL)

    async def mend(self) -> None:
        """Listen anew when the socket's file is gone: cleaners of temporary folders remove what looks old."""
        address = parse(self.address)
        if self._server is None or isinstance(address, TcpAddress) or address.path.exists():
            return
        listening = self._server
        try:
            await self.open()
        except OSError as error:
            if not self._is_lost:
                self._observers.tell(Fault(text=f"No engine can dial in at {address}: {error}."))
            self._is_lost = True
            return
        self._is_lost = False
        listening.close()
        self._observers.tell(Fault(text=f"The socket {address.path} was removed and is there again."))

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
        if not self._is_of_account(link, hello.tag):
            self.complain(link, f"it says to be {hello.tag} and does not run as that engine's account")
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

    def _is_of_account(self, link: _Link, tag: str) -> bool:
        try:
            return self._account_of is None or link.account() == self._account_of(tag)
        except OSError:  # its work folder is gone
            return False

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

    def account(self) -> int | None:
        """The account of the process at the other end, where the system tells."""
        own = self._transport.get_extra_info("socket") if self._transport is not None else None
        if own is None or own.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
            return None
        _pid, uid, _gid = _CREDENTIALS.unpack(
            own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        return int(uid)

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
