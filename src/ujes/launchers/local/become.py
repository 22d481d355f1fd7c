"""A child of a warm parent that runs as root becomes the account of its user, for good."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import ujes
from ujes.launchers.accounts import Account

_LOG = 2


class Refused(Exception):
    """The host cannot live as its account; the text says why, for the user."""


def become(account: Account, work_dir: Path) -> None:
    """Hand the work directory and the open log over, then drop every right. Raises `Refused`.

    Until now nobody but root could reach into the work directory, so nothing in it can be a trap.
    """
    try:
        os.fchown(_LOG, account.uid, account.gid)
        os.chown(work_dir, account.uid, account.gid)
        os.setgroups(account.groups)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    except OSError as error:
        raise Refused(f"The engine cannot run as the account {account.name}: {error.strerror}.") from error


def check_reach(account: Account, folders: Iterable[Path]) -> None:
    """See that the account gets to where it has to. Raises `Refused`, naming what is in the way."""
    for folder in folders:
        for step in (*reversed(folder.parents), folder):
            if not os.access(step, os.X_OK):
                raise Refused(
                    f"The account {account.name} cannot enter {step}, on the way to {folder}. Let it in, or "
                    "move what UJES keeps to where every account may go."
                )
    for file in (os.__file__, ujes.__file__):
        if file and not os.access(file, os.R_OK):
            raise Refused(
                f"The account {account.name} cannot read {file}, which its engine needs. Install Python and "
                "UJES where every account may read them."
            )
