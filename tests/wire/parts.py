"""A gateway without engines: its real parts, and by hand what engines would report.

The wire is called in-process. Jobs are accepted, stored and listed as in the product; a test moves them on
with `start`, `log`, `finish` and writes their result sets.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

from ujes.api.linkis.app import build
from ujes.core.job import Ended, Job, JobState, Outcome, Placed, Started
from ujes.core.limits import Limits
from ujes.engines.registry import EngineRegistry
from ujes.gateway.auth.auth import Auth
from ujes.gateway.auth.passwords import hash_password
from ujes.gateway.clock import Clock, SystemClock
from ujes.gateway.files.files import Files
from ujes.gateway.gateway import Gateway
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.entrance import Entrance
from ujes.gateway.jobs.history import History
from ujes.gateway.jobs.hub import Hub
from ujes.gateway.jobs.logs import Logs
from ujes.gateway.jobs.places import log_path, result_dir
from ujes.gateway.observe import Observers
from ujes.gateway.store.records import User
from ujes.gateway.store.store import Store
from ujes.gateway.tally import Tally
from ujes.results.writer import ResultFolder
from ujes.settings import Settings

API = "/api/rest_j/v1"
ADDRESS = "127.0.0.1:9001"
INSTANCE = "duckdb-0123456789ab"
PASSWORD = "admin's password"
ADMIN = User(name="admin", password_hash=hash_password(PASSWORD), is_admin=True, created_at_ms=0)

Envelope = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wire:
    gateway: Gateway
    http: httpx.AsyncClient

    # --- calling

    def as_user(self, user: str) -> dict[str, str]:
        """Headers of a token that may act as anybody from this machine."""
        return {"Token-User": user, "Token-Code": self.gateway.auth.local_token}

    async def call(self, verb: str, path: str, *, user: str | None = "hadoop", **more: Any) -> httpx.Response:
        headers = {**(self.as_user(user) if user else {}), **more.pop("headers", {})}
        path = path if path.startswith("/") else f"{API}/{path}"
        response = await self.http.request(verb, f"http://{ADDRESS}{path}", headers=headers, **more)
        check_envelope(response)
        return response

    async def get(self, path: str, /, *, user: str | None = "hadoop", **params: Any) -> httpx.Response:
        return await self.call("GET", path, user=user, params=params)

    async def data(self, path: str, /, *, user: str | None = "hadoop", **params: Any) -> Envelope:
        """`data` of a GET that succeeds."""
        response = await self.get(path, user=user, **params)
        assert response.status_code == 200, response.text
        data: Envelope = response.json()["data"]
        return data

    async def submit(self, code: str = "select 1", *, user: str = "hadoop", **changes: Any) -> Envelope:
        """`data` of a job's acceptance: `taskID` and `execID`."""
        body = {
            "executionContent": {"code": code, "runType": "sql"},
            "labels": {"engineType": "duckdb", "userCreator": f"{user}-IDE"},
        } | changes
        response = await self.call("POST", "entrance/submit", user=user, json=body)
        assert response.status_code == 200, response.text
        data: Envelope = response.json()["data"]
        return data

    # --- moving jobs on

    def job(self, task_id: int) -> Job:
        job = self.gateway.entrance.at_hand(task_id)
        assert job is not None
        return job

    def start(self, task_id: int) -> Job:
        board = self.gateway.board
        board.tell(task_id, Placed(instance=INSTANCE, is_reuse=False))
        board.tell(task_id, Started(instance=INSTANCE))
        self.result_dir(task_id).mkdir(parents=True)
        return self.job(task_id)

    def log(self, task_id: int, lines: Sequence[str]) -> None:
        self.gateway.logs.append(self.job(task_id), lines)

    async def finish(self, task_id: int, outcome: Outcome = JobState.SUCCEED, text: str | None = None) -> Job:
        self.gateway.board.tell(
            task_id, Ended(outcome=outcome, code=None if text is None else 60002, text=text)
        )
        await self.gateway.board.settle()
        return self.job(task_id)

    async def finished(self, code: str = "select 1", *, user: str = "hadoop", **changes: Any) -> Job:
        """A job that has run and succeeded."""
        task_id = (await self.submit(code, user=user, **changes))["taskID"]
        self.start(task_id)
        return await self.finish(task_id)

    def result_dir(self, task_id: int) -> Path:
        return result_dir(self.gateway.settings, self.job(task_id))

    def log_path(self, task_id: int) -> Path:
        return log_path(self.gateway.settings, self.job(task_id))

    def results(self, task_id: int) -> ResultFolder:
        return ResultFolder(self.result_dir(task_id), lambda _file: None)

    def table(self, task_id: int, table: pa.Table) -> str:
        """Write a table result set; returns the path clients know it by."""
        folder = self.results(task_id)
        with folder.table(table.schema) as writer:
            writer.write(table)
        return f"file://{folder.directory}/_0.dolphin"


def check_envelope(response: httpx.Response) -> None:
    """What every answer of the wire is, refusals included."""
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    assert response.headers["access-control-allow-origin"] == "*"
    body = response.json()
    assert set(body) == {"method", "status", "message", "data"}
    assert type(body["status"]) is int
    assert isinstance(body["message"], str)
    assert isinstance(body["data"], dict)
    expected = {200: 0, 401: -1}.get(response.status_code, 1)
    assert body["status"] == expected, response.text
    assert response.status_code in (200, 400, 401, 404, 405), response.text
    assert "Traceback" not in response.text
    assert "<html" not in response.text.lower()


@asynccontextmanager
async def opened(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Wire]:
    settings.home.mkdir(parents=True, exist_ok=True)
    clock, observers = clock or SystemClock(), Observers()
    async with AsyncExitStack() as stack:
        store = await Store.open(settings.database_url)
        stack.push_async_callback(store.close)
        # Made once: a password's hash is dear on purpose.
        if not await store.users():
            await store.add_user(ADMIN)
        auth = await Auth.open(store, settings, clock)
        stack.push_async_callback(auth.close)
        history = History(store)
        board = Board(store, clock, history, observers)
        stack.push_async_callback(board.settle)
        logs = Logs(functools.partial(log_path, settings))
        hub = Hub(
            clock,
            watchers_per_user=settings.push.sockets_per_user,
            idle_timeout_s=settings.push.idle_timeout_s,
        )
        hub.open()
        stack.push_async_callback(hub.close)
        observers.listen(hub.observe)
        logs.grew, board.staged = hub.grew, hub.staged
        registry = EngineRegistry()
        entrance = Entrance(
            store=store,
            clock=clock,
            board=board,
            history=history,
            logs=logs,
            registry=registry,
            limits=Limits(),
            observers=observers,
            node="here",
        )
        for job in await store.unfinished_jobs():
            board.add(job)
        files = Files(settings, entrance)
        stack.callback(files.close)
        tally = Tally()
        observers.listen(tally)
        gateway = Gateway(
            settings=settings,
            clock=clock,
            store=store,
            entrance=entrance,
            history=history,
            logs=logs,
            hub=hub,
            auth=auth,
            files=files,
            registry=registry,
            board=board,
            fleet=Fleet(store, clock, observers),
            tally=tally,
            address=ADDRESS,
        )
        transport = httpx.ASGITransport(app=build(gateway), client=("127.0.0.1", 4321))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport))
        yield Wire(gateway=gateway, http=http)
