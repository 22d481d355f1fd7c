"""Logging in and out as the clients do it. `authentication.md`, sections 2 to 5."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.wire.parts import ADMIN, PASSWORD, Wire
from ujes.gateway.auth.secret import secret_hash
from ujes.gateway.store.records import Token

COOKIE = "linkis_user_session_ticket_id_v1"
GOOD = {"userName": "admin", "password": PASSWORD}


async def post(wire: Wire, path: str, **more: Any) -> httpx.Response:
    return await wire.call("POST", path, user=None, **more)


async def get(wire: Wire, path: str, **more: Any) -> httpx.Response:
    return await wire.call("GET", path, user=None, **more)


async def test_login_sets_a_cookie_that_every_endpoint_takes(wire: Wire) -> None:
    response = await post(wire, "user/login", json=GOOD)
    assert response.status_code == 200
    assert response.json()["data"] == {
        "userName": "admin",
        "isAdmin": True,
        "sessionTimeOut": 7_200_000,
        "enableWatermark": True,
    }
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert cookie.split("; ")[1:] == ["Path=/", "HttpOnly"]
    assert (await get(wire, "user/userInfo")).json()["data"] == {"userName": "admin"}
    assert (await get(wire, "user/heartbeat")).json()["data"] == {}
    assert (await get(wire, "jobhistory/list")).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"json": GOOD},
        {"json": {"userName": " Admin ", "passwdEncrypt": PASSWORD, "more": [1]}},
        {"json": {"method": "/x", "data": GOOD}},
        {"params": GOOD},
        {"params": {"userName": "ADMIN", "passwdEncrypt": PASSWORD}},
        {"json": GOOD, "headers": {"webLogin": "true", "Content-Encoding": "utf-8"}},
    ],
)
async def test_the_ways_to_send_credentials(wire: Wire, sent: dict[str, Any]) -> None:
    assert (await post(wire, "user/login", **sent)).status_code == 200


async def test_login_by_get(wire: Wire) -> None:
    assert (await get(wire, "user/login", params=GOOD)).status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"userName": "admin", "password": "wrong"}, "The user name or the password is wrong."),
        ({"userName": "nobody", "password": PASSWORD}, "The user name or the password is wrong."),
        ({"userName": " ", "password": "x"}, "The user name is blank."),
        ({"userName": "admin", "password": ""}, "The password is blank."),
        ({"userName": "admin", "password": None}, "The password is blank."),
        ({}, "The user name is blank."),
    ],
)
async def test_wrong_credentials_are_400_and_never_401(
    wire: Wire, body: dict[str, Any], message: str
) -> None:
    response = await post(wire, "user/login", json=body)
    assert response.status_code == 400
    assert response.json()["message"] == message
    assert set(response.json()["data"]) == {"sessionTimeOut", "enableWatermark"}
    assert COOKIE not in wire.http.cookies


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"userName": 1, "password": []}', b'{"userName":"\\ud800","password":"x"}'],
)
async def test_bodies_that_are_none(wire: Wire, content: bytes) -> None:
    assert (await post(wire, "user/login", content=content)).status_code == 400


async def test_a_second_login_keeps_the_first(wire: Wire) -> None:
    await post(wire, "user/login", json=GOOD)
    again = (await post(wire, "user/login", json={"userName": "other", "password": "wrong"})).json()
    assert again["status"] == 0
    assert again["data"] == {"userName": "admin"}
    assert "Already logged in, please log out" in again["message"]
    assert "已经登录，请先退出再进行登录" in again["message"]


async def test_logout_ends_the_login(wire: Wire) -> None:
    await post(wire, "user/login", json=GOOD)
    ticket = wire.http.cookies[COOKIE]
    response = await post(wire, "user/logout")
    assert response.json()["data"] == {}
    assert [cookie.partition("=")[0] for cookie in response.headers.get_list("set-cookie")] == [
        COOKIE,
        "linkis_user_session_proxy_ticket_id_v1",
    ]
    wire.http.cookies.clear()
    assert (await get(wire, "user/userInfo", headers={"Cookie": f"{COOKIE}={ticket}"})).status_code == 401
    assert (await get(wire, "user/logout")).status_code == 200


@pytest.mark.parametrize(
    "path", ["user/userInfo", "user/heartbeat", "jobhistory/list", "user/oauth-redirect"]
)
@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=", f"{COOKIE}=forged", "other=x; =; ;;"])
async def test_without_a_login_it_is_401(wire: Wire, path: str, cookie: str) -> None:
    response = await get(wire, path, headers={"Cookie": cookie} if cookie else {})
    assert response.status_code == 401
    assert response.json()["status"] == -1


async def test_token_headers_are_no_login(wire: Wire) -> None:
    assert (await wire.get("user/userInfo", user="admin")).status_code == 401


async def test_what_anybody_may_ask(wire: Wire) -> None:
    assert (await get(wire, "user/publicKey")).json()["data"] == {
        "enableSSL": False,
        "enableLoginEncrypt": False,
        "enable": False,
    }
    assert set((await get(wire, "user/baseinfo")).json()["data"]) == {
        "resultSetExportEnable",
        "linkisClusterName",
        "engineLogOnlyAdminEnable",
    }


async def test_an_unknown_address_is_an_envelope(wire: Wire) -> None:
    assert (await get(wire, "user/nothing")).status_code == 404


# --- tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "code"),
    [("Token-User", "Token-Code"), ("Proxy-User", "Validation-Code"), ("token-user", "TOKEN-CODE")],
)
async def test_both_pairs_of_headers(wire: Wire, user: str, code: str) -> None:
    headers = {user: "alice", code: wire.gateway.auth.local_token}
    assert (await get(wire, "jobhistory/list", headers=headers)).status_code == 200


async def test_a_token_may_come_as_cookies(wire: Wire) -> None:
    cookie = f"Token-User=alice; Token-Code={wire.gateway.auth.local_token}"
    assert (await get(wire, "jobhistory/list", headers={"Cookie": cookie})).status_code == 200


async def test_a_bad_token_is_final_and_not_echoed(wire: Wire) -> None:
    await post(wire, "user/login", json=GOOD)
    headers = {"Token-User": "alice", "Token-Code": "t0psecret"}
    response = await get(wire, "jobhistory/list", headers=headers)
    assert response.status_code == 401
    assert "t0psecret" not in response.text


async def test_a_token_of_the_store_and_of_the_proxy_file(wire: Wire) -> None:
    token = Token(id="t", token_hash=secret_hash("stored"), users=("alice",), hosts=("*",), created_at_ms=0)
    await wire.gateway.store.add_token(token)
    (wire.gateway.settings.home / "proxy.properties").write_text("filed=alice,bob\n")

    async def status(user: str, code: str) -> int:
        headers = {"Proxy-User": user, "Validation-Code": code}
        return (await get(wire, "jobhistory/list", headers=headers)).status_code

    assert await status("alice", "stored") == 200
    assert await status("bob", "stored") == 401
    assert await status("bob", "filed") == 200
    assert await status("bo", "filed") == 401


async def test_a_login_of_a_removed_user_ends(wire: Wire) -> None:
    ann = replace(ADMIN, name="ann", is_admin=False)
    await wire.gateway.store.add_user(ann)
    await post(wire, "user/login", json=GOOD | {"userName": "ann"})
    await wire.gateway.store.drop_user("ann")
    wire.gateway.auth._users.forget("ann")  # what a recheck does, some seconds later
    assert (await get(wire, "user/userInfo")).status_code == 401
