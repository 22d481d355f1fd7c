"""What the gateway knows about users that have logins, kept fresh while others change it.

`ujes user ...` writes to the store from a process of its own. So a user is read again on each login, and
at most every `RECHECK_S` while its tickets are in use; a user that is gone, or whose password changed,
loses every login made before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ujes.gateway.auth.identity import Identity

if TYPE_CHECKING:
    from ujes.gateway.auth.port import AuthStore
    from ujes.gateway.clock import Clock
    from ujes.gateway.store.records import User

RECHECK_S = 2.0
STRANGERS_MAX = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    identity: Identity
    password_hash: str
    read_at_s: float


class KnownUsers:
    def __init__(
        self, store: AuthStore, clock: Clock, admins: frozenset[str], on_changed: Callable[[str], None]
    ) -> None:
        """`on_changed` is called with the name of a user whose earlier logins are void."""
        self._store = store
        self._clock = clock
        self._admins = admins
        self._on_changed = on_changed
        self._known: dict[str, _Known] = {}
        #: names used with tokens that are no users here, and when that was read
        self._strangers: dict[str, float] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def is_admin(self, name: str) -> bool:
        """Whether `name`, who need not be a user here, is an administrator."""
        known = self.identity(name)
        if known is None and self._clock.monotonic_s() - self._strangers.get(name, -RECHECK_S) >= RECHECK_S:
            known = await self._meet(name)
        return name.lower() in self._admins if known is None else known.is_admin

    def learn(self, user: User) -> Identity:
        """Take note of a freshly read record."""
        before = self._known.get(user.name)
        if before is not None and before.password_hash != user.password_hash:
            self._on_changed(user.name)
        is_admin = user.is_admin or user.name.lower() in self._admins
        identity = Identity(user=user.name, is_admin=is_admin, via="login")
        self._known[user.name] = _Known(
            identity=identity, password_hash=user.password_hash, read_at_s=self._clock.monotonic_s()
        )
        return identity

    def forget(self, name: str) -> None:
        if self._known.pop(name, None) is not None:
            self._on_changed(name)

    def identity(self, name: str) -> Identity | None:
        """Of a user with a login; from memory, read again soon when that is old."""
        known = self._known.get(name)
        if known is None:
            return None
        if self._clock.monotonic_s() - known.read_at_s >= RECHECK_S and name not in self._reading:
            self._reading[name] = asyncio.get_running_loop().create_task(self._read_again(name))
        return known.identity

    async def settled(self) -> None:
        """Returns when every user being read again has been read."""
        await asyncio.gather(*self._reading.values())

    async def _meet(self, name: str) -> Identity | None:
        user = await self._store.user(name)
        if user is not None:
            return self.learn(user)
        if len(self._strangers) >= STRANGERS_MAX:
            self._strangers.clear()
        self._strangers[name] = self._clock.monotonic_s()
        return None

    async def _read_again(self, name: str) -> None:
        try:
            user = await self._store.user(name)
        finally:
            # After a failure the next call tries again; until then what was known stands.
            self._reading.pop(name, None)
        if user is None:
            self.forget(name)
        else:
            self.learn(user)
