"""Labels that decide where a job runs, and how they are spelled: `duckdb-2.0`, `alice-IDE`, `executeOnce`.

Grammar and codes follow `engines-and-labels.md`, section 5. A wire takes a label apart that it may write as
an object; texts are read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ujes.core.errors import InvalidRequest

LABEL_WRONG = 20009
CREATOR_WRONG = 25002
USER_DIFFERS = 50080

#: Its presence asks for a fresh engine that ends with the job; its value does not count.
EXECUTE_ONCE = "executeOnce"

_VERSION_CHARS_MAX = 64
#: Creators and engine types stand in execIDs, which clients put into URLs as they are, and in paths.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineLabel:
    """An engine type and the version asked for; "" and "*" are any."""

    type: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.type}-{self.version}" if self.version else self.type


def engine_label(name: str, version: str = "") -> EngineLabel:
    """The label of an engine type. Raises `InvalidRequest` (20009)."""
    name, version = name.strip(), version.strip()
    if not _NAME.fullmatch(name) or "-" in name or len(version) > _VERSION_CHARS_MAX:
        raise InvalidRequest("The engine type must read like `duckdb` or `spark-3.5.1`.", code=LABEL_WRONG)
    return EngineLabel(type=name, version=version)


def parse_engine(text: str) -> EngineLabel:
    """`type-version`; the first dash divides them. Raises `InvalidRequest` (20009)."""
    name, _, version = text.partition("-")
    return engine_label(name, version)


def parse_creator(text: str, run_as: str) -> str:
    """The creator in `user-creator`, whose user must be `run_as`. Raises `InvalidRequest` (25002, 50080).

    A user whose own name has dashes is recognised, nobody else's is.
    """
    own, rest = text[: len(run_as)], text[len(run_as) :]
    if own.lower() == run_as.lower() and rest.startswith("-"):
        user, creator = own, rest[1:]
    else:
        user, _, creator = text.partition("-")
    if not user or not creator or "-" in creator:
        raise InvalidRequest("The label `userCreator` must read like `user-creator`.", code=CREATOR_WRONG)
    return creator_of(user, creator, run_as)


def creator_of(user: str, creator: str, run_as: str) -> str:
    """The creator, checked together with the user it was given with."""
    if user.lower() != run_as.lower():
        sentence = f"The label `userCreator` names another user than the one the job runs as, {run_as}."
        raise InvalidRequest(sentence, code=USER_DIFFERS)
    return creator_name(creator)


def creator_name(creator: str) -> str:
    """A creator's name that can be used. Raises `InvalidRequest` (25002)."""
    if not _NAME.fullmatch(creator) or not creator.strip("."):
        sentence = "The creator must have 1 to 64 letters, digits, dots, dashes or underscores."
        raise InvalidRequest(sentence, code=CREATOR_WRONG)
    return creator


def is_once(labels: Mapping[str, str]) -> bool:
    """Whether the job asks for an engine of its own."""
    return EXECUTE_ONCE in labels
