"""The GETs clients poll: status, log, progress and the two heartbeats, without a framework around them.

Each is a function from the ASGI scope and the job's name to an answer; the application finds it with one
dictionary lookup. Everything else about a request (who calls, which job, what errors become) is the code
all endpoints share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ujes.api.linkis import url
from ujes.api.linkis.caller import identify
from ujes.api.linkis.envelope import ROOT, Reply, success
from ujes.api.linkis.loglines import by_level
from ujes.api.linkis.lookup import exec_id_shown, find_job

if TYPE_CHECKING:
    from ujes.core.job import Job
    from ujes.gateway.gateway import Gateway

Scope = Mapping[str, Any]
Endpoint = Callable[[Scope, str], Awaitable[Reply]]

LOG_SIZE_DEFAULT = 100
#: Lines in one answer at most; also what a negative size asks for.
LOG_SIZE_MAX = 10_000

_ENTRANCE = ROOT + "entrance/"
_HEARTBEAT = ROOT + "gateway/heartbeat"


def progress_of(gateway: Gateway, job: Job) -> dict[str, Any]:
    """How far a job is; parts without tasks are left out."""
    stages = [
        {
            "id": stage.id,
            "succeedTasks": stage.succeeded,
            "failedTasks": stage.failed,
            "runningTasks": stage.running,
            "totalTasks": stage.total,
        }
        for stage in gateway.entrance.stages(job.id)
        if stage.total > 0
    ]
    return {"progress": job.progress, "progressInfo": stages}


class HotEndpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._of_job: dict[str, Endpoint] = {
            "status": self.status,
            "log": self.log,
            "progress": self.progress,
            "progressWithResource": self.progress_with_resource,
        }

    def find(self, path: str) -> tuple[Endpoint, str] | None:
        """The endpoint at a canonical path, and the name of the job in it."""
        if path.startswith(_ENTRANCE):
            name, _, verb = path[len(_ENTRANCE) :].partition("/")
            endpoint = self._of_job.get(verb)
            return None if endpoint is None or not name else (endpoint, name)
        return (self.heartbeat, "") if path == _HEARTBEAT else None

    async def status(self, scope: Scope, name: str) -> Reply:
        job = await self._job(scope, name, url.query(scope["query_string"]))
        return success(scope, {"status": job.state.value, **self._names(job, name)})

    async def progress(self, scope: Scope, name: str) -> Reply:
        return success(scope, await self._progress(scope, name))

    async def progress_with_resource(self, scope: Scope, name: str) -> Reply:
        """No engine here runs on a cluster with queues of its own, so there is no resource to show."""
        return success(scope, {**await self._progress(scope, name), "yarnResource": None})

    async def log(self, scope: Scope, name: str) -> Reply:
        """Lines are numbered from 1; the answer's `fromLine` is where to go on."""
        params = url.query(scope["query_string"])
        job = await self._job(scope, name, params)
        from_line = max(url.number(params, "fromLine", 0), 0)
        size = url.number(params, "size", LOG_SIZE_DEFAULT)
        count = LOG_SIZE_MAX if size < 0 else min(size, LOG_SIZE_MAX)
        first = max(from_line, 1)
        lines = (await self._gateway.logs.read(job, first, count)).lines
        shown = "\n".join(lines) if params.get("distinctLevel") == "false" else by_level(lines)
        next_line = first + len(lines) if lines else from_line
        return success(scope, {"log": shown, "fromLine": next_line, **self._names(job, name)})

    async def heartbeat(self, scope: Scope, _name: str) -> Reply:
        """Asked by clients that look for gateways: this is the only one."""
        await identify(self._gateway, scope)
        return success(scope, {"gatewayList": [self._gateway.address], "isHealthy": True})

    async def _job(self, scope: Scope, name: str, params: Mapping[str, str]) -> Job:
        identity = await identify(self._gateway, scope)
        return await find_job(self._gateway, identity, name, params.get("taskID", ""))

    async def _progress(self, scope: Scope, name: str) -> dict[str, Any]:
        job = await self._job(scope, name, url.query(scope["query_string"]))
        return {**progress_of(self._gateway, job), **self._names(job, name)}

    def _names(self, job: Job, name: str) -> dict[str, Any]:
        return {"execID": exec_id_shown(self._gateway, job, name), "taskID": job.id}
