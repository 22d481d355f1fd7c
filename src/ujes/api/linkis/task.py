"""A job as the `task` object of job history. Pure.

Java clients copy it field by field onto a bean and stop silently at the first value whose type does not
fit, so the types here are law: times are epoch milliseconds as numbers, `progress` is a decimal fraction as
text, `metrics`, `paramsJson` and `sourceJson` are JSON as text, and no key is called `params` or `source`.
See `jobhistory.md`, section 2, and `clients.md`, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ujes.api.linkis import envelope, execid
from ujes.core.job import JobState

if TYPE_CHECKING:
    from pathlib import Path

    from ujes.core.job import Job

#: linkis-cli reads `costTime` as a 32-bit number.
COST_TIME_MAX = 2**31 - 1

BRIEF_KEYS = (
    "status",
    "progress",
    "taskID",
    "execId",
    "logPath",
    "resultLocation",
    "umUser",
    "executeUser",
    "errDesc",
    "errCode",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPlaces:
    """What a task shows besides its job's record."""

    #: this gateway's `host:port`
    address: str
    log: Path
    results: Path


def task_of(job: Job, places: TaskPlaces, now_ms: int) -> dict[str, Any]:
    """Every key, null when there is nothing to say."""
    return {**_identity(job, places), **_content(job, places), **_course(job, now_ms), **_UNKNOWN_HERE}


def brief_task_of(job: Job, places: TaskPlaces, now_ms: int) -> dict[str, Any]:
    """The same keys, with only those filled that a polling client needs."""
    task = task_of(job, places, now_ms)
    return {key: value if key in BRIEF_KEYS else None for key, value in task.items()}


def file_url(path: Path) -> str:
    """A path as the wire shows it."""
    return f"file://{path}"


def progress_text(job: Job) -> str:
    return str(round(job.progress, 4))


#: Keys of features that are not here.
_UNKNOWN_HERE: dict[str, Any] = {
    "engineStartTime": None,
    "observeInfo": None,
    "subJobs": None,
    "engineLogPath": None,
    "ecmInstance": None,
    "ticketId": None,
}


def _identity(job: Job, places: TaskPlaces) -> dict[str, Any]:
    request = job.request
    exec_id = execid.modern(job.queue, job.id, service=envelope.SERVICE, address=places.address)
    return {
        "taskID": job.id,
        "instance": places.address,
        "execId": execid.short_id(job.queue, job.id),
        "strongerExecId": exec_id,
        "umUser": request.submitter,
        "executeUser": request.run_as,
        "engineInstance": job.instance,
        "engineType": request.engine,
        "executeApplicationName": request.engine,
        "requestApplicationName": request.creator,
        "runType": request.run_type,
        "labels": [f"{name}:{value}" for name, value in request.labels.items()],
        "logPath": file_url(places.log),
        "resultLocation": None if job.running_at_ms is None else file_url(places.results),
    }


def _content(job: Job, places: TaskPlaces) -> dict[str, Any]:
    request = job.request
    return {
        "executionCode": request.code,
        "paramsJson": request.params_json,
        "sourceJson": _json_text(dict(request.source)),
        "sourceTailor": "-".join(request.source.values()),
    }


def _course(job: Job, now_ms: int) -> dict[str, Any]:
    waited_ms = None if job.scheduled_at_ms is None else job.scheduled_at_ms - job.created_at_ms
    cost_ms = (job.ended_at_ms if job.ended_at_ms is not None else now_ms) - job.created_at_ms
    return {
        "status": job.state.value,
        "progress": progress_text(job),
        "createdTime": job.created_at_ms,
        "updatedTime": job.updated_at_ms,
        "costTime": min(max(cost_ms, 0), COST_TIME_MAX),
        "requestStartTime": job.created_at_ms,
        "requestEndTime": job.scheduled_at_ms,
        "requestSpendTime": waited_ms,
        "errCode": job.error_code if job.state.is_final else None,
        "errDesc": _error_text(job),
        "canRetry": job.state is JobState.FAILED and job.instance is None,
        "isReuse": job.is_reuse,
        "metrics": _json_text(_metrics(job)),
    }


def _error_text(job: Job) -> str | None:
    """Python clients raise it, so a job that did not succeed has one."""
    if not job.state.is_final or job.state is JobState.SUCCEED:
        return None
    return job.error or f"The job ended as {job.state.value}."


def _metrics(job: Job) -> dict[str, Any]:
    times = {
        "submitTime": job.created_at_ms,
        "scheduleTime": job.scheduled_at_ms,
        "runningTime": job.running_at_ms,
        "completeTime": job.ended_at_ms,
    }
    metrics: dict[str, Any] = {name: _time_text(at) for name, at in times.items() if at is not None}
    if job.instance is not None:
        metrics |= {"engineInstance": job.instance, "isReuse": job.is_reuse}
    return metrics


def _time_text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()
