"""The one door to who somebody is: logins by password, tickets, tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ujes.core.errors import UserMistake
from ujes.gateway.auth.firstadmin import FirstAdmin, make_first_admin
from ujes.gateway.auth.identity import Identity, is_user_name
from ujes.gateway.auth.logins import LoginRules, Logins
from ujes.gateway.auth.passwords import Passwords
from ujes.gateway.auth.proxy_file import ProxyFile
from ujes.gateway.auth.secret import new_secret, write_secret
from ujes.gateway.auth.tokens import Tokens
from ujes.gateway.auth.users import KnownUsers
from ujes.gateway.log import logger
from ujes.gateway.store.records import User

if TYPE_CHECKING:
    from ujes.gateway.auth.port import AuthStore
    from ujes.gateway.clock import Clock
    from ujes.settings import Settings

FIRST_ADMIN = "admin"
ADMIN_PASSWORD_FILE = "admin-password"  # noqa: S105 - a file's name
LOCAL_TOKEN_FILE = "local-token"  # noqa: S105 - a file's name
PROXY_FILE = "proxy.properties"


class Auth:
    """Open with `Auth.open`, close with `close`."""

    def __init__(self, store: AuthStore, settings: Settings, clock: Clock, local_token: str) -> None:
        admins = frozenset(name.lower() for name in settings.login.admins)
        rules = LoginRules(
            idle_timeout_ms=round(settings.login.idle_timeout_s * 1000), logins_max=settings.login.logins_max
        )
        self._store = store
        self._passwords = Passwords()
        self._logins = Logins(store, clock, rules)
        self._users = KnownUsers(store, clock, admins, on_changed=self._logins.drop_of)
        self._tokens = Tokens(store, clock, ProxyFile(settings.home / PROXY_FILE), local_token)
        #: what the command line of the same operating-system user sends
        self.local_token = local_token
        #: of the administrator made at this start, to print once; else None
        self.first_password: str | None = None

    @classmethod
    async def open(
        cls, store: AuthStore, settings: Settings, clock: Clock, first: FirstAdmin | None = None
    ) -> Auth:
        """Ready for calls. Stores the first administrator when the store has no users."""
        auth = cls(store, settings, clock, new_secret())
        await asyncio.to_thread(write_secret, settings.home / LOCAL_TOKEN_FILE, auth.local_token)
        users = await store.users()
        if not users:
            users = (await auth._add_admin(first or make_first_admin(), settings.home, clock.now_ms()),)
        for user in users:
            auth._users.learn(user)
        await auth._logins.load({user.name for user in users}.__contains__)
        return auth

    async def close(self) -> None:
        await self._users.close()
        await self._logins.close()
        await asyncio.to_thread(self._passwords.close)

    async def login(self, user: str, password: str, *, peer: str) -> tuple[str, Identity]:
        """A ticket for a new login. `UserMistake` for wrong credentials, whatever is wrong with them."""
        name = user.strip().lower()
        record = await self._store.user(name) if is_user_name(name) else None
        is_right = await self._passwords.matches(record.password_hash if record else None, password)
        if record is None or not is_right:
            logger().warning("A login was refused.", peer=peer)
            raise UserMistake("The user name or the password is wrong.")
        identity = self._users.learn(record)
        return await self._logins.begin(record.name), identity

    async def logout(self, ticket: str) -> None:
        await self._logins.end(ticket)

    def by_ticket(self, ticket: str) -> Identity | None:
        """Whose cookie this is; memory only. None when it is unknown, over, or its user is gone."""
        name = self._logins.user_of(ticket)
        return None if name is None else self._users.identity(name)

    async def by_token(self, user: str, code: str, *, peer: str) -> Identity:
        """`user`, when the token `code` may act so from `peer`; else NotLoggedIn with 15201 to 15207."""
        await self._tokens.check(user, code, peer)
        return Identity(user=user, is_admin=await self._users.is_admin(user), via="token")

    async def settled(self) -> None:
        """Returns when what was noticed in passing is done; for tests."""
        await self._users.settled()
        await self._logins.close()

    async def _add_admin(self, first: FirstAdmin, home: Path, now_ms: int) -> User:
        password_hash = await asyncio.wrap_future(first.password_hash)
        # The file first: a start cut off in between makes both anew.
        await asyncio.to_thread(write_secret, home / ADMIN_PASSWORD_FILE, first.password)
        admin = User(name=FIRST_ADMIN, password_hash=password_hash, is_admin=True, created_at_ms=now_ms)
        await self._store.add_user(admin)
        self.first_password = first.password
        return admin
