"""Reading what a server answered, tolerant where servers of different versions differ. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from ujes.client.errors import LoginEnded, NoAnswer, Refused
from ujes.client.values import Column, Job, JobList, LogPart, Page, Progress, ResultKind, Stage, Submitted

HTTP_UNAUTHORIZED = 401
_NOT_LOGGED_IN = -1
#: A server that already knows us says so with a failure of this text.
_ALREADY_LOGGED_IN = "Already logged in, please log out"
_KINDS: dict[str, ResultKind] = {"1": "text", "2": "table", "4": "picture", "5": "html"}
_FIRST_NUMBER = re.compile(r"\d+")


def data_of(http_status: int, content: bytes) -> Mapping[str, Any]:
    """The `data` of an envelope. Raises `Refused`, `LoginEnded`, or `NoAnswer` for anything else."""
    try:
        envelope = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        envelope = None
    if not isinstance(envelope, dict) or "status" not in envelope:
        raise NoAnswer(f"The server does not answer as a gateway does (HTTP {http_status}).")
    status, message = str(envelope["status"]), _reason(envelope)
    if http_status == HTTP_UNAUTHORIZED or status == str(_NOT_LOGGED_IN):
        raise LoginEnded(message)
    if status != "0" and _ALREADY_LOGGED_IN not in message:
        raise Refused(message)
    data = envelope.get("data")
    return data if isinstance(data, dict) else {}


def _reason(envelope: Mapping[str, Any]) -> str:
    """The plain text of a refusal where it has one, else its whole message."""
    data = envelope.get("data")
    error = data.get("errorMsg") if isinstance(data, dict) else None
    text = error.get("desc") if isinstance(error, dict) else None
    return str(text or envelope.get("message") or "The server gives no reason.")


def nothing(_data: Mapping[str, Any]) -> None:
    return None


def submitted(data: Mapping[str, Any]) -> Submitted:
    return Submitted(id=_need_int(data, "taskID"), exec_id=_text(data, "execID"))


def state(data: Mapping[str, Any]) -> str:
    return _text(data, "status") or "Unknown"


def progress(data: Mapping[str, Any]) -> Progress:
    stages = data.get("progressInfo")
    return Progress(
        value=_fraction(data.get("progress")),
        stages=tuple(_stage(item) for item in stages if isinstance(item, dict))
        if isinstance(stages, list)
        else (),
    )


def _stage(item: Mapping[str, Any]) -> Stage:
    return Stage(
        id=_text(item, "id"),
        total=_int(item, "totalTasks") or 0,
        running=_int(item, "runningTasks") or 0,
        failed=_int(item, "failedTasks") or 0,
        succeeded=_int(item, "succeedTasks") or 0,
    )


def job(data: Mapping[str, Any]) -> Job:
    task = data.get("task")
    if not isinstance(task, dict):
        raise Refused("There is no such job, or it is not yours to see.")
    return _job(task)


def job_list(data: Mapping[str, Any]) -> JobList:
    tasks = data.get("tasks")
    jobs = tuple(_job(task) for task in tasks if isinstance(task, dict)) if isinstance(tasks, list) else ()
    total = _int(data, "totalPage")
    return JobList(jobs=jobs, total=len(jobs) if total is None else total)


def _job(task: Mapping[str, Any]) -> Job:
    return Job(
        id=_need_int(task, "taskID"),
        exec_id=_text(task, "strongerExecId"),
        state=state(task),
        progress=_fraction(task.get("progress")),
        engine=_text(task, "engineType") or _text(task, "executeApplicationName"),
        run_type=_text(task, "runType"),
        creator=_text(task, "requestApplicationName"),
        submitter=_text(task, "umUser"),
        run_as=_text(task, "executeUser") or _text(task, "umUser"),
        code=_text(task, "executionCode"),
        error_code=_int(task, "errCode"),
        error=_text(task, "errDesc") or None,
        log_path=_text(task, "logPath") or None,
        result_location=_text(task, "resultLocation") or None,
        instance=_text(task, "engineInstance") or None,
        created_at_ms=_int(task, "createdTime") or 0,
        updated_at_ms=_int(task, "updatedTime") or 0,
        cost_ms=_int(task, "costTime"),
    )


def log_part(data: Mapping[str, Any], from_line: int) -> LogPart:
    lines = _lines(data.get("log"))
    next_line = _int(data, "fromLine")
    return LogPart(lines=lines, next_line=from_line + len(lines) if next_line is None else next_line)


def whole_log(data: Mapping[str, Any], from_line: int) -> LogPart:
    lines = _lines(data.get("log"))
    first = max(from_line, 1)
    return LogPart(lines=lines[first - 1 :], next_line=max(first, len(lines) + 1))


def _lines(log: object) -> tuple[str, ...]:
    """One text, or a list of texts by level of which the last has every line."""
    text = log[-1] if isinstance(log, list) and log else log
    if not isinstance(text, str) or not text:
        return ()
    return tuple(text.removesuffix("\n").split("\n"))


def result_files(data: Mapping[str, Any]) -> tuple[str, ...]:
    tree = data.get("dirFileTrees")
    children = tree.get("children") if isinstance(tree, dict) else None
    leaves = [child for child in children or () if isinstance(child, dict) and child.get("isLeaf", True)]
    return tuple(sorted((_text(leaf, "path") for leaf in leaves), key=_result_order))


def _result_order(path: str) -> tuple[int, str]:
    name = PurePosixPath(path).name
    number = _FIRST_NUMBER.search(name)
    return int(number[0]) if number else -1, name


def page(data: Mapping[str, Any], asked: int) -> Page:
    if _int(data, "page") not in (None, asked):
        # Going on would read the same rows for ever.
        raise NoAnswer(f"The server answered another page than page {asked}.")
    kind = _KINDS.get(_text(data, "type"), "file")
    content = data.get("fileContent")
    rows = content if isinstance(content, list) else []
    if _int(data, "totalLine") == 0 and kind != "file":
        rows = []
    return Page(kind=kind, columns=_columns(data.get("metadata")), rows=tuple(_row(row) for row in rows))


def _columns(metadata: object) -> tuple[Column, ...]:
    """Texts have the word NULL for metadata, and one column."""
    if not isinstance(metadata, list):
        return (Column(name="text", type="string"),)
    return tuple(
        Column(
            name=_text(column, "columnName"),
            type=_text(column, "dataType") or "string",
            comment=_comment(_text(column, "comment")),
        )
        for column in metadata
        if isinstance(column, dict)
    )


def _comment(text: str) -> str:
    return "" if text == "NULL" else text


def _row(row: object) -> tuple[str | None, ...]:
    cells = row if isinstance(row, list) else [row]
    return tuple(cell if cell is None or isinstance(cell, str) else str(cell) for cell in cells)


# --- fields -------------------------------------------------------------------------------------


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def _int(data: Mapping[str, Any], key: str) -> int | None:
    """A number, or a number as text."""
    try:
        return int(str(data.get(key)))
    except ValueError:
        return None


def _need_int(data: Mapping[str, Any], key: str) -> int:
    value = _int(data, key)
    if value is None:
        raise NoAnswer(f"The server's answer has no {key}.")
    return value


def _fraction(value: object) -> float:
    try:
        fraction = float(str(value))
    except ValueError:
        return 0.0
    return min(max(fraction, 0.0), 1.0)
