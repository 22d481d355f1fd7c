"""Files of users are opened as they were checked, whatever was put in their place since."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ujes.gateway.files.opening import Opener, folder_to_list
from ujes.gateway.files.tree import list_folder, look_at

PLAIN, STRICT = Opener(same_owner=False), Opener(same_owner=True)


def _content(opener: Opener, path: Path) -> bytes:
    with os.fdopen(opener.open_file(path), "rb") as file:
        return file.read()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "folder"
    folder.mkdir()
    path = folder / "file"
    path.write_bytes(b"content")
    return path


def test_a_file_is_opened(file: Path) -> None:
    assert _content(PLAIN, file) == _content(STRICT, file) == b"content"
    assert [entry.name for entry in list_folder(file.parent)] == ["file"]
    found = look_at(file)
    assert found is not None
    assert found.size_bytes == 7
    root = look_at(Path("/"))
    assert root is not None
    assert root.is_folder


def test_a_link_is_not_followed_at_the_end_or_on_the_way(file: Path) -> None:
    link, way = file.with_name("link"), file.parent.with_name("way")
    link.symlink_to(file)
    way.symlink_to(file.parent)
    for path in (link, way / "file"):
        with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
            PLAIN.open_file(path)
    assert look_at(way / "file") is None
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"), folder_to_list(way):
        pass


def test_only_regular_files_are_opened(file: Path) -> None:
    os.mkfifo(file.with_name("pipe"))
    for path in (file.with_name("pipe"), file.parent):
        with pytest.raises(OSError, match="not a regular file"):
            PLAIN.open_file(path)


@pytest.mark.accounts
def test_a_second_name_for_a_file_of_somebody_else_is_refused(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to other accounts")
    os.chown(file.parent, 5, 60)
    assert _content(PLAIN, file) == b"content"
    with pytest.raises(OSError, match="another account"):
        STRICT.open_file(file)
    os.chown(file, 5, 60)
    assert _content(STRICT, file) == b"content"
