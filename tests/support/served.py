"""A gateway as a user runs it: the real command in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

READY = "UJES ready on "
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
FINAL = frozenset({"Succeed", "Failed", "Cancelled", "Timeout"})


@dataclass(kw_only=True)
class Served:
    """One `ujes serve` process on one home; it can be started again."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen[str] | None = None
    output: list[str] = field(default_factory=list)
    user: str = "admin"
    python: str = sys.executable

    def start(self, **env: str) -> Served:
        """Start and wait for the ready line."""
        settings = {"UJES_PORT": "0", "UJES_ENGINES__ORPHAN_TIMEOUT_S": "20"} | dict(self.env) | env
        self.process = subprocess.Popen(
            [self.python, "-m", "ujes", "serve", "--home", str(self.home)],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(START_TIMEOUT_S) or not self.url:
            raise AssertionError("the gateway did not become ready:\n" + "".join(self.output[-50:]))
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                if line.startswith(READY):
                    self.url = line.removeprefix(READY).strip()
                    ready.set()
        ready.set()

    # --- ending -----------------------------------------------------------------------------------

    def signal(self, number: int) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        code = self.process.wait(END_TIMEOUT_S)
        self.url = ""
        return code

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def end(self) -> int:
        """SIGINT: everything is stopped."""
        return self.signal(signal.SIGINT)

    def engine_processes(self) -> list[psutil.Process]:
        """Processes that live in, or carry, an instance of this home."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            folder = str(self.home / "engines")
            environment = process.environ()
            return process.cwd().startswith(folder) or environment.get("TMPDIR", "").startswith(folder)
        except psutil.Error:
            return False

    # --- the wire ---------------------------------------------------------------------------------

    def headers(self, user: str | None = None) -> dict[str, str]:
        token = (self.home / "local-token").read_text().strip()
        return {"Token-User": user or self.user, "Token-Code": token}

    def call(self, method: str, path: str, user: str | None = None, **given: Any) -> dict[str, Any]:
        """One call; the envelope."""
        answer = httpx.request(
            method, f"{self.url}/api/rest_j/v1{path}", headers=self.headers(user), timeout=60, **given
        )
        envelope: dict[str, Any] = answer.json()
        return envelope

    def data(self, method: str, path: str, user: str | None = None, **given: Any) -> dict[str, Any]:
        """One call that must succeed; its data."""
        envelope = self.call(method, path, user, **given)
        assert envelope["status"] == 0, envelope
        data: dict[str, Any] = envelope["data"]
        return data

    def submit(
        self,
        engine: str,
        code: str,
        *,
        user: str | None = None,
        creator: str = "IDE",
        run_type: str | None = None,
        **body: Any,
    ) -> int:
        run_type = run_type or {"duckdb": "sql"}.get(engine, engine)
        labels = {"engineType": engine, "userCreator": f"{user or self.user}-{creator}"}
        labels |= body.pop("labels", {})
        given = {"executionContent": {"code": code, "runType": run_type}, "labels": labels} | body
        return int(self.data("POST", "/entrance/submit", user, json=given)["taskID"])

    def task(self, job: int, user: str | None = None) -> dict[str, Any]:
        task: dict[str, Any] = self.data("GET", f"/jobhistory/{job}/get", user)["task"]
        return task

    def status(self, job: int, user: str | None = None) -> str:
        return str(self.data("GET", f"/entrance/{job}/status", user)["status"])

    def wait_for(
        self, job: int, *states: str, user: str | None = None, timeout_s: float = 60
    ) -> dict[str, Any]:
        """Ask until the job is in one of `states` (any end when none is named); its task object."""
        wanted = frozenset(states) or FINAL
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while (state := self.status(job, user)) not in wanted:
            if state in FINAL or time.monotonic() > deadline:
                raise AssertionError(f"job {job} is {state}: {self.task(job, user)}\n{self.log(job, user)}")
            pause.wait(0.02)
        return self.task(job, user)

    def log(self, job: int, user: str | None = None) -> list[str]:
        """Every line of the log, by following `fromLine` as clients do."""
        lines: list[str] = []
        first = 1
        while True:
            path = f"/entrance/{job}/log?fromLine={first}&size=1000"
            data = self.data("GET", path, user)
            if data["fromLine"] == first:
                return lines
            lines += data["log"][3].split("\n")
            first = data["fromLine"]

    def log_so_far(self, job: int, user: str | None = None) -> list[str]:
        """The first lines of the log of a job that goes on writing."""
        text: str = self.data("GET", f"/entrance/{job}/log?fromLine=1&size=10000", user)["log"][3]
        return text.split("\n")

    def results(self, job: int, user: str | None = None) -> list[str]:
        location = self.task(job, user)["resultLocation"]
        tree = self.data("GET", "/filesystem/getDirFileTrees", user, params={"path": location})
        return [child["path"] for child in tree["dirFileTrees"]["children"]]

    def page(self, path: str, user: str | None = None, **params: Any) -> dict[str, Any]:
        return self.data("GET", "/filesystem/openFile", user, params={"path": path} | params)

    def rows(self, job: int, user: str | None = None) -> list[list[str | None]]:
        """The first page of the last result set."""
        rows: list[list[str | None]] = self.page(self.results(job, user)[-1], user)["fileContent"]
        return rows

    def kill_job(self, job: int, user: str | None = None) -> dict[str, Any]:
        return self.call("GET", f"/entrance/{job}/kill", user)


@contextmanager
def served(home: Path, python: str = sys.executable, **env: str) -> Iterator[Served]:
    """A gateway that is ended, with everything it started, when the block ends."""
    gateway = Served(home=home, env=env, python=python)
    try:
        yield gateway.start()
    finally:
        _clean_up(gateway)


def _clean_up(gateway: Served) -> None:
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.end()
    left = gateway.engine_processes()
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
