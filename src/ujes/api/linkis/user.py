"""Logging in and out, and what a client may ask about its login. See `authentication.md`, section 2.

Here only the login's cookie counts: token headers are not looked at. The verb is not checked either,
since clients disagree about it. A wrong password is HTTP 400 and never 401, which would make clients log in
again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from ujes.api.linkis import url
from ujes.api.linkis.body import Payload, as_text, decode, read_bytes, unwrap
from ujes.api.linkis.caller import TICKET_COOKIE, cookies_of, peer_of
from ujes.api.linkis.envelope import ERROR, Header, Reply, encode, method_of, success
from ujes.core.errors import NotLoggedIn, UserMistake

if TYPE_CHECKING:
    from starlette.requests import Request

    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.gateway import Gateway

_ANY_VERB = ["GET", "POST", "PUT", "DELETE"]
_PROXY_COOKIE = "linkis_user_session_proxy_ticket_id_v1"

#: Both halves are what clients of different ages look for.
_ALREADY = "Already logged in, please log out first (已经登录，请先退出再进行登录)!"


def routes(gateway: Gateway) -> list[Route]:
    user = UserEndpoints(gateway)
    endpoints = {
        "login": user.login,
        "logout": user.logout,
        "userInfo": user.user_info,
        "heartbeat": user.heartbeat,
        "publicKey": user.public_key,
        "baseinfo": user.base_info,
        "oauth-redirect": user.oauth_redirect,
    }
    return [Route(f"/user/{name}", endpoint, methods=_ANY_VERB) for name, endpoint in endpoints.items()]


class UserEndpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def login(self, request: Request) -> Reply:
        identity = self._identity(request)
        if identity is not None:
            # Whatever was sent with it is not looked at, also for another user.
            return success(request.scope, {"userName": identity.user}, message=_ALREADY)
        user, password = await self._credentials(request)
        if not user.strip():
            return self._refused(request, "The user name is blank.")
        if not password.strip():
            return self._refused(request, "The password is blank.")
        return await self._log_in(request, user, password)

    async def _log_in(self, request: Request, user: str, password: str) -> Reply:
        auth = self._gateway.auth
        try:
            ticket, identity = await auth.login(user, password, peer=peer_of(request.scope))
        except UserMistake as error:
            return self._refused(request, error.message, _no_cookies())
        data = {"userName": identity.user, "isAdmin": identity.is_admin, **self._terms()}
        return success(
            request.scope,
            data,
            message="login successful(登录成功)!",
            headers=[_cookie(TICKET_COOKIE, ticket, "Path=/; HttpOnly")],
        )

    async def logout(self, request: Request) -> Reply:
        ticket = self._ticket(request)
        identity = self._identity(request)
        if ticket:
            await self._gateway.auth.logout(ticket)
        if identity is not None:
            self._gateway.hub.doubt(identity.user)
        return success(request.scope, message="Logout successful(退出登录成功)!", headers=_no_cookies())

    async def user_info(self, request: Request) -> Reply:
        return success(request.scope, {"userName": self._need_login(request).user})

    async def heartbeat(self, request: Request) -> Reply:
        self._need_login(request)
        return success(request.scope, message="Maintain heartbeat success(维系心跳成功)!")

    async def public_key(self, request: Request) -> Reply:
        """Passwords are sent as they are; `enable` is what clients of 0.x look at."""
        return success(request.scope, {"enableSSL": False, "enableLoginEncrypt": False, "enable": False})

    async def base_info(self, request: Request) -> Reply:
        data = {"resultSetExportEnable": True, "linkisClusterName": "", "engineLogOnlyAdminEnable": False}
        return success(request.scope, data)

    async def oauth_redirect(self, request: Request) -> Reply:
        raise NotLoggedIn("Login by OAuth is off here. Log in with a user name and a password.")

    # --- parts

    def _ticket(self, request: Request) -> str:
        header = "; ".join(request.headers.getlist("cookie"))
        return cookies_of(header).get(TICKET_COOKIE, "")

    def _identity(self, request: Request) -> Identity | None:
        ticket = self._ticket(request)
        return self._gateway.auth.by_ticket(ticket) if ticket else None

    def _need_login(self, request: Request) -> Identity:
        identity = self._identity(request)
        if identity is None:
            raise NotLoggedIn("You are not logged in, or your login has ended. Log in and try again.")
        return identity

    async def _credentials(self, request: Request) -> tuple[str, str]:
        """From the query when both are there, else from the body; empty when there are none."""
        found = _pair(url.query(request.scope["query_string"]))
        if all(found):
            return found
        limits = self._gateway.settings.limits
        body = await read_bytes(request, limits.body_bytes)
        if not body.strip():
            return found
        return _pair(unwrap(decode(body, limits.json_depth)))

    def _refused(self, request: Request, message: str, headers: list[Header] | None = None) -> Reply:
        body = encode(method_of(request.scope), self._terms(), message, ERROR)
        return Reply(400, body, headers or ())

    def _terms(self) -> dict[str, Any]:
        timeout_ms = round(self._gateway.settings.login.idle_timeout_s * 1000)
        return {"sessionTimeOut": timeout_ms, "enableWatermark": True}


def _pair(given: Payload | dict[str, str]) -> tuple[str, str]:
    user = as_text(given.get("userName"), "userName")
    password = as_text(given.get("password"), "password")
    return user, password or as_text(given.get("passwdEncrypt"), "passwdEncrypt")


def _cookie(name: str, value: str, terms: str) -> Header:
    return b"set-cookie", f"{name}={value}; {terms}".encode("ascii")


def _no_cookies() -> list[Header]:
    return [_cookie(name, "", "Path=/; Max-Age=0; HttpOnly") for name in (TICKET_COOKIE, _PROXY_COOKIE)]
