"""Logins, tickets and tokens, against a store in memory and a clock that is moved by hand."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ujes.core.errors import InvalidRequest, NotLoggedIn, UserMistake
from ujes.gateway.auth.auth import Auth
from ujes.gateway.auth.identity import is_user_name, new_user_name
from ujes.gateway.auth.passwords import hash_password
from ujes.gateway.auth.secret import secret_hash
from ujes.gateway.store.records import Login, Token, User
from ujes.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HASHES = {password: hash_password(password) for password in ("secret", "changed")}


class HandClock:
    def __init__(self) -> None:
        self.s = 1000.0

    def now_ms(self) -> int:
        return round(self.s * 1000)

    def monotonic_s(self) -> float:
        return self.s

    async def sleep(self, delay_s: float) -> None:
        self.s += delay_s


class MemoryStore:
    """Users, tokens and logins in dictionaries."""

    def __init__(self) -> None:
        self.user_rows: dict[str, User] = {}
        self.token_rows: dict[str, Token] = {}
        self.login_rows: dict[str, Login] = {}

    async def add_user(self, user: User) -> None:
        self.user_rows[user.name] = user

    async def user(self, name: str) -> User | None:
        return self.user_rows.get(name)

    async def users(self) -> tuple[User, ...]:
        return tuple(self.user_rows.values())

    async def token(self, token_hash: str) -> Token | None:
        return self.token_rows.get(token_hash)

    def touch_token(self, token_hash: str, at_ms: int) -> None:
        self.token_rows[token_hash] = replace(self.token_rows[token_hash], last_used_at_ms=at_ms)

    async def add_login(self, login: Login) -> None:
        self.login_rows[login.ticket_hash] = login

    async def logins(self) -> tuple[Login, ...]:
        return tuple(self.login_rows.values())

    async def drop_login(self, ticket_hash: str) -> bool:
        return self.login_rows.pop(ticket_hash, None) is not None

    def touch_login(self, ticket_hash: str, at_ms: int) -> None:
        self.login_rows[ticket_hash] = replace(self.login_rows[ticket_hash], seen_at_ms=at_ms)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    alice = User(name="alice", password_hash=HASHES["secret"], is_admin=False, created_at_ms=0)
    store.user_rows["alice"] = alice
    return store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {"home": tmp_path, "login": {"idle_timeout_s": 100, "logins_max": 3, "admins": ["Boss"]}}
    )


@pytest.fixture
async def auth(store: MemoryStore, settings: Settings, clock: HandClock) -> AsyncIterator[Auth]:
    auth = await Auth.open(store, settings, clock)
    yield auth
    await auth.close()


def token_row(code: str, **given: object) -> Token:
    row = Token(id="t1", token_hash=secret_hash(code), users=("*",), hosts=("*",), created_at_ms=0)
    return replace(row, **given)  # type: ignore[arg-type]


# --- logins -------------------------------------------------------------------------------------


async def test_a_login_gives_a_ticket_that_is_stored_as_its_hash_only(auth: Auth, store: MemoryStore) -> None:
    ticket, identity = await auth.login(" Alice ", "secret", peer="127.0.0.1")
    assert (identity.user, identity.is_admin, identity.via) == ("alice", False, "login")
    assert auth.by_ticket(ticket) == identity
    assert list(store.login_rows) == [secret_hash(ticket)]
    assert ticket not in repr(store.login_rows)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong"),
        ("nobody", "secret"),
        ("", ""),
        ("a\udc80", "x"),
        ("alice", "x\udc80"),
        ("../alice", "secret"),
        ("alice", "s" * 5000),
    ],
)
async def test_wrong_credentials_are_one_and_the_same_mistake(auth: Auth, user: str, password: str) -> None:
    with pytest.raises(UserMistake, match="The user name or the password is wrong"):
        await auth.login(user, password, peer="127.0.0.1")


async def test_a_login_idles_out_and_calls_keep_it(auth: Auth, clock: HandClock, store: MemoryStore) -> None:
    ticket, _ = await auth.login("alice", "secret", peer="")
    clock.s += 49
    assert auth.by_ticket(ticket) is not None
    assert store.login_rows[secret_hash(ticket)].seen_at_ms == 1_000_000, "less than half: nothing written"
    clock.s += 1
    assert auth.by_ticket(ticket) is not None
    assert store.login_rows[secret_hash(ticket)].seen_at_ms == clock.now_ms()
    clock.s += 99
    assert auth.by_ticket(ticket) is not None
    clock.s += 100
    assert auth.by_ticket(ticket) is None
    await auth.settled()
    assert store.login_rows == {}


async def test_logout_ends_this_login_and_no_other(auth: Auth, store: MemoryStore) -> None:
    first, _ = await auth.login("alice", "secret", peer="")
    second, _ = await auth.login("alice", "secret", peer="")
    await auth.logout(first)
    await auth.logout("unknown")
    assert auth.by_ticket(first) is None
    assert auth.by_ticket(second) is not None
    assert list(store.login_rows) == [secret_hash(second)]


async def test_the_longest_idle_login_makes_room(auth: Auth, clock: HandClock, store: MemoryStore) -> None:
    tickets = []
    for _ in range(4):
        clock.s += 1
        tickets.append((await auth.login("alice", "secret", peer=""))[0])
    await auth.settled()
    assert [auth.by_ticket(ticket) is not None for ticket in tickets] == [False, True, True, True]
    assert len(store.login_rows) == 3


@pytest.mark.parametrize("ticket", ["", "x", "x" * 100_000, "a b;c", "\udc80"])
async def test_a_foreign_ticket_is_no_login(auth: Auth, ticket: str) -> None:
    assert auth.by_ticket(ticket) is None


async def test_logins_outlive_the_gateway(
    auth: Auth, store: MemoryStore, settings: Settings, clock: HandClock
) -> None:
    ticket, _ = await auth.login("alice", "secret", peer="")
    store.login_rows["old"] = Login(ticket_hash="old", user="alice", created_at_ms=0, seen_at_ms=0)
    store.login_rows["gone"] = Login(ticket_hash="gone", user="bob", created_at_ms=0, seen_at_ms=1_000_000)
    again = await Auth.open(store, settings, clock)
    assert again.by_ticket(ticket) is not None
    assert list(store.login_rows) == [secret_hash(ticket)], "ended logins and those of gone users are dropped"
    await again.close()


async def test_a_removed_user_is_out_within_moments(auth: Auth, clock: HandClock, store: MemoryStore) -> None:
    ticket, _ = await auth.login("alice", "secret", peer="")
    del store.user_rows["alice"]
    clock.s += 2
    auth.by_ticket(ticket)
    await auth.settled()
    assert auth.by_ticket(ticket) is None
    assert store.login_rows == {}


async def test_a_changed_password_ends_earlier_logins(
    auth: Auth, clock: HandClock, store: MemoryStore
) -> None:
    old, _ = await auth.login("alice", "secret", peer="")
    store.user_rows["alice"] = replace(store.user_rows["alice"], password_hash=HASHES["changed"])
    new, _ = await auth.login("alice", "changed", peer="")
    assert auth.by_ticket(old) is None
    clock.s += 3
    assert auth.by_ticket(new) is not None
    await auth.settled()
    assert auth.by_ticket(new) is not None


async def test_admins_come_from_the_user_and_from_the_settings(auth: Auth, store: MemoryStore) -> None:
    for name, is_admin in [("boss", False), ("carol", True)]:
        store.user_rows[name] = User(
            name=name, password_hash=HASHES["secret"], is_admin=is_admin, created_at_ms=0
        )
        assert (await auth.login(name, "secret", peer=""))[1].is_admin


# --- the first start ----------------------------------------------------------------------------


async def test_the_first_start_makes_an_administrator(settings: Settings, clock: HandClock) -> None:
    auth = await Auth.open(store := MemoryStore(), settings, clock)
    file = settings.home / "admin-password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = file.read_text().strip()
    assert password == auth.first_password
    assert (await auth.login("admin", password, peer=""))[1].is_admin
    await auth.close()
    again = await Auth.open(store, settings, clock)
    assert again.first_password is None
    await again.close()


# --- tokens -------------------------------------------------------------------------------------


async def refusal(auth: Auth, user: str, code: str, peer: str = "10.0.0.1") -> int:
    with pytest.raises(NotLoggedIn) as caught:
        await auth.by_token(user, code, peer=peer)
    assert not code or code not in caught.value.message
    return caught.value.error_code


async def test_a_stored_token_works_as_its_users_from_its_hosts(auth: Auth, store: MemoryStore) -> None:
    row = token_row("sesame", users=("alice", "Bob"), hosts=("10.0.0.1",), expires_at_ms=2_000_000)
    store.token_rows[row.token_hash] = row
    identity = await auth.by_token("Bob", "sesame", peer="::ffff:10.0.0.1")
    assert (identity.user, identity.via, identity.is_admin) == ("Bob", "token", False)
    assert store.token_rows[row.token_hash].last_used_at_ms == 1_000_000
    assert await refusal(auth, "bob", "sesame") == 15202
    assert await refusal(auth, "alice", "sesame", "10.0.0.2") == 15203
    assert await refusal(auth, "alice", "sesam") == 15207
    assert await refusal(auth, "alice", "") == 15207


async def test_an_expired_token_and_a_revoked_one(auth: Auth, store: MemoryStore, clock: HandClock) -> None:
    row = token_row("sesame", expires_at_ms=1_002_000)
    store.token_rows[row.token_hash] = row
    await auth.by_token("anyone", "sesame", peer="")
    clock.s += 2
    assert await refusal(auth, "anyone", "sesame") == 15201
    del store.token_rows[row.token_hash]
    clock.s += 1
    assert await refusal(auth, "anyone", "sesame") == 15207


async def test_a_token_with_blank_lists_lets_nobody_in(auth: Auth, store: MemoryStore) -> None:
    row = token_row("sesame", users=())
    store.token_rows[row.token_hash] = row
    assert await refusal(auth, "alice", "sesame") == 15202


@pytest.mark.parametrize(
    "user", ["", "..", "../x", "a/b", "a\0", "a b", ".hidden", "-x", "x" * 65, "a\udc80"]
)
async def test_a_token_for_everybody_is_not_for_names_that_are_none(auth: Auth, user: str) -> None:
    assert await refusal(auth, user, auth.local_token, "127.0.0.1") == 15202


async def test_the_local_token_works_on_this_machine_only(auth: Auth, settings: Settings) -> None:
    file = settings.home / "local-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code = file.read_text().strip()
    for peer in ("127.0.0.1", "::1", "127.3.2.1"):
        assert (await auth.by_token("boss", code, peer=peer)).is_admin
    for peer in ("10.0.0.1", "", "unix"):
        assert await refusal(auth, "alice", code, peer) == 15203


async def test_the_proxy_file_is_read_again_when_it_changes(auth: Auth, settings: Settings) -> None:
    assert await refusal(auth, "alice", "old") == 15207
    file = settings.home / "proxy.properties"
    file.write_text("old=alice\n")
    assert (await auth.by_token("alice", "old", peer="")).user == "alice"
    assert await refusal(auth, "ali", "old") == 15202
    file.write_text("newer=*\n")
    assert await refusal(auth, "alice", "old") == 15207
    assert (await auth.by_token("zoe", "newer", peer="")).user == "zoe"
    file.unlink()
    assert await refusal(auth, "zoe", "newer") == 15207


# --- names --------------------------------------------------------------------------------------


def test_names() -> None:
    assert new_user_name(" Alice_1.x ") == "alice_1.x"
    assert is_user_name("a-b")
    for name in ("", "a-b", "..", "a/b", "ümlaut", "x" * 65):
        with pytest.raises(InvalidRequest, match="cannot be a user's name"):
            new_user_name(name)
