"""Who is asking, and which names a user may have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ujes.core.errors import InvalidRequest

USER_CHARS_MAX = 64
#: A user's name becomes a folder and a part of execIDs, which clients put raw into URLs.
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{USER_CHARS_MAX - 1}}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """An authenticated caller."""

    user: str
    is_admin: bool
    #: by cookie, or by a token sent with the call
    via: Literal["login", "token"]


def is_user_name(name: str) -> bool:
    """Whether `name` can be acted as at all."""
    return _NAME.fullmatch(name) is not None


def new_user_name(name: str) -> str:
    """The name a new user gets: lower case, and without the dash that `user-creator` labels split at."""
    lowered = name.strip().lower()
    if not is_user_name(lowered) or "-" in lowered:
        raise InvalidRequest(
            f"{name!r} cannot be a user's name: use up to {USER_CHARS_MAX} letters, digits, '_' and '.', "
            "beginning with a letter, a digit or '_'."
        )
    return lowered
