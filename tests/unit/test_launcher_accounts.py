"""Accounts engines may run as, and folders that are given to them."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from ujes.launchers.accounts import find, give_folder, make_way
from ujes.launchers.launcher import LaunchError


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_only_root_can_start_engines_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LaunchError, match="only a gateway that runs as root"):
        find("daemon")


@pytest.mark.usefixtures("as_root")
def test_an_account_is_found_with_its_groups() -> None:
    entry = pwd.getpwnam("daemon")
    account = find("daemon")
    assert (account.uid, account.gid) == (entry.pw_uid, entry.pw_gid)
    assert entry.pw_gid in account.groups


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("name", ["no-such-account", "", "0", "1000", "a\0b", "ü"])
def test_a_user_without_an_account_is_refused(name: str) -> None:
    with pytest.raises(LaunchError, match="has no account on this machine"):
        find(name)


@pytest.mark.usefixtures("as_root")
def test_every_account_of_number_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaunchError, match="rights of root"):
        find("root")
    second = pwd.struct_passwd(("toor", "x", 0, 100, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: second)
    with pytest.raises(LaunchError, match="rights of root"):
        find("toor")


def test_a_way_lets_through_and_shows_no_more_than_before(tmp_path: Path) -> None:
    closed, listed = tmp_path / "closed", tmp_path / "listed"
    closed.mkdir(mode=0o700)
    listed.mkdir()
    listed.chmod(0o755)
    for path, mode in ((closed, 0o711), (listed, 0o755), (tmp_path / "new", 0o711)):
        make_way(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_folder_of_the_account_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    folder.chmod(0o750)
    give_folder(folder, os.getuid())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


@pytest.mark.accounts
def test_a_folder_of_root_is_given_and_one_of_others_is_not(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to other accounts")
    folder = tmp_path / "own"
    give_folder(folder, 5)
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (5, 0o700)
    with pytest.raises(LaunchError, match="neither root's nor the account's"):
        give_folder(folder, 1)
    assert folder.stat().st_uid == 5
