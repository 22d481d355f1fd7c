"""The files a caller may read: their own folder, and what their jobs left behind."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ujes.core.errors import InvalidRequest, NotPermitted
from ujes.gateway.auth.permission import may_see
from ujes.gateway.files.opening import Opener
from ujes.gateway.files.paths import Place, is_within, log_job_id, parse, real_path, result_job_id
from ujes.gateway.jobs.places import log_path, result_dir, user_root

if TYPE_CHECKING:
    from ujes.core.job import Job
    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.jobs.entrance import Entrance
    from ujes.results.reader import Readers
    from ujes.settings import Settings

UNREADABLE = 80012
_USER_FOLDER_MODE = 0o700


@dataclass(frozen=True, kw_only=True, slots=True)
class TooLarge(Exception):
    """The file is larger than may be read whole."""

    size_bytes: int


class Files:
    def __init__(self, settings: Settings, entrance: Entrance) -> None:
        self._settings = settings
        self._entrance = entrance
        self.opener = Opener(same_owner=settings.engines.run_as == "user")

    @cached_property
    def readers(self) -> Readers:
        """Open result sets, for the next page. Made by the first: a start does without pyarrow."""
        from ujes.results.reader import Readers  # noqa: PLC0415

        return Readers(open_file=self.opener.open_file)

    def close(self) -> None:
        if "readers" in self.__dict__:
            self.readers.close()

    async def make_user_root(self, user: str) -> Path:
        """The folder that is the user's own, made when it is not there yet."""
        root = user_root(self._settings, user)
        await asyncio.to_thread(root.mkdir, mode=_USER_FOLDER_MODE, parents=True, exist_ok=True)
        return root

    async def readable(self, identity: Identity, text: str) -> Place:
        """The place a client's path means. Raises `NotPermitted` when it may not be read."""
        asked = parse(text)
        real = await asyncio.to_thread(real_path, asked)
        place = await self._place(identity, asked, real)
        if place is None:
            raise NotPermitted(
                f"You may not read {asked}: it is neither in your own folder nor among the results and logs "
                "of your jobs."
            )
        return place

    async def _place(self, identity: Identity, asked: Path, real: Path) -> Place | None:
        settings = self._settings
        if is_within(real, real_path(user_root(settings, identity.user))):
            return Place(kind="own", asked=asked, real=real)
        job = await self._visible_job(identity, result_job_id(real, real_path(settings.results)))
        if job is not None and is_within(real, folder := real_path(result_dir(settings, job))):
            return Place(kind="result", asked=asked, real=real, is_job_folder=real == folder)
        job = await self._visible_job(identity, log_job_id(real, real_path(settings.logs)))
        if job is not None and real == real_path(log_path(settings, job)):
            self._entrance.settle_log(job)
            return Place(kind="log", asked=asked, real=real)
        return None

    async def _visible_job(self, identity: Identity, job_id: int | None) -> Job | None:
        job = None if job_id is None else await self._entrance.job(job_id)
        return job if job is not None and may_see(identity, job) else None


def read_whole(path: Path, size_bytes_max: int, opener: Opener) -> bytes:
    """The content of a regular file at a real path. Raises `TooLarge`, `InvalidRequest`; blocks."""
    try:
        descriptor = opener.open_file(path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        content = file.read(size_bytes_max + 1)
    if len(content) > size_bytes_max:
        raise TooLarge(size_bytes=found.st_size)
    return content


def _unreadable(path: Path, reason: str) -> InvalidRequest:
    return InvalidRequest(f"The file {path.name} cannot be read: {reason}.", code=UNREADABLE)
