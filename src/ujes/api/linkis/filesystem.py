"""Folders, result sets, scripts and logs, for reading.

Result sets are Arrow files; on this wire, and nowhere else, `_3.arrow` in a job's result folder is called
`_3.dolphin`. Reading, casting and encoding a page happens in a thread. See `filesystem-and-results.md`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from ujes.api.linkis import pagequery, script, url
from ujes.api.linkis.caller import identify
from ujes.api.linkis.envelope import Reply, encode, method_of, success
from ujes.api.linkis.loglines import LEVELS, Level, by_level_of_file
from ujes.api.linkis.task import file_url
from ujes.core.errors import InvalidRequest
from ujes.gateway.files.files import TooLarge, read_whole
from ujes.gateway.files.tree import FileEntry, list_folder, look_at

if TYPE_CHECKING:
    from starlette.requests import Request

    from ujes.gateway.files.paths import Place
    from ujes.gateway.gateway import Gateway

#: What `openFile` opens besides result sets.
SCRIPT_SUFFIXES = script.SUFFIXES | {"out", "log", "text", "txt"}
RESULT_SUFFIX = "dolphin"

_FILE_TOO_LARGE = 80032
_LOG_TOO_LARGE = 80033
_WRONG_SUFFIX = 80012

_SHOWN = re.compile(r"_([0-9]+)\.dolphin")
_STORED = re.compile(r"_([0-9]+)\.arrow")


def routes(gateway: Gateway) -> list[Route]:
    files = FileSystemEndpoints(gateway)
    return [
        Route("/filesystem/getUserRootPath", files.user_root, methods=["GET"]),
        Route("/filesystem/getDirFileTrees", files.tree, methods=["GET"]),
        Route("/filesystem/isExist", files.exists, methods=["GET"]),
        Route("/filesystem/openFile", files.open_file, methods=["GET"]),
        Route("/filesystem/openLog", files.open_log, methods=["GET"]),
    ]


class FileSystemEndpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._limits = gateway.settings.limits

    async def user_root(self, request: Request) -> Reply:
        identity = await identify(self._gateway, request.scope)
        kind = request.query_params.get("pathType", "").strip().lower()
        if kind in ("hdfs", "s3"):
            raise InvalidRequest(f"This server keeps no files in {kind}; ask with pathType=file.", code=0)
        root = await self._gateway.files.make_user_root(identity.user)
        return success(request.scope, {"userLocalRootPath": file_url(root) + "/"})

    async def tree(self, request: Request) -> Reply:
        """One level of a folder; null for what is not there."""
        place = await self._place(request)
        tree = await asyncio.to_thread(_tree, place)
        return success(request.scope, {"dirFileTrees": tree})

    async def exists(self, request: Request) -> Reply:
        place = await self._place(request)
        found = await asyncio.to_thread(look_at, _stored(place))
        return success(request.scope, {"isExist": found is not None})

    async def open_file(self, request: Request) -> Reply:
        params = url.query(request.scope["query_string"])
        place = await self._place(request)
        suffix = place.asked.suffix.removeprefix(".").lower()
        if suffix == RESULT_SUFFIX:
            page = pagequery.page_asked(params, self._limits.page_rows)
            return await asyncio.to_thread(self._open_result, method_of(request.scope), place, page)
        if suffix not in SCRIPT_SUFFIXES:
            raise InvalidRequest(
                f"Files with the suffix `{suffix}` cannot be opened here.", code=_WRONG_SUFFIX
            )
        data = await asyncio.to_thread(self._open_script, place, suffix)
        return success(request.scope, data)

    async def open_log(self, request: Request) -> Reply:
        params = url.query(request.scope["query_string"])
        wanted = _levels(params.get("logLevel", ""))
        place = await self._place(request)
        log = await asyncio.to_thread(self._open_log, place, wanted)
        return success(request.scope, {"log": log})

    async def _place(self, request: Request) -> Place:
        identity = await identify(self._gateway, request.scope)
        path = url.query(request.scope["query_string"]).get("path", "")
        return await self._gateway.files.readable(identity, path)

    def _open_result(self, method: str, place: Place, page: pagequery.PageAsked) -> Reply:
        from ujes.api.linkis import resultpage  # noqa: PLC0415 - pyarrow, which no start needs

        data = resultpage.read(self._gateway.files.readers, _stored(place), page)
        return Reply(200, encode(method, data))

    def _open_script(self, place: Place, suffix: str) -> dict[str, Any]:
        text = self._read_text(place, _FILE_TOO_LARGE)
        opened = script.read(text, suffix)
        return {
            "metadata": opened.metadata,
            "fileContent": [[opened.code]],
            "type": "script/text",
            "totalLine": opened.lines,
            "page": 1,
            "totalPage": 0,
        }

    def _open_log(self, place: Place, wanted: tuple[Level, ...]) -> list[str]:
        """linkis-cli waits for a fourth text that is not blank."""
        log = by_level_of_file(self._read_text(place, _LOG_TOO_LARGE), wanted)
        return log if log[3].strip() else [*log[:3], "This log has no lines (of that level).\n"]

    def _read_text(self, place: Place, too_large_code: int) -> str:
        size_bytes_max = self._limits.file_bytes
        try:
            content = read_whole(place.real, size_bytes_max, self._gateway.files.opener)
        except TooLarge as error:
            shown = f"{place.asked.name} has {error.size_bytes:,} bytes"
            raise InvalidRequest(
                f"{shown}; up to {size_bytes_max:,} are shown.", code=too_large_code
            ) from None
        return content.decode("utf-8-sig", "replace")


def _levels(text: str) -> tuple[Level, ...]:
    words = {word.strip().upper() for word in text.split(",")} - {""}
    return LEVELS if not words or "ALL" in words else tuple(level for level in LEVELS if level in words)


# --- what is called dolphin ----------------------------------------------------------------------


def _stored(place: Place) -> Path:
    """The file a place means: what a client calls `_3.dolphin` lies there as `_3.arrow`."""
    match = _SHOWN.fullmatch(place.real.name) if place.kind == "result" else None
    return place.real.with_name(f"_{match[1]}.arrow") if match else place.real


def _shown(name: str, place: Place) -> str:
    match = _STORED.fullmatch(name) if place.kind == "result" else None
    return f"_{match[1]}.dolphin" if match else name


# --- trees ---------------------------------------------------------------------------------------


def _tree(place: Place) -> Mapping[str, Any] | None:
    found = look_at(_stored(place))
    if found is None:
        # Clients stumble over null here, and a job that has no results yet has an empty folder.
        return _folder(place, ()) if place.is_job_folder else None
    if found.is_folder:
        return _folder(place, list_folder(place.real))
    return {**_node(found, place.asked, place), "parentPath": None}


def _folder(place: Place, entries: tuple[FileEntry, ...]) -> dict[str, Any]:
    return {
        "name": place.asked.name,
        "path": file_url(place.asked),
        "properties": None,
        "children": [_node(entry, place.asked / _shown(entry.name, place), place) for entry in entries],
        "isLeaf": False,
        "parentPath": None,
    }


def _node(entry: FileEntry, path: Path, place: Place) -> dict[str, Any]:
    properties = {} if entry.is_folder else _properties(entry)
    return {
        "name": _shown(entry.name, place),
        "path": file_url(path),
        "properties": properties,
        "children": None,
        "isLeaf": not entry.is_folder,
        "parentPath": file_url(path.parent),
    }


def _properties(entry: FileEntry) -> dict[str, str]:
    return {"size": str(entry.size_bytes), "modifytime": str(entry.modified_at_ms)}
