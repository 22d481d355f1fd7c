"""What authentication needs of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ujes.gateway.store.records import Login, Token, User


class AuthStore(Protocol):
    """The part of `Store` that keeps users, tokens and logins."""

    async def add_user(self, user: User) -> None: ...

    async def user(self, name: str) -> User | None: ...

    async def users(self) -> tuple[User, ...]: ...

    async def token(self, token_hash: str) -> Token | None: ...

    def touch_token(self, token_hash: str, at_ms: int) -> None: ...

    async def add_login(self, login: Login) -> None: ...

    async def logins(self) -> tuple[Login, ...]: ...

    async def drop_login(self, ticket_hash: str) -> bool: ...

    def touch_login(self, ticket_hash: str, at_ms: int) -> None: ...
