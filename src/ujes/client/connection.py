"""What both shells need to know about reaching a server. No I/O."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from ujes.client.errors import ClientError, NoAnswer
from ujes.client.requests import token_headers

CONNECT_S = 5.0

#: Python's name for the system's error, before its words.
_ERRNO = re.compile(r"\[Errno -?\d+\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Who we are: a user with a password, or with a token that may act as that user."""

    user: str
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, user: str, password: str | None, token: str | None) -> Self:
        if not user:
            raise ClientError("A user is needed to talk to a server.")
        if (password is None) == (token is None):
            raise ClientError("Give a password or a token to talk to a server, and not both.")
        for secret in (user, token or ""):
            if not secret.isascii() or not secret.isprintable():
                raise ClientError("User names and tokens are sent as headers: only ASCII letters will do.")
        return cls(user=user, password=password, token=token)

    def headers(self) -> dict[str, str]:
        return {} if self.token is None else token_headers(self.user, self.token)


def is_near(url: str) -> bool:
    """On this machine, where no proxy helps."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def no_answer(url: str, error: Exception) -> NoAnswer:
    why = _ERRNO.sub("", str(error)).strip().rstrip(".") or type(error).__name__
    return NoAnswer(f"No gateway answers at {url} ({why}).")
