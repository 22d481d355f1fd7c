"""The envelope: every answer of the Linkis wire is one JSON object `{method, status, message, data}`.

Endpoints return `success(...)` or raise; `refusal(...)` turns what was raised into an answer. That is
the only place where an error of ours becomes a number of the wire:

| raised                      | status | HTTP |
|-----------------------------|--------|------|
| nothing                     | 0      | 200  |
| `NotLoggedIn`               | -1     | 401  |
| `InternalError`             | 1      | 500  |
| any other `UjesError`       | 1      | 400  |
| an unknown path, a wrong verb | 1    | 404, 405 |

A refusal with a number carries it in `data.errorMsg`, where front ends look for it; one without (an
unknown job, a wrong password) is its sentence alone. See `envelope-and-errors.md`, sections 1 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ujes.core.errors import InternalError, NotLoggedIn, PassingFault, UjesError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ROOT = "/api/rest_j/v1/"
#: Name of the service in error payloads and in execIDs of the 1.x form.
SERVICE = "linkis-cg-entrance"

SUCCESS = 0
ERROR = 1
NOT_LOGGED_IN = -1

Header = tuple[bytes, bytes]

#: On every answer, refusals included. The `Date` is the HTTP server's.
STANDARD_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"application/json;charset=UTF-8"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-credentials", b"true"),
    (b"access-control-allow-headers", b"authorization,Content-Type"),
    (b"access-control-allow-methods", b"POST, GET, OPTIONS, PUT, HEAD, DELETE"),
)

_encode = msgspec.json.Encoder().encode


class Reply:
    """A whole answer. It is an ASGI application, so a Starlette route may return it."""

    __slots__ = ("body", "headers", "http_status")

    def __init__(self, http_status: int, body: bytes, headers: Sequence[Header] = ()) -> None:
        self.http_status = http_status
        self.body = body
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        headers = [*STANDARD_HEADERS, length, *self.headers]
        await send({"type": "http.response.start", "status": self.http_status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def method_of(scope: Mapping[str, Any]) -> str:
    """The path of the request with ids filled in; the application has put its spelling right."""
    return str(scope["path"])


def encode(method: str, data: Mapping[str, Any], message: str = "OK", status: int = SUCCESS) -> bytes:
    return _encode({"method": method, "status": status, "message": message, "data": data})


def success(
    scope: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    *,
    message: str = "OK",
    headers: Sequence[Header] = (),
) -> Reply:
    return Reply(200, encode(method_of(scope), data or {}, message), headers)


def refusal(
    scope: Mapping[str, Any], error: UjesError, address: str, headers: Sequence[Header] = ()
) -> Reply:
    """The answer to a request that raised; `address` is this gateway's `host:port`."""
    payload = error_envelope(method_of(scope), error, address)
    return Reply(_http_status(error), _encode(payload), headers)


def error_envelope(method: str, error: UjesError, address: str) -> dict[str, Any]:
    if isinstance(error, NotLoggedIn):
        message = _token_refusal(error, address)
        return {"method": method, "status": NOT_LOGGED_IN, "message": message, "data": {}}
    if not error.error_code:
        return {"method": method, "status": ERROR, "message": error.message, "data": {}}
    desc = error.message.removesuffix(".")
    message = f"error code(错误码): {error.error_code}, error message(错误信息): {desc}."
    data = {"errorMsg": _error_message(error, address)}
    return {"method": method, "status": ERROR, "message": message, "data": data}


def _token_refusal(error: NotLoggedIn, address: str) -> str:
    """A refused token's number stands in the text alone, where clients of Linkis look for it."""
    if error.error_code == NotLoggedIn.code:
        return error.message
    host, _, port = address.rpartition(":")
    desc = error.message.removesuffix(".")
    return f"errCode: {error.error_code} ,desc: {desc} ,ip: {host} ,port: {port} ,serviceKind: {SERVICE}"


def plain_refusal(scope: Mapping[str, Any], http_status: int, message: str) -> Reply:
    """Refusals that no part of ours raised: an unknown path, a wrong verb, another version."""
    return Reply(http_status, encode(method_of(scope), {}, message, ERROR))


def _http_status(error: UjesError) -> int:
    if isinstance(error, NotLoggedIn):
        return 401
    return 500 if isinstance(error, InternalError) else 400


def _error_message(error: UjesError, address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {
        "errCode": error.error_code,
        "desc": error.message,
        "level": _level(error),
        "ip": host,
        "port": int(port) if port.isdigit() else 0,
        "serviceKind": SERVICE,
    }


def _level(error: UjesError) -> int:
    """2 is an error, 3 is fatal, 4 may be tried again."""
    if isinstance(error, PassingFault):
        return 4
    return 3 if isinstance(error, InternalError) else 2
