"""How far logs were pushed, from one gateway to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from ujes.gateway.jobs import bookmarks


def test_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "pushed.json"
    bookmarks.save(path, {7: 120, 8: 1})
    assert [each.name for each in tmp_path.iterdir()] == ["pushed.json"]
    assert bookmarks.take(path) == {7: 120, 8: 1}
    assert bookmarks.take(path) == {}


def test_nothing_to_keep_is_no_file(tmp_path: Path) -> None:
    bookmarks.save(tmp_path / "pushed.json", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": 1}', b'{"1": "x"}', b"\xff"])
def test_rubbish_is_as_good_as_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pushed.json"
    path.write_bytes(content)
    assert bookmarks.take(path) == {}
    assert not path.exists()
