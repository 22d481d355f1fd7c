"""The push channel: `websocket.md`, frame by frame, on the gateway's real parts without engines."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wire.parts import API, PASSWORD, Envelope, Wire, opened
from tests.wire.sockets import METHOD, PATH, Socket, connected, kinds, logged, refused
from ujes.api.linkis.frames import FRAME_BYTES_MAX, LOG_CHARS_MAX
from ujes.api.linkis.pushes import FRAMES_PER_S, HOLD_S, Pace
from ujes.core.job import Job, JobRequest, JobState, Progressed
from ujes.gateway.jobs.hub import KEEP_S, TICK_S
from ujes.link.messages import Stage
from ujes.settings import PushSettings, Settings
from ujes.testing.clock import ManualClock

# --- the upgrade ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ws/api/entrance/connect", "/ws/", "/ws/anything/else"])
async def test_any_address_below_ws(wire: Wire, path: str) -> None:
    async with connected(wire, path=path) as socket:
        assert (await socket.execute())["taskID"] == 1


async def test_a_subprotocol_is_echoed(wire: Wire) -> None:
    socket = Socket(wire, wire.as_user("hadoop"), PATH, ["linkis", "other"])
    assert (await socket.open())["subprotocol"] == "linkis"
    await socket.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": "linkis_user_session_ticket_id_v1=nonsense"},
        {"Token-User": "hadoop", "Token-Code": "wrong"},
    ],
    ids=["nothing", "wrong-cookie", "wrong-token"],
)
async def test_strangers_get_an_envelope_and_no_socket(wire: Wire, headers: dict[str, str]) -> None:
    status, envelope = await refused(wire, headers)
    assert (status, envelope["status"]) == (401, -1)
    assert envelope["method"] == PATH
    assert envelope["message"]


async def test_other_addresses_are_not_sockets(wire: Wire) -> None:
    status, envelope = await refused(wire, wire.as_user("hadoop"), "/api/rest_j/v1/entrance/execute")
    assert (status, envelope["status"]) == (404, 1)


async def test_one_user_has_so_many_sockets(home: Path) -> None:
    async with opened(Settings(home=home, push=PushSettings(sockets_per_user=2))) as wire:
        async with connected(wire), connected(wire):
            status, envelope = await refused(wire, wire.as_user("hadoop"))
            assert (status, envelope["status"]) == (400, 1)
            assert "hadoop has 2 WebSockets open" in envelope["message"]
            async with connected(wire, user="alice"):
                pass
        async with connected(wire):
            pass


# --- a run ----------------------------------------------------------------------------------------


async def test_a_run_as_a_page_sees_it(wire: Wire) -> None:
    async with connected(wire) as socket:
        answer = await socket.execute(tag="37fcbd8b")
        assert answer == {"execID": "030614IDEduckdb127.0.0.1:9001IDE_hadoop_1", "taskID": 1} | {
            "websocketTag": "37fcbd8b"
        }
        first = await socket.frame()
        assert first["method"] == f"{METHOD}/{answer['execID']}/status"
        assert first["data"] == answer | {"status": "Inited"}
        wire.start(1)
        await socket.until("status", status="Running")
        wire.log(1, ["2026-01-02 03:04:05.006 WARN careful", "plain"])
        log = (await socket.until("log"))[-1]
        assert log["data"] == answer | {
            "log": [
                "",
                "2026-01-02 03:04:05.006 WARN careful\n",
                "plain\n",
                "2026-01-02 03:04:05.006 WARN careful\nplain\n",
            ]
        }
        wire.log(1, ["the end"])
        await wire.finish(1)
        last = await socket.until("status", status="Succeed")
        assert kinds(last) == ["log", "progress", "status"]
        assert last[1]["data"] == answer | {"progress": 1.0, "progressInfo": []}
        assert {frame["status"] for frame in last} == {0}


@pytest.mark.parametrize(
    "method",
    [
        "/api/rest_j/v1/entrance/execute",
        "/api/rest_s/v1/entrance/execute",
        "/api/rest_j/entrance/execute",
        "/api//rest_j/v1/entrance/execute",
        "/api/rest_j/v1/entrance/backgroundservice",
    ],
)
async def test_the_method_is_echoed_and_pushes_use_its_prefix(wire: Wire, method: str) -> None:
    async with connected(wire) as socket:
        data = {"executeApplicationName": "duckdb", "executionCode": "select 1", "runType": "sql"}
        answer = await socket.ask(method, data)
        assert (answer["method"], answer["status"]) == (method, 0)
        prefix = method.rpartition("/")[0]
        status = await socket.frame()
        assert status["method"] == f"{prefix}/{answer['data']['execID']}/status"


async def test_submit_with_the_modern_body(wire: Wire) -> None:
    async with connected(wire) as socket:
        body = {
            "executionContent": {"code": "select 1", "runType": "sql"},
            "labels": {"engineType": "duckdb", "userCreator": "hadoop-IDE"},
        }
        answer = await socket.ask(f"{METHOD}/submit", body)
        exec_id = answer["data"]["execID"]
        assert exec_id.startswith("exec_id018014linkis-cg-entrance")
        assert (await socket.frame())["method"] == f"{METHOD}/{exec_id}/status"


async def test_the_tag_may_be_inside_the_data(wire: Wire) -> None:
    async with connected(wire) as socket:
        data = {"executeApplicationName": "duckdb", "executionCode": "select 1", "websocketTag": "inside"}
        answer = await socket.ask(f"{METHOD}/execute", data, tag=None)
        assert answer["data"]["websocketTag"] == "inside"


async def test_several_tabs_on_one_socket(wire: Wire) -> None:
    async with connected(wire) as socket:
        answers = [await _started(socket, f"select {tab}", tab) for tab in range(5)]
        assert [answer["websocketTag"] for answer in answers] == list(range(5))
        for answer in reversed(answers):
            wire.start(answer["taskID"])
            wire.log(answer["taskID"], [f"of tab {answer['websocketTag']}"])
            await wire.finish(answer["taskID"])
        seen: list[Envelope] = []
        for answer in reversed(answers):
            seen += await socket.until("status", taskID=answer["taskID"], status="Succeed")
        for answer in answers:
            own = [frame for frame in seen if frame["data"]["taskID"] == answer["taskID"]]
            assert {frame["data"]["websocketTag"] for frame in own} == {answer["websocketTag"]}
            assert f"of tab {answer['websocketTag']}" in logged(own)


async def _started(socket: Socket, code: str, tag: object) -> Envelope:
    data = {"executeApplicationName": "duckdb", "executionCode": code, "runType": "sql"}
    answer: Envelope = (await socket.ask(f"{METHOD}/execute", data, tag))["data"]
    return answer


async def test_a_failed_job_is_no_refusal(wire: Wire) -> None:
    async with connected(wire) as socket:
        await socket.execute()
        wire.start(1)
        await wire.finish(1, JobState.FAILED, "no such table")
        last = await socket.until("status", status="Failed")
        assert {frame["status"] for frame in last} == {0}


async def test_progress_with_its_parts(wire: Wire) -> None:
    async with connected(wire) as socket:
        await socket.execute()
        wire.start(1)
        await socket.until("status", status="Running")
        wire.gateway.board.tell(1, Progressed(value=0.5))
        wire.gateway.board.show_stages(1, [Stage(id="scan", total=4, succeeded=1), Stage(id="no", total=0)])
        data = (await socket.until("progress", progress=0.5))[-1]["data"]
        part = {"id": "scan", "succeedTasks": 1, "failedTasks": 0, "runningTasks": 0, "totalTasks": 4}
        assert data["progressInfo"] == [part]
        wire.gateway.board.show_stages(1, [Stage(id="scan", total=4, succeeded=2)])
        data = (await socket.until("progress"))[-1]["data"]
        assert (data["progress"], data["progressInfo"][0]["succeedTasks"]) == (0.5, 2)


# --- asking ---------------------------------------------------------------------------------------


async def test_questions_about_a_job(wire: Wire) -> None:
    async with connected(wire) as socket:
        exec_id = (await socket.execute())["execID"]
        await socket.until("status", status="Inited")
        status = await socket.ask(f"{METHOD}/{exec_id}/status", tag=None)
        assert status["data"] == {
            "execID": exec_id,
            "taskID": 1,
            "status": "Inited",
            "websocketTag": "tab",
        }
        log = await socket.ask(f"{METHOD}/{exec_id}/log")
        assert "taskID" not in log["data"] and "fromLine" not in log["data"]
        assert log["data"]["log"][3].endswith("\n")
        progress = await socket.ask(f"{METHOD}/{exec_id}/progress")
        assert (progress["data"]["progress"], progress["data"]["progressInfo"]) == (0.0, [])
        pause = await socket.ask(f"{METHOD}/{exec_id}/pause")
        assert pause["status"] == 1
        kill = await socket.ask(f"{METHOD}/{exec_id}/kill")
        assert kill["status"] == 0
        await socket.until("status", status="Cancelled")
        assert (await socket.ask(f"{METHOD}/{exec_id}/kill"))["status"] == 0


@pytest.mark.parametrize(
    "name",
    [
        "1",
        "IDE_hadoop_duckdb_1",
        "030614IDEduckdb127.0.0.1:9001IDE_hadoop_1",
        "exec_id018014linkis-cg-entrance127.0.0.1:9001IDE_hadoop_duckdb_1",
    ],
)
async def test_status_by_every_name(wire: Wire, name: str) -> None:
    await wire.submit()
    async with connected(wire) as socket:
        status = await socket.ask(f"{METHOD}/{name}/status")
        assert (status["status"], status["data"]["status"]) == (0, "Inited")
        assert type(status["data"]["taskID"]) is int


@pytest.mark.parametrize("name", ["99", "030614IDEduckdb127.0.0.1:9001IDE_hadoop_99", "nonsense", "1"])
async def test_unknown_and_foreign_jobs(wire: Wire, name: str) -> None:
    await wire.submit(user="alice")
    async with connected(wire) as socket:
        for verb in ("status", "log", "progress", "kill", "pause"):
            method = f"{METHOD}/{name}/{verb}"
            assert (await socket.ask(method))["status"] == 1


# --- what is wrong --------------------------------------------------------------------------------


RUBBISH = {
    "empty": "",
    "blank": "   ",
    "cut": "{",
    "array": "[]",
    "number": "3",
    "surrogate": "\ud800",
    "method": '{"method":3}',
    "data": '{"method":"x","data":[]}',
    "deep": "[" * 100_000,
    "large": '{"method":"' + "x" * FRAME_BYTES_MAX + '"}',
    "large-in-bytes": '"' + "€" * (FRAME_BYTES_MAX // 2) + '"',
}


@pytest.mark.parametrize("text", RUBBISH.values(), ids=RUBBISH.keys())
async def test_rubbish_is_answered_and_the_socket_stays(wire: Wire, text: str) -> None:
    async with connected(wire) as socket:
        socket.send(text)
        refusal = await socket.frame()
        assert (refusal["method"], refusal["status"]) == (PATH, 1)
        assert refusal["data"]["stack"] == refusal["message"]
        assert "Traceback" not in refusal["message"]
        await socket.execute()


async def test_binary_frames_are_refused(wire: Wire) -> None:
    async with connected(wire) as socket:
        socket.send_bytes(b"\x00")
        assert (await socket.frame())["status"] == 1


@pytest.mark.parametrize(
    "method",
    [
        "/ws/user/login",
        "/api/rest_j/v1/filesystem/openFile",
        "/api/rest_j/v1/entrance/",
        "/api/rest_j/v1/entrance/1/fly",
        "/api/rest_j/v1/entrance/1/2/status",
        "/api/rest_j/v2/entrance/execute",
        "x" * 100_000,
    ],
    ids=range(7),
)
async def test_unknown_methods(wire: Wire, method: str) -> None:
    async with connected(wire) as socket:
        answer = await socket.ask(method, {})
        assert (answer["status"], answer["data"]["websocketTag"]) == (1, "tab")


@pytest.mark.parametrize("frame", [{}, {"method": ""}, {"method": None, "data": {}}])
async def test_a_frame_without_a_method_is_passed_over(wire: Wire, frame: object) -> None:
    async with connected(wire) as socket:
        socket.send(frame)
        await socket.execute()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"executeApplicationName": "duckdb", "executionCode": ""},
        {"executeApplicationName": "nonsense", "executionCode": "x", "runType": "y"},
        {"executeApplicationName": "duckdb", "executionCode": {"an": "object"}},
    ],
    ids=["nothing", "no-code", "no-engine", "object"],
)
@pytest.mark.parametrize("verb", ["execute", "backgroundservice", "submit"])
async def test_a_refused_run_carries_its_reason(wire: Wire, verb: str, data: object) -> None:
    async with connected(wire) as socket:
        answer = await socket.ask(f"{METHOD}/{verb}", data, tag={"any": "thing"})
        assert answer["status"] == 1
        assert answer["data"]["websocketTag"] == {"any": "thing"}
        assert answer["data"]["errorMsg"]["desc"]


# --- whose pushes ---------------------------------------------------------------------------------


async def test_a_job_by_http_is_pushed_to_all_sockets_of_its_user(wire: Wire) -> None:
    async with connected(wire) as first, connected(wire) as second, connected(wire, user="alice") as foreign:
        await wire.submit()
        wire.start(1)
        wire.log(1, ["hello"])
        await wire.finish(1)
        for socket in (first, second):
            frames = await socket.until("status", status="Succeed")
            assert logged(frames)[-1] == "hello"
            assert {frame["data"]["websocketTag"] for frame in frames} == {None}
        assert foreign.is_quiet


async def test_a_bound_job_is_pushed_to_its_own_socket_only(wire: Wire) -> None:
    async with connected(wire) as own, connected(wire) as other:
        await own.execute()
        wire.start(1)
        wire.log(1, ["hello"])
        await wire.finish(1)
        await own.until("status", status="Succeed")
        assert other.is_quiet


async def test_a_closed_sockets_jobs_go_on_at_the_users_others(wire: Wire) -> None:
    async with connected(wire) as other:
        async with connected(wire) as own:
            answer = await own.execute(tag="mine")
            wire.start(1)
            wire.log(1, ["one"])
            before = await own.until("log")
            while logged(before)[-1:] != ["one"]:
                before += await own.until("log")
        wire.log(1, ["two"])
        await wire.finish(1)
        after = await other.until("status", status="Succeed")
        assert logged(after) == ["two"]
        assert after[-1]["method"] == f"{METHOD}/{answer['execID']}/status"
        assert after[-1]["data"]["websocketTag"] == "mine"


@pytest.mark.parametrize("has_bystander", [False, True])
async def test_a_page_that_comes_back_continues(wire: Wire, *, has_bystander: bool) -> None:
    """With and without another page of the same user, which is sent the job in between, too."""
    seen: list[str] = []
    async with connected(wire) as bystander:
        if not has_bystander:
            await bystander.close()
        async with connected(wire) as own:
            await own.execute()
            wire.start(1)
            wire.log(1, ["one"])
            frames = await own.until("log")
            while logged(frames)[-1:] != ["one"]:
                frames += await own.until("log")
            seen += logged(frames)
        wire.log(1, ["two"])
        if has_bystander:
            await bystander.until("log")
        async with connected(wire) as again:
            wire.log(1, ["three"])
            frames = await again.until("log")
            while logged(frames)[-1:] != ["three"]:
                frames += await again.until("log")
            seen += logged(frames)
        wire.log(1, ["four"])
        await wire.finish(1)
        async with connected(wire) as at_last:
            frames = await at_last.until("status", status="Succeed")
            seen += logged(frames)
    assert seen[-4:] == ["one", "two", "three", "four"]
    assert seen == await _whole_log(wire, 1)


async def _whole_log(wire: Wire, task_id: int) -> list[str]:
    log: list[str] = (await wire.data(f"entrance/{task_id}/log", fromLine=1, size=-1))["log"][3].split("\n")
    return log


async def test_asking_for_the_status_binds_a_job_without_a_socket(wire: Wire) -> None:
    async with connected(wire) as other, connected(wire) as own:
        exec_id = (await wire.submit())["execID"]
        await other.until("log")
        await own.until("log")
        await own.ask(f"{METHOD}/{exec_id}/status", tag="now mine")
        wire.start(1)
        await wire.finish(1)
        frames = await own.until("status", status="Succeed")
        assert frames[-1]["data"]["websocketTag"] == "now mine"
        assert "Succeed" not in [frame["data"].get("status") for frame in await _rest(other)]


async def _rest(socket: Socket) -> list[Envelope]:
    """What the socket was sent by now; the answer to a question of our own is the last."""
    socket.send({"method": "the end"})
    frames = [await socket.frame()]
    while frames[-1]["method"] != "the end":
        frames.append(await socket.frame())
    return frames


async def test_asking_does_not_take_a_job_from_another_socket(wire: Wire) -> None:
    async with connected(wire) as own, connected(wire) as other:
        exec_id = (await own.execute())["execID"]
        await other.ask(f"{METHOD}/{exec_id}/status")
        wire.start(1)
        await wire.finish(1)
        await own.until("status", status="Succeed")
        assert kinds(await _rest(other)) == ["the end"]


async def test_an_administrators_question_does_not_bind(wire: Wire) -> None:
    async with connected(wire) as own, connected(wire, user="admin") as admin:
        exec_id = (await wire.submit())["execID"]
        await own.until("log")
        assert (await admin.ask(f"{METHOD}/{exec_id}/status"))["status"] == 0
        wire.start(1)
        await wire.finish(1)
        await own.until("status", status="Succeed")


# --- logins ---------------------------------------------------------------------------------------


async def _login(wire: Wire) -> dict[str, str]:
    body = {"userName": "admin", "password": PASSWORD}
    response = await wire.http.post(f"http://here{API}/user/login", json=body)
    wire.http.cookies.clear()
    return {"Cookie": response.headers["set-cookie"].partition(";")[0]}


async def test_a_login_that_ended_ends_its_socket(wire: Wire) -> None:
    cookie = await _login(wire)
    async with connected(wire, cookie) as socket, connected(wire, await _login(wire)) as other:
        await socket.execute()
        await wire.call("POST", "user/logout", user=None, headers=cookie)
        await socket.expect_close(1001)
        assert (await other.ask(f"{METHOD}/1/status"))["status"] == 0


async def test_frames_after_the_login_expired(home: Path) -> None:
    clock = ManualClock()
    settings = Settings(home=home, push=PushSettings(idle_timeout_s=1e6))
    async with opened(settings, clock) as wire, connected(wire, await _login(wire)) as socket:
        await clock.advance(wire.gateway.settings.login.idle_timeout_s)
        socket.send({"method": f"{METHOD}/execute"})
        frame = await socket.frame()
        assert (frame["method"], frame["status"], frame["data"]) == (PATH, -1, {})
        await socket.expect_close(1001)


async def test_pushes_renew_the_login(home: Path) -> None:
    clock = ManualClock()
    settings = Settings(home=home, push=PushSettings(idle_timeout_s=1e6))
    async with opened(settings, clock) as wire, connected(wire, await _login(wire)) as socket:
        task_id = (await socket.execute())["taskID"]
        wire.start(task_id)
        for part in range(6):
            await clock.advance(settings.login.idle_timeout_s * 0.6)
            wire.log(task_id, [f"part {part}"])
            while logged([await socket.frame()])[-1:] != [f"part {part}"]:
                pass
        await socket.execute()


# --- waiting and idling ---------------------------------------------------------------------------


async def test_places_in_line_are_told_now_and_then(home: Path) -> None:
    clock = ManualClock()
    async with opened(Settings(home=home), clock) as wire, connected(wire) as socket:
        answers = [await _started(socket, "select 1", tab) for tab in range(2)]
        for _ in range(2):
            await clock.advance(TICK_S)
            for place, answer in enumerate(answers):
                frame = (await socket.until("waitingSize"))[-1]
                assert frame["method"] == f"{METHOD}/{answer['execID']}/waitingSize"
                assert frame["data"] == answer | {"waitingSize": place}
        wire.start(answers[0]["taskID"])
        await clock.advance(TICK_S)
        frame = (await socket.until("waitingSize"))[-1]
        assert frame["data"] == answers[1] | {"waitingSize": 0}


async def test_an_idle_socket_is_closed_so_that_pages_come_back_when_they_need_it(home: Path) -> None:
    clock = ManualClock()
    settings = Settings(home=home, push=PushSettings(idle_timeout_s=300))
    async with opened(settings, clock) as wire, connected(wire) as idle, connected(wire, user="u") as busy:
        await busy.execute()
        await clock.advance(300 + TICK_S)
        await idle.expect_close(1001)
        await busy.until("waitingSize")


async def test_a_gateway_that_stops_closes_its_sockets(wire: Wire) -> None:
    async with connected(wire) as socket:
        wire_closed = asyncio.create_task(wire.gateway.hub.close())
        await socket.expect_close(1001)
        await wire_closed
        status, envelope = await refused(wire, wire.as_user("hadoop"))
        assert (status, envelope["status"]) == (400, 1)


async def test_an_end_nobody_heard_is_forgotten_in_time(home: Path) -> None:
    clock = ManualClock()
    async with opened(Settings(home=home), clock) as wire:
        async with connected(wire) as socket:
            await socket.execute()
        wire.start(1)
        await wire.finish(1)
        await clock.advance(KEEP_S + TICK_S)
        async with connected(wire) as socket:
            assert kinds(await _rest(socket)) == ["the end"]


async def test_a_frame_at_work_is_finished_before_the_socket_goes(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is accepted whole or not at all, whatever ends its socket meanwhile."""
    entrance = wire.gateway.entrance
    submit, has_begun, may_go_on = entrance.submit, asyncio.Event(), asyncio.Event()

    async def slowly(request: JobRequest) -> Job:
        has_begun.set()
        await may_go_on.wait()
        return await submit(request)

    monkeypatch.setattr(entrance, "submit", slowly)
    cookie = await _login(wire)
    async with connected(wire, cookie) as socket:
        data = {"executeApplicationName": "duckdb", "executionCode": "select 1", "runType": "sql"}
        socket.send({"method": f"{METHOD}/execute", "data": data})
        await has_begun.wait()
        await wire.call("POST", "user/logout", user=None, headers=cookie)
        await asyncio.sleep(0)
        may_go_on.set()
        assert (await socket.frame())["data"]["taskID"] == 1
        await socket.expect_close(1001)
    assert wire.gateway.entrance.live(1) is not None


# --- slow readers ---------------------------------------------------------------------------------


async def test_a_slow_reader_costs_a_number_for_each_job(wire: Wire) -> None:
    """Nothing is queued: when it reads again, it gets the whole log, in order, and the last state."""
    async with connected(wire) as socket:
        await socket.execute()
        wire.start(1)
        await socket.until("status", status="Running")
        socket.reads.clear()
        for part in range(100):
            wire.log(1, [f"line {number}" for number in range(part * 1000, part * 1000 + 1000)])
            await asyncio.sleep(0)
        await wire.finish(1)
        (watcher,) = wire.gateway.hub._watchers()
        assert len(watcher.due()) == 1
        socket.reads.set()
        frames = await socket.until("status", status="Succeed")
        lines = [line for line in logged(frames) if line.startswith("line ")]
        assert lines == [f"line {number}" for number in range(100_000)]
        assert max(len(frame["data"].get("log", [""])[-1]) for frame in frames) <= 2 * LOG_CHARS_MAX
        assert kinds(frames)[-2:] == ["progress", "status"]


async def test_a_reader_that_takes_nothing_is_cut_off(home: Path) -> None:
    async with opened(Settings(home=home, push=PushSettings(slow_reader_s=0.05))) as wire:
        socket = Socket(wire, wire.as_user("hadoop"), PATH, [])
        await socket.open()
        socket.reads.clear()
        await wire.submit()
        await socket.ended()
        assert socket.is_quiet
        async with connected(wire) as other:
            await other.until("status", status="Inited")


async def test_a_missing_log_does_not_hide_the_end(wire: Wire) -> None:
    async with connected(wire) as socket:
        await socket.execute()
        wire.start(1)
        socket.reads.clear()
        wire.log(1, [f"line {number}" for number in range(50_000)])
        await asyncio.sleep(0)
        wire.log_path(1).unlink()
        await wire.finish(1)
        socket.reads.set()
        await socket.until("status", status="Succeed")


def test_the_pace_of_log_pushes() -> None:
    """A burst goes at once; a flood is held back, and goes out together."""
    pace = Pace()
    now_s = 1000.0
    for _ in range(FRAMES_PER_S):
        assert pace.delay_s(now_s) == 0
        pace.spend(now_s)
    assert pace.delay_s(now_s) == 0
    for _ in range(FRAMES_PER_S):
        pace.spend(now_s)
    assert pace.delay_s(now_s) == pytest.approx(HOLD_S)
    assert pace.delay_s(now_s + HOLD_S) == 0
    assert pace.delay_s(now_s + 5) == 0
