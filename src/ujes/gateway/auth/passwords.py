"""Passwords, hashed with argon2id in a few threads of their own.

One check costs 64 MiB and some fifty milliseconds on purpose, so only `THREADS` run at once and only
`WAITING_MAX` more may wait; a flood of logins is refused instead of eating the machine. A login for an
unknown user is checked against a hash nobody has the password of, so that it takes the same time.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ujes.core.errors import InvalidRequest, PassingFault

THREADS = 2
WAITING_MAX = 32
#: Clients give a login five seconds.
ANSWER_S_MAX = 4.0
PASSWORD_CHARS_MAX = 1024

_NOBODYS_HASH = (
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZSByYW5kb20gc2FsdA$RdescudvJCsgt3ub+b/dWRWJTmaaJObGWn9e0yO7NQo"
)


def hash_password(password: str) -> str:
    """Blocking; not for the event loop."""
    if not password or len(password) > PASSWORD_CHARS_MAX:
        raise InvalidRequest(f"A password has 1 to {PASSWORD_CHARS_MAX} characters.")
    return PasswordHasher().hash(password.encode("utf-8", "surrogatepass"))


def _matches(password_hash: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(password_hash, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._going = 0

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Whether `password` is the one; None stands for a user that does not exist."""
        if len(password) > PASSWORD_CHARS_MAX:
            return False
        if self._going >= THREADS + WAITING_MAX:
            raise PassingFault("Too many logins are being checked at this moment; try again shortly.")
        self._going += 1
        try:
            is_right = await self._check(password_hash or _NOBODYS_HASH, password)
        finally:
            self._going -= 1
        return is_right and password_hash is not None

    async def _check(self, password_hash: str, password: str) -> bool:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await loop.run_in_executor(self._threads, _matches, password_hash, password)
        except TimeoutError:
            raise PassingFault("The login could not be checked in time; try again shortly.") from None
