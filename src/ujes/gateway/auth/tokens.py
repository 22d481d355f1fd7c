"""Tokens: a secret sent with every call lets its bearer act as certain users, from certain hosts.

They come from three places, asked in this order: the gateway's own local token (made at each start, for
the command line of the same operating-system user, loopback only), `HOME/proxy.properties`, and the store.
`ujes token` writes to the store from a process of its own, so what was read from it is believed for
`CACHE_S` only.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ujes.core.errors import NotLoggedIn
from ujes.gateway.auth.identity import is_user_name
from ujes.gateway.auth.secret import SECRET_CHARS_MAX, secret_hash

if TYPE_CHECKING:
    from ujes.gateway.auth.port import AuthStore
    from ujes.gateway.auth.proxy_file import ProxyFile
    from ujes.gateway.clock import Clock
    from ujes.gateway.store.records import Token

EVERY = "*"
CACHE_S = 1.0
CACHED_MAX = 1024
TOUCH_MS = 60_000

EXPIRED = 15201
USER_NOT_ALLOWED = 15202
HOST_NOT_ALLOWED = 15203
UNKNOWN = 15207


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cached:
    token: Token | None
    read_at_s: float


class Tokens:
    def __init__(self, store: AuthStore, clock: Clock, file: ProxyFile, local_token: str) -> None:
        self._store = store
        self._clock = clock
        self._file = file
        self._local_hash = secret_hash(local_token)
        self._cache: dict[str, _Cached] = {}

    async def check(self, user: str, code: str, peer: str) -> None:
        """Returns when `code` lets a caller at address `peer` act as `user`, else raises NotLoggedIn."""
        if not code or len(code) > SECRET_CHARS_MAX:
            raise NotLoggedIn("The token is empty or too long.", code=UNKNOWN)
        token_hash = secret_hash(code)
        if hmac.compare_digest(token_hash, self._local_hash):
            _check_local(peer)
        elif (users := self._file.users_of(token_hash)) is not None:
            _check_user(user, users)
        else:
            await self._check_stored(token_hash, user, peer)
        if not is_user_name(user):
            raise NotLoggedIn("That cannot be a user's name.", code=USER_NOT_ALLOWED)

    async def _check_stored(self, token_hash: str, user: str, peer: str) -> None:
        token, now_ms = await self._stored(token_hash), self._clock.now_ms()
        if token is None:
            raise NotLoggedIn("The token is unknown. Ask the administrator for a new one.", code=UNKNOWN)
        if token.expires_at_ms is not None and now_ms >= token.expires_at_ms:
            raise NotLoggedIn("The token has expired. Ask the administrator for a new one.", code=EXPIRED)
        _check_user(user, token.users)
        if EVERY not in token.hosts and _plain_address(peer) not in token.hosts:
            raise NotLoggedIn(f"The token may not be used from {peer or 'here'}.", code=HOST_NOT_ALLOWED)
        if token.last_used_at_ms is None or now_ms - token.last_used_at_ms >= TOUCH_MS:
            self._touch(token_hash, now_ms)

    async def _stored(self, token_hash: str) -> Token | None:
        now_s = self._clock.monotonic_s()
        cached = self._cache.get(token_hash)
        if cached is not None and now_s - cached.read_at_s < CACHE_S:
            return cached.token
        token = await self._store.token(token_hash)
        if len(self._cache) >= CACHED_MAX:
            self._cache.clear()
        self._cache[token_hash] = _Cached(token=token, read_at_s=now_s)
        return token

    def _touch(self, token_hash: str, now_ms: int) -> None:
        self._cache.pop(token_hash, None)
        self._store.touch_token(token_hash, now_ms)


def _check_user(user: str, users: tuple[str, ...] | frozenset[str]) -> None:
    if EVERY not in users and user not in users:
        raise NotLoggedIn("The token may not be used for this user.", code=USER_NOT_ALLOWED)


def _check_local(peer: str) -> None:
    try:
        is_near = ipaddress.ip_address(_plain_address(peer)).is_loopback
    except ValueError:
        is_near = False
    if not is_near:
        raise NotLoggedIn("The local token may only be used on this machine.", code=HOST_NOT_ALLOWED)


def _plain_address(peer: str) -> str:
    """An IPv4 address that came in over an IPv6 socket, as the IPv4 address it is."""
    return peer.removeprefix("::ffff:")
