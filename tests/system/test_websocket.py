"""The push channel of the real command, with a page that follows the rules of old Scriptis."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.page import PATH, PREFIX, page
from tests.support.served import Served, served
from tests.support.waiting import until
from ujes.api.server import MESSAGE_BYTES_MAX
from ujes.settings import PushSettings

PRINT = "for n in range({count}):\n    print('line', n)\n"
#: Prints, waits for a file, prints on.
IN_TWO_PARTS = """
import os, time
for n in range(1000):
    print('line', n, flush=True)
while not os.path.exists({go!r}):
    time.sleep(0.01)
for n in range(1000, 2000):
    print('line', n, flush=True)
"""
ENDLESS = """
import os, time
n = 0
while not os.path.exists({go!r}):
    print('line', n, flush=True)
    n += 1
    time.sleep(0.0005)
print('line', n, 'is the last')
"""


@pytest.fixture
def fixed(home: Path, free_port: int) -> Iterator[Served]:
    """A gateway that comes back at the same address."""
    with served(home, UJES_PORT=str(free_port)) as one:
        yield one


def test_a_page_with_many_tabs(gateway: Served) -> None:
    with page(gateway) as one:
        sql = [one.run(f"select {number} as n") for number in range(6)]
        python = [one.run(f"print('tab', {number})", "python", "python") for number in range(3)]
        bad = one.run("select * from no_such_table")
        one.finish()
        for number, tab in enumerate(sql):
            assert tab.state == "Succeed"
            assert gateway.rows(_id(tab.task_id)) == [[str(number)]]
        for number, tab in enumerate(python):
            assert tab.lines.count(f"tab {number}") == 1
        assert bad.state == "Failed"
        assert one.notices == []
        for tab in one.tabs:
            assert tab.lines == gateway.log(_id(tab.task_id))
            assert tab.kinds[-2:] == ["progress", "status"]
            assert tab.progress[-1] == 1
        assert one.connects == 1


def _id(task_id: int | None) -> int:
    assert task_id is not None
    return task_id


def test_a_refused_run_is_shown_as_such(gateway: Served) -> None:
    with page(gateway) as one:
        tab = one.run("select 1", engine="nonsense")
        one.finish()
        assert "nonsense" in tab.refusal
        again = one.run("select 1")
        one.finish(again)
        assert again.state == "Succeed"


def test_100_000_lines_arrive_once_and_in_order(gateway: Served) -> None:
    with page(gateway) as one:
        tab = one.run(PRINT.format(count=100_000), "python", "python")
        one.finish()
        assert [line for line in tab.lines if line.startswith("line ")] == _numbered(100_000)
        assert tab.lines == gateway.log(_id(tab.task_id))


def _numbered(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


def test_killed_over_http_while_a_page_watches(gateway: Served) -> None:
    with page(gateway) as one:
        tab = one.run("import time\nprint('here', flush=True)\ntime.sleep(4242)", "python", "python")
        one.until(lambda: "here" in tab.lines, "the job runs")
        assert gateway.call("GET", f"/entrance/{tab.exec_id}/kill")["status"] == 0
        one.finish()
        assert (tab.state, tab.kinds[-2:]) == ("Cancelled", ["progress", "status"])
        assert one.notices == []


def test_a_lost_connection_leaves_nothing_out(gateway: Served, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with page(gateway) as one, page(gateway) as bystander:
        bystander.connect()
        tab = one.run(IN_TWO_PARTS.format(go=str(go)), "python", "python")
        one.until(lambda: "line 999" in tab.lines, "half of the log is there")
        one.lose_connection()
        go.touch()
        one.finish()
        assert [line for line in tab.lines if line.startswith("line ")] == _numbered(2000)
        assert one.connects == 2
        assert bystander.notices == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_restart_under_a_page(fixed: Served, tmp_path: Path, number: signal.Signals) -> None:
    go = tmp_path / "go"
    with page(fixed) as one:
        tab = one.run(IN_TWO_PARTS.format(go=str(go)), "python", "python")
        one.until(lambda: "line 999" in tab.lines, "half of the log is there")
        fixed.signal(number)
        fixed.start()
        go.touch()
        one.finish()
        assert tab.state == "Succeed"
        assert one.connects == 2
        assert not one.is_on_http
        lines = [line for line in tab.lines if line.startswith("line ")]
        assert len(set(lines)) == len(lines)
        assert lines[:1000] == _numbered(1000)
        assert fixed.log(_id(tab.task_id))[-1] == tab.lines[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_restart_in_a_stream_of_lines_repeats_none(
    fixed: Served, tmp_path: Path, number: signal.Signals
) -> None:
    go = tmp_path / "go"
    with page(fixed) as one:
        tab = one.run(ENDLESS.format(go=str(go)), "python", "python")
        one.until(lambda: len(tab.lines) > 200, "the job prints")
        fixed.signal(number)
        fixed.start()
        seen = len(tab.lines)
        one.until(lambda: len(tab.lines) > seen + 200, "the page goes on")
        go.touch()
        one.finish()
        numbers = [int(line.split()[1]) for line in tab.lines if line.startswith("line ")]
        assert numbers == sorted(set(numbers))
        whole = [int(line.split()[1]) for line in fixed.log(_id(tab.task_id)) if line.startswith("line ")]
        assert whole == list(range(len(whole)))
        if number is signal.SIGTERM:
            assert numbers == whole


def test_a_page_that_cannot_connect_goes_on_over_http(own_gateway: Served) -> None:
    with page(own_gateway, headers={"Cookie": "linkis_user_session_ticket_id_v1=of-another-server"}) as one:
        tab = one.run(PRINT.format(count=5000), "python", "python")
        assert one.is_on_http
        one.finish()
        assert [line for line in tab.lines if line.startswith("line ")] == _numbered(5000)


# --- what is wrong --------------------------------------------------------------------------------


def _connect(gateway: Served, headers: dict[str, str] | None = None, **more: Any) -> ClientConnection:
    url = gateway.url.replace("http", "ws") + PATH
    headers = gateway.headers() if headers is None else headers
    return connect(url, additional_headers=headers, proxy=None, **more)


@pytest.mark.parametrize("cookie", ["", "linkis_user_session_ticket_id_v1=wrong"])
def test_a_wrong_cookie_gets_an_envelope(gateway: Served, cookie: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _connect(gateway, {"Cookie": cookie})
    response = refused.value.response
    assert response.status_code == 401
    assert response.body is not None
    assert json.loads(response.body)["status"] == -1


def test_a_login_by_password(gateway: Served) -> None:
    password = (gateway.home / "admin-password").read_text().strip()
    answer = httpx.post(
        f"{gateway.url}/api/rest_j/v1/user/login", json={"userName": "admin", "password": password}
    )
    cookie = answer.headers["set-cookie"].partition(";")[0]
    with page(gateway, headers={"Cookie": cookie}) as one:
        tab = one.run("select 1")
        one.finish()
        assert tab.state == "Succeed"
        httpx.post(f"{gateway.url}/api/rest_j/v1/user/logout", headers={"Cookie": cookie})
        one.until(lambda: not one.is_connected, "the socket is closed")
        assert one.close_code == 1001


def test_a_frame_of_2_mb_is_refused_and_the_socket_stays(gateway: Served) -> None:
    with page(gateway) as one:
        one.send(json.dumps({"method": f"{PREFIX}execute", "data": {"executionCode": "x" * 2_000_000}}))
        one.until(lambda: len(one.notices) == 1, "the refusal")
        assert "1,024,000 bytes" in one.notices[0]
        tab = one.run("select 1")
        one.finish()
        assert tab.state == "Succeed"


def test_a_frame_far_too_large_ends_the_socket(gateway: Served) -> None:
    with _connect(gateway) as socket, pytest.raises(ConnectionClosed):
        _send_and_read(socket, "x" * (MESSAGE_BYTES_MAX + 1))
    _works(gateway)


def _send_and_read(socket: ClientConnection, text: str) -> None:
    socket.send(text)
    while True:
        socket.recv(timeout=20)


def test_500_sockets_of_one_user(gateway: Served) -> None:
    most = PushSettings().sockets_per_user
    answers: list[tuple[int, bytes]] = []
    with ExitStack() as stack:
        for _ in range(500):
            try:
                stack.enter_context(_connect(gateway, gateway.headers("greedy")))
            except InvalidStatus as refused:
                answers.append((refused.response.status_code, refused.response.body or b""))
        assert len(answers) == 500 - most
        assert {code for code, _body in answers} == {400}
        assert all(f"{most} WebSockets" in json.loads(body)["message"] for _code, body in answers)
        _works(gateway)
    _works(gateway, "greedy")


def _works(gateway: Served, user: str | None = None) -> None:
    with page(gateway, user) as one:
        tab = one.run("select 1")
        one.finish()
        assert tab.state == "Succeed"


def test_a_client_that_never_reads_is_cut_off(home: Path) -> None:
    with served(home, UJES_PUSH__SLOW_READER_S="1") as gateway, _connect(gateway, max_queue=1) as lazy:
        assert gateway.process is not None
        process = psutil.Process(gateway.process.pid)
        own_port = lazy.local_address[1]
        before_bytes = process.memory_info().rss
        code = "for n in range(200_000):\n    print(n, 'x' * 100)\n"
        data = {"executeApplicationName": "python", "executionCode": code, "runType": "python"}
        lazy.send(json.dumps({"method": f"{PREFIX}execute", "data": data}))
        until(lambda: not _is_connected(process, own_port), "the gateway has cut the connection")
        gateway.wait_for(1, "Succeed")
        assert process.memory_info().rss - before_bytes < 100 * 1024 * 1024
        _works(gateway)


def _is_connected(process: psutil.Process, port: int) -> bool:
    return any(connection.raddr and connection.raddr[1] == port for connection in process.net_connections())
