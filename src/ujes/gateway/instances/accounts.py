"""What lies open to other accounts when engines run as their users (`engines.run_as = "user"`).

An engine's account goes through the home to the link's socket, its work folder, its own root and the folder
of its results. It owns the last three; everything else in the home is for the gateway alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ujes.core.job import Job
from ujes.gateway.jobs.places import result_dir, work_dir
from ujes.gateway.observe import Fault, Observers
from ujes.launchers.accounts import WAY_MODE, give_folder, make_way
from ujes.launchers.launcher import LaunchError
from ujes.settings import Settings


def engine_account(settings: Settings, tag: str) -> int:
    """The account an instance runs as: the owner of its work folder. Raises OSError.

    Also when that is our own: an engine started before the setting was changed is not used again.
    """
    folder = work_dir(settings, tag)
    owner = folder.lstat().st_uid
    if owner == os.geteuid():
        raise PermissionError(errno.EPERM, "The engine does not run as an account of its own", str(folder))
    return owner


def give_results(settings: Settings, observers: Observers, job: Job) -> None:
    """Make the folder above a job's results, its engine's account's alone.

    When that fails, the engine cannot write results either, and tells its user so.
    """
    try:
        _give_results(settings, job)
    except (OSError, LaunchError) as error:
        observers.tell(Fault(text=f"The folder for the results of job {job.id} cannot be prepared: {error}"))


def _give_results(settings: Settings, job: Job) -> None:
    account = engine_account(settings, job.instance or "")
    folder = result_dir(settings, job).parent
    for way in reversed(folder.relative_to(settings.results).parents):
        make_way(settings.results / way)
    give_folder(folder, account)


def let_accounts_in(settings: Settings) -> None:
    """Open the ways through the home, and close everything else in it. Does nothing unless we are root."""
    if os.geteuid() != 0:
        return  # every launch is refused with a sentence
    settings.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    ways = tuple(_ways(settings))
    for way in ways:
        make_way(way)
    settings.home.chmod(WAY_MODE)
    for entry in settings.home.iterdir():
        if entry in ways:
            entry.chmod(WAY_MODE)
        elif not any(entry in way.parents for way in ways):
            _close(entry)


def _ways(settings: Settings) -> Iterator[Path]:
    yield settings.home / "run"
    yield work_dir(settings, "any").parent
    yield settings.results
    yield settings.users


def _close(entry: Path) -> None:
    mode = entry.lstat().st_mode
    if not stat.S_ISLNK(mode):
        entry.chmod(mode & stat.S_IRWXU)
