"""Logins and their tickets.

The store keeps the SHA-256 of each ticket; memory holds them all, because every call of every browser
and SDK asks. A ticket ends after the idle timeout; its time stamp is renewed, here and in the store, only
once half of the timeout has passed, so most calls write nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ujes.gateway.auth.secret import SECRET_CHARS_MAX, new_secret, secret_hash
from ujes.gateway.store.records import Login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ujes.gateway.auth.port import AuthStore
    from ujes.gateway.clock import Clock


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginRules:
    idle_timeout_ms: int
    #: one more makes the longest idle one leave
    logins_max: int


class Logins:
    def __init__(self, store: AuthStore, clock: Clock, rules: LoginRules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._logins: dict[str, Login] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    async def load(self, is_known: Callable[[str], bool]) -> None:
        """Once at the start: every login still good, of a user that still is."""
        stored = await self._store.logins()
        good = [login for login in stored if is_known(login.user) and not self._has_expired(login)]
        self._logins = {login.ticket_hash: login for login in good}
        for login in stored:
            if login.ticket_hash not in self._logins:
                await self._store.drop_login(login.ticket_hash)

    async def close(self) -> None:
        await asyncio.gather(*self._dropping)

    async def begin(self, user: str) -> str:
        """A new login of `user`; returns its ticket."""
        self._make_room()
        ticket, now_ms = new_secret(), self._clock.now_ms()
        login = Login(ticket_hash=secret_hash(ticket), user=user, created_at_ms=now_ms, seen_at_ms=now_ms)
        await self._store.add_login(login)
        self._logins[login.ticket_hash] = login
        return ticket

    async def end(self, ticket: str) -> None:
        login = self._find(ticket)
        if login is not None:
            del self._logins[login.ticket_hash]
            await self._store.drop_login(login.ticket_hash)

    def user_of(self, ticket: str) -> str | None:
        """Whose ticket this is; None for one that is unknown or over. Slides the idle timeout."""
        login = self._find(ticket)
        if login is None:
            return None
        idle_ms = self._clock.now_ms() - login.seen_at_ms
        if idle_ms >= self._rules.idle_timeout_ms:
            self._drop_soon([login])
            return None
        if 2 * idle_ms >= self._rules.idle_timeout_ms:
            self._renew(login)
        return login.user

    def drop_of(self, user: str) -> None:
        """End every login of `user`."""
        self._drop_soon([login for login in self._logins.values() if login.user == user])

    def _find(self, ticket: str) -> Login | None:
        if not ticket or len(ticket) > SECRET_CHARS_MAX:
            return None
        return self._logins.get(secret_hash(ticket))

    def _has_expired(self, login: Login) -> bool:
        return self._clock.now_ms() - login.seen_at_ms >= self._rules.idle_timeout_ms

    def _renew(self, login: Login) -> None:
        now_ms = self._clock.now_ms()
        self._logins[login.ticket_hash] = replace(login, seen_at_ms=now_ms)
        self._store.touch_login(login.ticket_hash, now_ms)

    def _make_room(self) -> None:
        if len(self._logins) < self._rules.logins_max:
            return
        self._drop_soon([login for login in self._logins.values() if self._has_expired(login)])
        excess = len(self._logins) - self._rules.logins_max + 1
        if excess > 0:
            self._drop_soon(sorted(self._logins.values(), key=lambda login: login.seen_at_ms)[:excess])

    def _drop_soon(self, logins: Iterable[Login]) -> None:
        """Gone from memory now, from the store in a moment."""
        hashes = [login.ticket_hash for login in logins]
        for ticket_hash in hashes:
            del self._logins[ticket_hash]
        if hashes:
            task = asyncio.get_running_loop().create_task(self._drop(hashes))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def _drop(self, ticket_hashes: list[str]) -> None:
        for ticket_hash in ticket_hashes:
            await self._store.drop_login(ticket_hash)
