"""The tree of refusals: everything UJES says no with, and the number the wire shows for it.

    UjesError
    ├── UserMistake        the caller can mend it; the text is shown as it is
    │   ├── InvalidRequest     a body, field, label or parameter is wrong
    │   ├── EmptyCode          there is nothing to run
    │   ├── UnknownEngine      no such engine type, or not with that run type
    │   ├── NotFound           no such job, file or page, or not for this user
    │   ├── NotPermitted       known, but not for this user
    │   ├── NotLoggedIn        no login, an ended one, or a bad token
    │   └── CodeFailed         the engine refused or could not finish the user's code
    ├── PassingFault       may work later: full queue, lost engine, full disk
    │   ├── QueueFull
    │   ├── EngineLost
    │   └── StorageFull
    └── InternalError      our bug: logged whole, shown as an id

An exception's docstring is its default message. Codes follow `envelope-and-errors.md`, section 3.
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class UjesError(Exception):
    """UJES could not do this."""

    code: ClassVar[int] = 0

    def __init__(self, message: str | None = None, *, code: int | None = None) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "").partition("\n\n")[0]
        self.error_code = type(self).code if code is None else code
        super().__init__(self.message)


class UserMistake(UjesError):
    """The request cannot be served as it stands."""


class InvalidRequest(UserMistake):
    """The request is not understood."""

    code = 20009


class EmptyCode(UserMistake):
    """There is no code to run."""

    code = 20007


class UnknownEngine(UserMistake):
    """There is no such engine here."""

    code = 20009


class NotFound(UserMistake):
    """There is no such thing, or it is not yours to see."""

    code = 0


class NotPermitted(UserMistake):
    """You may not do this."""

    code = 80010


class NotLoggedIn(UserMistake):
    """You are not logged in. Log in, or send a token, and try again."""

    code = 11002


class CodeFailed(UserMistake):
    """The code could not be run to its end."""

    code = 30009


class PassingFault(UjesError):
    """This did not work now; it may work later."""


class QueueFull(PassingFault):
    """The submission job failed and the queue is full!"""

    code = 12001


class EngineLost(PassingFault):
    """The engine process ended before the job did."""

    code = 12003


class StorageFull(PassingFault):
    """There is no space left where UJES keeps its records."""

    code = 20052


class InternalError(UjesError):
    """UJES made a mistake. The administrator finds the details in the server's log."""

    code = 20039
