"""Submit, kill and pause. What clients poll is in `hot.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from ujes.api.linkis import execid
from ujes.api.linkis.bodies import job_request
from ujes.api.linkis.body import Payload, kind_of, read_payload, scalar_text
from ujes.api.linkis.caller import identify, peer_of
from ujes.api.linkis.envelope import ROOT, SUCCESS, Reply, success
from ujes.api.linkis.lookup import exec_id_shown, find_job, strong_exec_id
from ujes.core.errors import InvalidRequest, NotFound
from ujes.gateway.auth.permission import may_kill

if TYPE_CHECKING:
    from starlette.requests import Request

    from ujes.core.job import Job
    from ujes.gateway.auth.identity import Identity
    from ujes.gateway.gateway import Gateway

#: Jobs one `killJobs` may name.
KILL_MAX = 1000


def routes(gateway: Gateway) -> list[Route]:
    entrance = EntranceEndpoints(gateway)
    return [
        Route("/entrance/execute", entrance.execute, methods=["POST"]),
        Route("/entrance/submit", entrance.submit, methods=["POST"]),
        Route("/entrance/{id}/kill", entrance.kill, methods=["GET", "POST"]),
        Route("/entrance/{id}/killJobs", entrance.kill_jobs, methods=["POST"]),
        Route("/entrance/{id}/pause", entrance.pause, methods=["GET", "POST"]),
    ]


class EntranceEndpoints:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def execute(self, request: Request) -> Reply:
        """Answers with the execID of the REST documents, `030614IDEduckdb...`."""
        job = await self._accept(request)
        exec_id = execid.legacy(job.queue, job.id, address=self._gateway.address)
        return success(request.scope, {"taskID": job.id, "execID": exec_id})

    async def submit(self, request: Request) -> Reply:
        """Answers with the execID of the 1.x form, which linkis-cli takes apart."""
        job = await self._accept(request)
        return success(request.scope, {"taskID": job.id, "execID": strong_exec_id(self._gateway, job)})

    async def _accept(self, request: Request) -> Job:
        identity = await identify(self._gateway, request.scope)
        body = await read_payload(request, self._gateway.settings.limits)
        return await accept(self._gateway, identity, body, peer_of(request.scope))

    async def kill(self, request: Request) -> Reply:
        name, task_id = request.path_params["id"], request.query_params.get("taskID", "")
        identity = await identify(self._gateway, request.scope)
        job = await killable(self._gateway, identity, name, task_id)
        if not job.state.is_final:
            await kill(self._gateway, identity, job)
            return success(request.scope, {"execID": exec_id_shown(self._gateway, job, name)})
        if not task_id:
            raise InvalidRequest(_already_ended(job), code=0)
        return success(request.scope, message=_already_ended(job))

    async def kill_jobs(self, request: Request) -> Reply:
        """Every job is looked up before the first is killed, so a refusal kills none."""
        identity = await identify(self._gateway, request.scope)
        names = _names_to_kill(await read_payload(request, self._gateway.settings.limits))
        jobs = [(name, await killable(self._gateway, identity, name, task_id)) for name, task_id in names]
        messages = [await self._kill_one(identity, name, job) for name, job in jobs]
        return success(request.scope, {"messages": messages})

    async def pause(self, request: Request) -> Reply:
        """Nothing is paused; clients only want to hear that the job is known."""
        identity = await identify(self._gateway, request.scope)
        name = request.path_params["id"]
        job = await find_job(self._gateway, identity, name)
        return success(request.scope, {"execID": exec_id_shown(self._gateway, job, name)})

    async def _kill_one(self, identity: Identity, name: str, job: Job) -> dict[str, Any]:
        message, data = _already_ended(job), {}
        if not job.state.is_final:
            await kill(self._gateway, identity, job)
            message, data = "OK", {"execID": name}
        return {"method": f"{ROOT}entrance/{name}/kill", "status": SUCCESS, "message": message, "data": data}


async def accept(gateway: Gateway, identity: Identity, body: Payload, peer: str) -> Job:
    """The job a body asks for, durable and in line; by HTTP and by WebSocket."""
    wanted = job_request(body, submitter=identity.user, run_as=identity.user, peer=peer)
    return await gateway.entrance.submit(wanted)


async def killable(gateway: Gateway, identity: Identity, name: str, task_id: str = "") -> Job:
    """The job called `name`, which the caller may kill. Raises `NotFound`."""
    job = await find_job(gateway, identity, name, task_id)
    if not may_kill(identity, job):
        raise NotFound(f"There is no job {execid.shown(name)}, or it is not yours to kill.")
    return job


async def kill(gateway: Gateway, identity: Identity, job: Job) -> None:
    reason = f"Job is killed by user! {identity.user} asked for it."
    await gateway.entrance.cancel(job.id, by=identity.user, reason=reason)


def _already_ended(job: Job) -> str:
    return f"Job {job.id} has already ended as {job.state.value}; there is nothing to kill."


def _names_to_kill(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of execID and task id, as texts."""
    names, task_ids = _texts(body, "idList"), _texts(body, "taskIDList")
    if len(names) != len(task_ids):
        raise InvalidRequest("`idList` and `taskIDList` must have the same length.", code=0)
    if len(names) > KILL_MAX:
        raise InvalidRequest(f"`idList` may name {KILL_MAX} jobs at most.", code=0)
    return list(zip(names, task_ids, strict=True))


def _texts(body: Mapping[str, Any], field: str) -> list[str]:
    value = body.get(field)
    if not isinstance(value, list):
        raise InvalidRequest(f"`{field}` must be an array, but is {kind_of(value)}.", code=0)
    texts = [text for text in map(scalar_text, value) if text is not None]
    if len(texts) != len(value):
        raise InvalidRequest(f"`{field}` must hold texts or numbers only.", code=0)
    return texts
