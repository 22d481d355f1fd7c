"""The format of `proxy.properties`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ujes.gateway.auth.proxy_file import ProxyFile, parse
from ujes.gateway.auth.secret import secret_hash

if TYPE_CHECKING:
    from pathlib import Path


def users(content: str | bytes) -> dict[str, frozenset[str]]:
    raw = content.encode() if isinstance(content, str) else content
    return dict(parse(raw).users)


def expected(**tokens: str) -> dict[str, frozenset[str]]:
    return {secret_hash(token): frozenset(names.split(",")) for token, names in tokens.items()}


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("t=alice", {"t": "alice"}),
        ("# c\n! c\n\n   \n\tt = alice , bob ,\r\n", {"t": "alice,bob"}),
        ("t=*\rs=a", {"t": "*", "s": "a"}),
        ("t=alice,\\\n   bob\ns=x", {"t": "alice,bob", "s": "x"}),
        ("t=alice\\", {"t": "alice"}),
        ("# no \\\nt=alice", {"t": "alice"}),
        ("a\\=b\\u0063=alice", {"a=bc": "alice"}),
        ("t=a=b", {"t": "a=b"}),
        ("t=alice\nt=bob", {"t": "bob"}),
        ("\ufefft=alice", {"t": "alice"}),
        ("", {}),
    ],
)
def test_good_lines(content: str, tokens: dict[str, str]) -> None:
    assert users(content) == expected(**tokens)


def test_latin_1_is_read_when_it_is_not_utf_8() -> None:
    assert users("t=ren\xe9".encode("latin-1")) == expected(t="ren\xe9")
    assert users("t=ren\xe9".encode()) == expected(t="ren\xe9")


def test_warnings_name_the_line_and_not_the_secret() -> None:
    read = parse(b"t0psecret\nt=a\n\nt0psecret=\n=alice\nt0psecret=,\\\n ,\nt=b")
    assert dict(read.users) == expected(t="b")
    assert [warning.split()[1] for warning in read.warnings] == ["1", "4", "5", "6", "8"]
    assert "t0psecret" not in " ".join(read.warnings)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(content: bytes) -> None:
    read = parse(content)
    assert all(read.users.values())


def test_a_file_that_cannot_be_read_has_no_tokens(tmp_path: Path) -> None:
    file = ProxyFile(tmp_path / "proxy.properties")
    (tmp_path / "proxy.properties").mkdir()
    with capture_logs() as logs:
        assert file.users_of(secret_hash("t")) is None
        assert file.users_of(secret_hash("t")) is None
    assert len(logs) == 1, "told once, not on every call"
    assert logs[0]["log_level"] == "warning"
