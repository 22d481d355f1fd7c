"""Who is calling: the one place that reads credentials off a request.

In this order: the headers `Token-User` and `Token-Code`; cookies of the same two names; the headers
`Proxy-User` and `Validation-Code`; the login's cookie. A token that is there and wrong is final, no login is
looked at after it. With a token the call is made by, and runs as, the user it names. See
`authentication.md`, sections 1 to 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ujes.core.errors import NotLoggedIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.gateway import Gateway

TICKET_COOKIE = "linkis_user_session_ticket_id_v1"

_READ = frozenset({b"cookie", b"token-user", b"token-code", b"proxy-user", b"validation-code"})


async def identify(gateway: Gateway, scope: Mapping[str, Any]) -> Identity:
    """Who is calling. Raises `NotLoggedIn`."""
    headers = _credentials(scope["headers"])
    cookies = cookies_of(headers.get(b"cookie", ""))
    token = _token(headers, cookies)
    if token is not None:
        user, code = token
        return await gateway.auth.by_token(user, code, peer=peer_of(scope))
    ticket = cookies.get(TICKET_COOKIE)
    identity = gateway.auth.by_ticket(ticket) if ticket else None
    if identity is None:
        raise NotLoggedIn("You are not logged in, or your login has ended. Log in and try again.")
    return identity


def peer_of(scope: Mapping[str, Any]) -> str:
    """The address of the caller."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def cookies_of(header: str) -> dict[str, str]:
    """The cookies of a `Cookie` header; of a name sent twice, the first counts."""
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            cookies.setdefault(name.strip(), value.strip().strip('"'))
    return cookies


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in _READ:
            text = value.decode("utf-8", "replace").strip()
            found[name] = f"{found[name]};{text}" if name == b"cookie" and name in found else text
    return found


def _token(headers: Mapping[bytes, str], cookies: Mapping[str, str]) -> tuple[str, str] | None:
    candidates = (
        (headers.get(b"token-user"), headers.get(b"token-code")),
        (cookies.get("Token-User"), cookies.get("Token-Code")),
        (headers.get(b"proxy-user"), headers.get(b"validation-code")),
    )
    for user, code in candidates:
        if user and code:
            return user, code
    return None
