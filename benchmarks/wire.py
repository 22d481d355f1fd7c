"""A gateway of our own for measuring, and the leanest client that speaks to it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

API = "/api/rest_j/v1"
FINAL = {"Succeed", "Failed", "Cancelled", "Timeout"}
_PATIENCE_S = 60


@dataclass(frozen=True, kw_only=True)
class Served:
    home: Path
    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None and parts.port is not None
        return parts.hostname, parts.port


def start(home: Path, settings: Mapping[str, str] | None = None) -> Served:
    """Exec `ujes serve` and wait for its line."""
    command = [sys.executable, "-m", "ujes", "serve", "--home", str(home), "--port", "0"]
    environment = os.environ | {f"UJES_{name}": value for name, value in (settings or {}).items()}
    with (home / "stderr").open("a") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("UJES ready on "):
            return Served(home=home, process=process, url=line.removeprefix("UJES ready on ").strip())
    raise SystemExit(f"The gateway did not start: {(home / 'stderr').read_text()}")


def stop(served: Served) -> None:
    served.process.send_signal(signal.SIGINT)
    served.process.wait(_PATIENCE_S)
    assert served.process.stdout is not None
    served.process.stdout.close()


@contextmanager
def new_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="ujes-"))
    try:
        yield home
    finally:
        shutil.rmtree(home)


@contextmanager
def gateway(settings: Mapping[str, str] | None = None) -> Iterator[Served]:
    with new_home() as home:
        served = start(home, settings)
        try:
            yield served
        finally:
            stop(served)


class Talk:
    """One kept-alive connection of the administrator, by password and cookie or by the home's token."""

    def __init__(self, served: Served, *, by_token: bool = False) -> None:
        self._connection = http.client.HTTPConnection(*served.address, timeout=_PATIENCE_S)
        self._cookie = ""
        self._headers = {"Content-Type": "application/json"}
        if by_token:
            token = (served.home / "local-token").read_text().strip()
            self._headers |= {"Token-User": "admin", "Token-Code": token}
            return
        password = (served.home / "admin-password").read_text().strip()
        self.post("/user/login", {"userName": "admin", "password": password})

    @property
    def cookie(self) -> str:
        return self._cookie

    def get(self, path: str, /, **query: object) -> dict[str, Any]:
        return self._do("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: object) -> dict[str, Any]:
        return self._do("POST", path, json.dumps(body).encode())

    def raw(self, path: str) -> bytes:
        """The bytes of an answer that has to be a good one."""
        self._connection.request("GET", API + path, headers={"Cookie": self._cookie})
        response = self._connection.getresponse()
        content = response.read()
        assert response.status == 200, content[:500]
        return content

    def close(self) -> None:
        self._connection.close()

    def _do(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        self._connection.request(method, API + path, body, self._headers | {"Cookie": self._cookie})
        response = self._connection.getresponse()
        self._cookie = (response.headers.get("Set-Cookie") or self._cookie).partition(";")[0]
        answer = json.loads(response.read())
        assert answer["status"] == 0, answer
        data: dict[str, Any] = answer["data"]
        return data

    # --- jobs

    def submit(self, code: str, engine: str, run_type: str, **labels: str) -> int:
        data = self.post("/entrance/submit", submit_body(code, engine, run_type, **labels))
        job: int = data["taskID"]
        return job

    def wait(self, job: int) -> None:
        """Ask until the job has ended; it has to end well."""
        while (state := self.get(f"/entrance/{job}/status")["status"]) not in FINAL:
            pass
        assert state == "Succeed", self.job(job)["errDesc"]

    def job(self, job: int) -> dict[str, Any]:
        task: dict[str, Any] = self.get(f"/jobhistory/{job}/get")["task"]
        return task

    def page(self, job: int, page: int = 1, rows: int = 5000) -> dict[str, Any]:
        path = f"{self.job(job)['resultLocation']}/_0.dolphin"
        return self.get("/filesystem/openFile", path=path, page=page, pageSize=rows)

    def run(self, code: str, engine: str, run_type: str, **labels: str) -> list[list[str | None]]:
        job = self.submit(code, engine, run_type, **labels)
        self.wait(job)
        rows: list[list[str | None]] = self.page(job)["fileContent"]
        return rows


def submit_body(code: str, engine: str, run_type: str, **labels: str) -> dict[str, Any]:
    return {
        "executionContent": {"code": code, "runType": run_type},
        "labels": {"engineType": f"{engine}-1", "userCreator": "admin-IDE", **labels},
    }
