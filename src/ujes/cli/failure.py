"""What a user sees when something does not work: a sentence, never a traceback."""

from __future__ import annotations

import click


class Failure(click.ClickException):
    """The command ends with exit code 1 and this sentence."""

    def format_message(self) -> str:
        return self.message


def sentence_of(error: Exception) -> str | None:
    """The sentence of an error that is one for users; None for a bug of ours."""
    from ujes.client.errors import ClientError, NoAnswer  # noqa: PLC0415 - errors are rare, imports are not free
    from ujes.core.errors import InternalError, UjesError  # noqa: PLC0415
    from ujes.gateway.home import HomeRefused  # noqa: PLC0415
    from ujes.gateway.store.database import StoreRefused  # noqa: PLC0415

    if isinstance(error, InternalError):
        return None
    if isinstance(error, NoAnswer):
        return f"{error} Start one with `ujes serve`, or name another with --server."
    if isinstance(error, (ClientError, UjesError, HomeRefused, StoreRefused)):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        name = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{name}."
    return None
