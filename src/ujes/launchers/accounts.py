"""Accounts of the operating system, and the folders that are theirs when engines run as them.

Only a process of root may hand a folder to another account; everything here is for such a gateway.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import msgspec

from ujes.launchers.launcher import LaunchError

#: Others may go through such a folder and not list it.
WAY_MODE = 0o711
_OWN_MODE = 0o700


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a process needs it: nothing has to be looked up after the fork."""

    name: str
    uid: int
    gid: int
    #: all groups, `gid` among them
    groups: list[int]


def find(name: str) -> Account:
    """The account called `name`, for a process to become it. Raises `LaunchError`; may ask a directory."""
    if os.geteuid() != 0:
        raise LaunchError(
            "The setting engines.run_as is `user`, and only a gateway that runs as root can start engines as "
            "other accounts. Run it as root, or choose `gateway`."
        )
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):  # the second: a name no account can have
        raise LaunchError(
            f"The user {name} has no account on this machine, and the setting engines.run_as is `user`. "
            "Add an account of that name."
        ) from None
    if entry.pw_uid == 0:
        raise LaunchError(f"The account {name} has the rights of root; no engine is started as it.")
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)


def give_folder(path: Path, uid: int) -> None:
    """Make the folder the account's alone; its parent is ours. Raises `LaunchError`, `OSError`.

    One that is there is handed over when it is root's. What lies in it stays whose it is.
    """
    path.mkdir(mode=_OWN_MODE, exist_ok=True)
    owner = path.stat().st_uid
    if owner == uid:
        return
    if owner != 0:
        raise LaunchError(f"The folder {path} is neither root's nor the account's. Give it to the account.")
    path.chmod(_OWN_MODE)
    os.chown(path, uid, -1)


def make_way(path: Path) -> None:
    """Make the folder, and let every account go through it without listing more than before."""
    path.mkdir(mode=WAY_MODE, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid == os.geteuid() and found.st_mode & WAY_MODE != WAY_MODE:
        path.chmod(found.st_mode & 0o777 | WAY_MODE)
