"""The shells, against a server that is a function: what is sent, and when it is sent again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ujes.client import AsyncClient, Client, ClientError, JobFailed, JobSpec, LoginEnded, NoAnswer, Refused
from ujes.client.requests import poll_delays_s, server_url

SPEC = JobSpec(code="select 1", engine="duckdb", run_type="sql", variables={"day": "1"}, startup={"m": "2"})
URL = "http://127.0.0.1:9001"


def answer(data: dict[str, Any] | None = None, status: int = 0, message: str = "OK") -> httpx.Response:
    http = {0: 200, -1: 401}.get(status, 400)
    body = {"method": None, "status": status, "message": message, "data": data or {}}
    return httpx.Response(http, json=body)


class Server:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, answers: dict[str, Callable[[httpx.Request], httpx.Response]]) -> None:
        self.answers = {"/user/login": lambda _request: answer()} | answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers[request.url.path.removeprefix("/api/rest_j/v1")](request)

    @property
    def paths(self) -> list[str]:
        return [request.url.path.removeprefix("/api/rest_j/v1") for request in self.requests]

    def client(self, **credentials: Any) -> Client:
        given = credentials or {"password": "secret"}
        return Client(URL, user="alice", **given, transport=httpx.MockTransport(self))


def test_submit_is_what_the_sdks_send() -> None:
    server = Server({"/entrance/submit": lambda _request: answer({"taskID": 7, "execID": "exec_id1"})})
    with server.client() as client:
        assert client.submit(SPEC).id == 7
    assert server.paths == ["/user/login", "/entrance/submit"]
    assert json.loads(server.requests[0].content) == {"userName": "alice", "password": "secret"}
    body = json.loads(server.requests[1].content)
    assert body["executionContent"] == {"code": "select 1", "runType": "sql"}
    assert body["labels"] == {"engineType": "duckdb", "userCreator": "alice-UJES", "codeType": "sql"}
    assert body["params"]["variable"] == {"day": "1"}
    assert body["params"]["configuration"]["startup"] == {"m": "2"}


def test_a_token_goes_with_every_call_and_nobody_logs_in() -> None:
    server = Server({"/jobhistory/list": lambda _request: answer({"tasks": [], "totalPage": 0})})
    with server.client(token="t") as client:
        assert client.jobs(states=("Running", "Failed")).total == 0
    (request,) = server.requests
    assert (request.headers["Token-User"], request.headers["Token-Code"]) == ("alice", "t")
    assert request.url.params["status"] == "Running,Failed"


def test_a_login_that_ended_is_made_again_once() -> None:
    answers = iter([answer(status=-1), answer({"status": "Running"})])
    server = Server({"/entrance/1/status": lambda _request: next(answers)})
    with server.client() as client:
        assert client.status("1") == "Running"
    assert server.paths == ["/user/login", "/entrance/1/status"] * 2


def test_it_is_not_made_again_for_ever() -> None:
    server = Server({"/entrance/1/status": lambda _request: answer(status=-1, message="log in")})
    with server.client() as client, pytest.raises(LoginEnded, match="log in"):
        client.status("1")
    assert len(server.requests) == 4


def test_a_wrong_password_is_refused_and_not_tried_again() -> None:
    server = Server({"/user/login": lambda _request: answer(status=1, message="wrong")})
    with server.client() as client, pytest.raises(Refused, match="wrong"):
        client.status("1")
    assert len(server.requests) == 1


def test_exec_ids_stand_in_the_path_as_they_are() -> None:
    exec_id = "exec_id018014linkis-cg-entrance127.0.0.1:9104IDE_a_b_0"
    server = Server({f"/entrance/{exec_id}/kill": lambda _request: answer()})
    with server.client(token="t") as client:
        client.kill(exec_id, 3)
    assert server.requests[0].url.raw_path.decode().endswith(f"/entrance/{exec_id}/kill?taskID=3")


def task(**fields: Any) -> httpx.Response:
    return answer(
        {"task": {"taskID": 1, "status": "Succeed", "logPath": "file:///l", "resultLocation": "/r"} | fields}
    )


def test_the_log_of_an_ended_job_comes_from_its_file_when_the_server_wants_it_so() -> None:
    server = Server(
        {
            "/jobhistory/1/get": lambda _request: task(),
            "/entrance/x/log": lambda _request: answer(status=1, message="download it"),
            "/filesystem/openLog": lambda _request: answer({"log": ["", "", "", "a\nb\n"]}),
        }
    )
    with server.client(token="t") as client:
        job = client.job(1)
        assert client.log("x", 2, job=job).lines == ("b",)
        with pytest.raises(Refused, match="download it"):
            client.log("x", 2)


def table(request: httpx.Request) -> httpx.Response:
    """Five rows."""
    number, size = int(request.url.params["page"]), int(request.url.params["pageSize"])
    rows = [[str(row)] for row in range(5)][(number - 1) * size : number * size]
    metadata = [{"columnName": "n", "dataType": "int", "comment": ""}]
    return answer(
        {"type": "2", "metadata": metadata, "fileContent": rows, "totalLine": len(rows), "page": number}
    )


RESULTS = {
    "/entrance/submit": lambda _request: answer({"taskID": 1, "execID": "x"}),
    "/jobhistory/1/get": lambda _request: task(),
    "/filesystem/getDirFileTrees": lambda _request: answer(
        {"dirFileTrees": {"children": [{"path": "/r/_0.dolphin", "isLeaf": True}]}}
    ),
    "/filesystem/openFile": table,
}


def test_rows_are_paged_to_the_empty_page() -> None:
    server = Server(RESULTS)
    with server.client(token="t") as client:
        assert [len(page.rows) for page in client.pages("/r/_0.dolphin", 2)] == [2, 2, 1]
        assert list(client.rows("/r/_0.dolphin")) == [(0,), (1,), (2,), (3,), (4,)]
    assert server.requests[0].url.params["nullValue"] == "LINKIS_NULL"


def test_run_gives_typed_results() -> None:
    with Server(RESULTS).client(token="t") as client:
        (result,) = client.run(SPEC)
    assert result.rows == ((0,), (1,), (2,), (3,), (4,))


def test_run_of_a_failing_job_says_why() -> None:
    failing = RESULTS | {"/jobhistory/1/get": lambda _request: task(status="Failed", errDesc="boom")}
    with (
        Server(failing).client(token="t") as client,
        pytest.raises(JobFailed, match="Job 1 ended as Failed: boom"),
    ):
        client.run(SPEC)


async def test_the_asynchronous_client_does_the_same() -> None:
    server = Server(RESULTS)
    transport = httpx.MockTransport(server)
    async with AsyncClient(URL, user="alice", password="secret", transport=transport) as client:
        (result,) = await client.run(SPEC)
        assert [row async for row in client.rows(result.path)] == [(0,), (1,), (2,), (3,), (4,)]
    assert result.rows == ((0,), (1,), (2,), (3,), (4,))
    assert server.paths[0] == "/user/login"


def test_nobody_there_is_a_sentence(free_port: int) -> None:
    client = Client(f"http://127.0.0.1:{free_port}", user="a", token="t")
    with client, pytest.raises(NoAnswer, match=rf"No gateway answers at http://127.0.0.1:{free_port} "):
        client.job(1)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://h:1/", "http://h:1"),
        ("h:1", "http://h:1"),
        ("https://h/api/rest_j/v1/", "https://h"),
        ("http://h/gw/api/rest_j/v1", "http://h/gw"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert server_url(given) == url


@pytest.mark.parametrize("given", ["", "http://", "ftp://h", "http://h:x", "http://h:99999", "http://[::1"])
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ClientError, match="no address"):
        server_url(given)


@pytest.mark.parametrize(
    "given", [{}, {"password": "a", "token": "b"}, {"token": "new\nline"}, {"user": "", "token": "t"}]
)
def test_credentials_that_cannot_be(given: dict[str, str]) -> None:
    with pytest.raises(ClientError):
        Client(URL, **({"user": "alice"} | given))  # type: ignore[arg-type]


def test_secrets_are_in_no_text() -> None:
    client = Client(URL, user="alice", password="t0psecret")
    assert "t0psecret" not in repr(vars(client))
    client.close()


def test_looks_come_ever_less_often() -> None:
    delays = poll_delays_s(0.5)
    seen = [next(delays) for _ in range(50)]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.05, 0.5)
