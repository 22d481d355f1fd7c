"""Whatever is sent, the answer is the envelope: addresses, verbs, bodies, callers, our own bugs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.wire.parts import ADDRESS, API, PASSWORD, Wire
from ujes.api.linkis.caller import TICKET_COOKIE

EXECUTED = {"executeApplicationName": "duckdb", "executionCode": "select 1"}

# --- addresses and verbs ----------------------------------------------------------------------


async def test_every_spelling_of_an_address(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    for root in ("/api/rest_j/v1", "/api/rest_s/v1", "/api/rest_j", "/api/rest_s", "//api//rest_j///v1"):
        for end in ("", "/", "//"):
            response = await wire.call("GET", f"{root}/entrance/{task_id}/status{end}")
            assert response.status_code == 200
            assert response.json()["method"] == f"{API}/entrance/{task_id}/status"
            response = await wire.call("POST", f"{root}/entrance/submit{end}", json=EXECUTED)
            assert response.status_code == 200
            assert response.json()["method"] == f"{API}/entrance/submit"


@pytest.mark.parametrize("version", ["v2", "v0", "v11", "v99999999999"])
async def test_other_versions_are_refused(wire: Wire, version: str) -> None:
    response = await wire.call("POST", f"/api/rest_j/{version}/entrance/submit", json=EXECUTED)
    assert response.status_code == 400
    assert "v1" in response.json()["message"]


async def test_unknown_addresses(wire: Wire) -> None:
    for path in (
        "/",
        "/index.html",
        "/api",
        "/api/rest_j",
        "/api/rest_j/v1",
        "/api/rest_x/v1/entrance/submit",
        f"{API}/entrance",
        f"{API}/entrance/1",
        f"{API}/entrance//status",
        f"{API}/entrance/1/status/more",
        f"{API}/entrance/1/runtimeTuning",
        f"{API}/nothing/here",
        f"{API}/jobhistory/1",
        f"{API}/%2e%2e/entrance",
        f"{API}/entrance/a%2Fb/status",
        "/dss/%00",
    ):
        response = await wire.call("GET", path)
        assert response.status_code == 404, path
        assert response.json()["message"].startswith("There is nothing at ")


async def test_wrong_verbs_name_the_right_one(wire: Wire) -> None:
    for verb, path, right in (
        ("GET", "entrance/submit", "POST"),
        ("PUT", "entrance/execute", "POST"),
        ("POST", "entrance/1/status", "GET"),
        ("DELETE", "entrance/1/log", "GET"),
        ("POST", "entrance/1/progress", "GET"),
        ("DELETE", "entrance/1/kill", "GET or POST"),
        ("GET", "entrance/1/killJobs", "POST"),
        ("POST", "jobhistory/list", "GET"),
        ("POST", "filesystem/openFile", "GET"),
        ("POST", "gateway/heartbeat", "GET"),
    ):
        response = await wire.call(verb, path)
        assert response.status_code == 405, path
        assert f"takes {right}, not {verb}" in response.json()["message"]
        assert response.headers["allow"] == right.replace(" or ", ", ")


async def test_browsers_may_ask_first(wire: Wire) -> None:
    for path in ("entrance/submit", "entrance/1/status", "nothing"):
        response = await wire.call("OPTIONS", path, user=None)
        assert response.status_code == 200
        assert response.headers["access-control-allow-methods"] == "POST, GET, OPTIONS, PUT, HEAD, DELETE"
        assert response.headers["access-control-allow-headers"] == "authorization,Content-Type"
        assert response.headers["access-control-allow-credentials"] == "true"


async def test_the_heartbeat_of_the_gateway(wire: Wire) -> None:
    assert await wire.data("gateway/heartbeat") == {"gatewayList": [ADDRESS], "isHealthy": True}


async def test_health_asks_for_no_login(wire: Wire) -> None:
    await wire.submit()
    for path in ("/healthz", "/readyz"):
        response = await wire.http.get(f"http://{ADDRESS}{path}")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
    response = await wire.http.get(f"http://{ADDRESS}/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'ujes_jobs{state="Inited"} 1.0' in response.text


# --- callers ----------------------------------------------------------------------------------

NEED_A_CALLER = [
    ("POST", "entrance/submit"),
    ("POST", "entrance/execute"),
    ("GET", "entrance/1/status"),
    ("GET", "entrance/1/log"),
    ("GET", "entrance/1/progress"),
    ("GET", "entrance/1/progressWithResource"),
    ("GET", "entrance/1/kill"),
    ("POST", "entrance/1/killJobs"),
    ("GET", "entrance/1/pause"),
    ("GET", "jobhistory/1/get"),
    ("GET", "jobhistory/list"),
    ("GET", "filesystem/getUserRootPath"),
    ("GET", "filesystem/getDirFileTrees"),
    ("GET", "filesystem/openFile"),
    ("GET", "filesystem/openLog"),
    ("GET", "filesystem/isExist"),
    ("GET", "gateway/heartbeat"),
]


async def test_nobody_gets_in_without_a_login(wire: Wire) -> None:
    for (verb, path), headers in (
        (target, headers)
        for target in NEED_A_CALLER
        for headers in (
            {},
            {"Cookie": f"{TICKET_COOKIE}=made-up"},
            {"Token-User": "hadoop", "Token-Code": "made-up"},
            {"Proxy-User": "hadoop", "Validation-Code": "made-up"},
            {"Token-User": "hadoop"},
            {"Token-User": "", "Token-Code": ""},
        )
    ):
        response = await wire.call(verb, path, user=None, headers=headers)
        assert response.status_code == 401
        assert response.json()["status"] == -1
        assert response.json()["data"] == {}
        assert "made-up" not in response.text


async def test_the_four_places_of_credentials(wire: Wire) -> None:
    code = wire.gateway.auth.local_token
    for headers in (
        {"Token-User": "hadoop", "Token-Code": code},
        {"token-user": "hadoop", "token-code": code},
        {"Cookie": f"x=1; Token-User=hadoop; Token-Code={code}"},
        {"Proxy-User": "hadoop", "Validation-Code": code},
    ):
        response = await wire.call("POST", "entrance/submit", user=None, json=EXECUTED, headers=headers)
        assert wire.job(response.json()["data"]["taskID"]).request.run_as == "hadoop"


async def test_a_wrong_token_is_final(wire: Wire) -> None:
    good = wire.gateway.auth.local_token
    headers = {"Token-User": "hadoop", "Token-Code": "bad", "Proxy-User": "hadoop", "Validation-Code": good}
    assert (await wire.call("GET", "gateway/heartbeat", user=None, headers=headers)).status_code == 401


async def test_a_login_is_a_cookie(wire: Wire) -> None:
    body = {"userName": "admin", "password": PASSWORD}
    response = await wire.call("POST", "user/login", user=None, json=body)
    assert response.status_code == 200
    assert wire.http.cookies[TICKET_COOKIE]
    assert (await wire.call("GET", "gateway/heartbeat", user=None)).status_code == 200
    assert (await wire.call("POST", "user/logout", user=None)).status_code == 200
    assert (await wire.call("GET", "gateway/heartbeat", user=None)).status_code == 401


# --- bodies -----------------------------------------------------------------------------------

TAKE_A_BODY = ["entrance/submit", "entrance/execute", "entrance/1/killJobs", "user/login"]
BAD_BODIES: list[bytes] = [
    b"{",
    b"<html>",
    b"null",
    b"[]",
    b"[1, 2]",
    b"12",
    b'"select 1"',
    b'{"executionCode": "\\ud800"}',
    b'{"executionCode": "\\u0000"}',
    b'{"executionCode": "\x00"}',
    b'{"executionCode": "\xff\xfe"}',
    b"[" * 10_000,
    b"[" * 10_000 + b"]" * 10_000,
    b'{"params":' * 10_000 + b"{}" + b"}" * 10_000,
    b'{"executionCode": "' + b"x" * 5_000_000 + b'"}',
]


async def test_bad_bodies(wire: Wire) -> None:
    for path in TAKE_A_BODY:
        for content in BAD_BODIES:
            response = await wire.call("POST", path, content=content)
            assert response.status_code == 400
            assert response.json()["message"].endswith(".")
            assert len(response.text) < 1000
    assert (await wire.data("jobhistory/list"))["totalPage"] == 0


async def test_an_empty_body(wire: Wire) -> None:
    for path in ("entrance/submit", "entrance/execute", "entrance/1/killJobs"):
        for content in (b"", b"  \n"):
            response = await wire.call("POST", path, content=content)
            assert response.status_code == 400
            assert "empty" in response.json()["message"]


async def test_a_byte_order_mark_is_tolerated(wire: Wire) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(EXECUTED).encode()
    assert (await wire.call("POST", "entrance/execute", content=content)).status_code == 200


class Upload:
    """A body that comes in pieces, and how much of it was taken."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.taken_bytes = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        piece = b"x" * 65_536
        while self.taken_bytes < self.size_bytes:
            self.taken_bytes += len(piece)
            yield piece


async def test_a_body_over_the_limit_names_the_limit(wire: Wire) -> None:
    limit = wire.gateway.settings.limits.body_bytes
    for content in (b"x" * (limit + 1), Upload(limit + 1).pieces()):
        response = await wire.call("POST", "entrance/submit", content=content)
        assert response.status_code == 400
        assert f"{limit:,}" in response.json()["message"]
        assert response.headers["connection"] == "close"


async def test_a_body_far_over_the_limit_is_not_read_to_its_end(wire: Wire) -> None:
    limit = wire.gateway.settings.limits.body_bytes
    endless = Upload(limit * 1000)
    response = await wire.call("POST", "entrance/submit", content=endless.pieces())
    assert response.status_code == 400
    assert endless.taken_bytes < limit * 10


async def test_an_announced_length_far_over_the_limit_is_refused_at_once(wire: Wire) -> None:
    for length, expect in (
        (10**15, {}),
        (wire.gateway.settings.limits.body_bytes + 1, {"Expect": "100-continue"}),
    ):
        upload = Upload(1)
        headers = {"Content-Length": str(length), **expect}
        response = await wire.call("POST", "entrance/submit", content=upload.pieces(), headers=headers)
        assert response.status_code == 400
        assert "more than" in response.json()["message"]


async def test_a_body_of_just_the_limit_is_read(wire: Wire) -> None:
    limit = wire.gateway.settings.limits.body_bytes
    frame = json.dumps(EXECUTED | {"executionCode": "--"}).encode()
    content = frame.replace(b"--", b"--" + b"x" * (limit - len(frame)))
    assert len(content) == limit
    assert (await wire.call("POST", "entrance/execute", content=content)).status_code == 200


# --- any JSON at all --------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
field_names = st.sampled_from(
    [
        "executionContent",
        "executionCode",
        "executeApplicationName",
        "requestApplicationName",
        "runType",
        "labels",
        "params",
        "source",
        "data",
        "method",
        "scriptPath",
        "idList",
        "taskIDList",
    ]
)
bodies: st.SearchStrategy[Any] = st.one_of(
    json_values,
    st.dictionaries(field_names, json_values, max_size=5).map(lambda changes: EXECUTED | changes),
    st.dictionaries(field_names, json_values, max_size=5),
)


@given(body=bodies, path=st.sampled_from(["entrance/submit", "entrance/execute", "entrance/1/killJobs"]))
@hypothesis_settings(
    max_examples=100,
    # One gateway for all examples: jobs of one example do not matter to the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_json_gets_an_envelope(wire: Wire, body: Any, path: str) -> None:
    response = await wire.call("POST", path, content=json.dumps(body).encode())
    assert response.status_code in (200, 400)


# --- our own bugs -----------------------------------------------------------------------------


async def test_our_bug_is_logged_whole_and_shown_as_an_id(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(wire.gateway.entrance, "submit", broken)
    with structlog.testing.capture_logs() as logged:
        headers = wire.as_user("hadoop")
        response = await wire.http.post(
            f"http://{ADDRESS}{API}/entrance/submit", json=EXECUTED, headers=headers
        )
    body = response.json()
    assert response.status_code == 500
    assert body["status"] == 1
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    [entry] = [entry for entry in logged if entry["event"] == "A request failed."]
    assert entry["fault_id"] in body["message"]
    assert isinstance(entry["exc_info"], RuntimeError)


async def test_head_is_a_get_without_body(wire: Wire) -> None:
    task_id = (await wire.submit())["taskID"]
    for path in (f"entrance/{task_id}/status", "jobhistory/list"):
        response = await wire.http.head(f"http://{ADDRESS}{API}/{path}", headers=wire.as_user("hadoop"))
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
