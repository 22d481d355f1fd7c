"""The Linkis wire as one ASGI application, and the route table of everything on it.

request -> one spelling of its path -> polled GET? -> `hot.py`
                                    -> else        -> the route table
upgrade -> `websocket.py`
whatever was raised on the way -> `envelope.refusal`, here and nowhere else
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Mount, Router

from ujes.api import health
from ujes.api.linkis import entrance, filesystem, jobhistory, user
from ujes.api.linkis.body import BodyTooLarge
from ujes.api.linkis.envelope import ROOT, Reply, plain_refusal, refusal, success
from ujes.api.linkis.fault import our_bug
from ujes.api.linkis.hot import Endpoint, HotEndpoints
from ujes.api.linkis.url import canonical
from ujes.core.errors import InternalError, UjesError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ujes.gateway.gateway import Gateway

_NOT_FOUND = 404
_READING = ("GET", "HEAD")


def build(gateway: Gateway) -> ASGIApp:
    return LinkisApp(gateway)


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Every endpoint but the polled ones of `hot.py`."""
    wire: list[BaseRoute] = [
        *entrance.routes(gateway),
        *jobhistory.routes(gateway),
        *filesystem.routes(gateway),
        *user.routes(gateway),
    ]
    return [*health.routes(gateway), Mount(ROOT.rstrip("/"), routes=wire)]


class LinkisApp:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._hot = HotEndpoints(gateway)
        self._router = Router(routes(gateway), redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._upgrade(scope, receive, send)
            return
        scope = {**scope, "app": self}
        try:
            scope["path"] = canonical(scope["path"])
        except UjesError as error:
            await self._refuse(scope, error)(scope, receive, send)
            return
        hot = self._hot.find(scope["path"])
        if hot is not None or scope["method"] == "OPTIONS":
            reply = await self._answer(scope, hot)
            await reply(scope, receive, send)
        else:
            await self._route(scope, receive, send)

    async def _upgrade(self, scope: Scope, receive: Receive, send: Send) -> None:
        from ujes.api.linkis.websocket import PushEndpoint  # noqa: PLC0415 - a start does not wait for it

        await PushEndpoint(self._gateway)(scope, receive, send)

    async def _answer(self, scope: Scope, hot: tuple[Endpoint, str] | None) -> Reply:
        """To a poll, or to a browser that asks what it may do."""
        if hot is None or scope["method"] == "OPTIONS":
            return success(scope)
        if scope["method"] not in _READING:
            return self._refuse(scope, HTTPException(405, headers={"Allow": "GET"}))
        endpoint, name = hot
        try:
            return await endpoint(scope, name)
        except Exception as error:  # noqa: BLE001 - every error becomes an envelope
            return self._refuse(scope, error)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = _Sending(send)
        try:
            await self._router(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:
            if sending.has_begun:
                raise
            await self._refuse(scope, error)(scope, receive, send)

    def _refuse(self, scope: Scope, error: Exception) -> Reply:
        if isinstance(error, HTTPException):
            return _no_such_address(scope, error)
        if isinstance(error, UjesError) and not isinstance(error, InternalError):
            headers = ((b"connection", b"close"),) if isinstance(error, BodyTooLarge) else ()
            return refusal(scope, error, self._gateway.address, headers)
        return refusal(scope, our_bug(scope["method"], scope["path"], error), self._gateway.address)


class _Sending:
    """Passes an answer on and remembers that it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        self.has_begun = True
        await self._send(message)


def _no_such_address(scope: Scope, error: HTTPException) -> Reply:
    if error.status_code == _NOT_FOUND:
        return plain_refusal(scope, 404, f"There is nothing at {scope['path']}. Check the address.")
    allowed = sorted(
        {verb.strip() for verb in (error.headers or {}).get("Allow", "").split(",")} - {"HEAD", ""}
    )
    message = f"{scope['path']} takes {' or '.join(allowed) or 'another verb'}, not {scope['method']}."
    reply = plain_refusal(scope, error.status_code, message)
    reply.headers = ((b"allow", ", ".join(allowed).encode()),)
    return reply
