"""The administrator every new home begins with: a password made at random, and its hash.

Hashing takes as long as a good part of a start, by intent. `ujes serve` begins it before it imports the rest
of the gateway, and the two run side by side.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ujes.gateway.auth.passwords import hash_password
from ujes.gateway.auth.secret import new_secret


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstAdmin:
    password: str = field(repr=False)
    password_hash: Future[str] = field(repr=False)


def make_first_admin() -> FirstAdmin:
    """Returns at once; the hash is on its way."""
    password = new_secret()
    with_thread = ThreadPoolExecutor(1, thread_name_prefix="first-admin")
    password_hash = with_thread.submit(hash_password, password)
    with_thread.shutdown(wait=False)
    return FirstAdmin(password=password, password_hash=password_hash)
