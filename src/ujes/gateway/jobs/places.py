"""Where a job's log and result sets lie. Pure: the place follows from the job's row."""

from __future__ import annotations

import re
import time
from pathlib import Path

from ujes.core.job import Job
from ujes.settings import Settings

_UNSAFE = re.compile(r"[^A-Za-z0-9_.@+-]")


def log_path(settings: Settings, job: Job) -> Path:
    return settings.logs / _owner(job) / f"{job.id}.log"


def result_dir(settings: Settings, job: Job) -> Path:
    return settings.results / _owner(job) / str(job.id)


def user_root(settings: Settings, user: str) -> Path:
    """The folder that is the user's own."""
    return settings.users / folder_name(user)


def work_dir(settings: Settings, tag: str) -> Path:
    """The folder of an engine instance."""
    return settings.home / "engines" / tag


def _owner(job: Job) -> Path:
    day = time.strftime("%Y-%m-%d", time.localtime(job.created_at_ms // 1000))
    return Path(day, folder_name(job.request.creator), folder_name(job.request.run_as))


def folder_name(name: str) -> str:
    """A name as one path element: what could leave the folder or clash is written as %XX."""
    safe = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), name)
    return safe if safe.strip(".") else safe.replace(".", "%2E") or "%00"
