"""Commands as far as they go without a gateway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ujes import __version__
from ujes.cli.commands import COMMANDS, ujes
from ujes.cli.connect import login_name

CONNECTION = ("UJES_SERVER", "UJES_USER", "UJES_TOKEN", "UJES_PASSWORD", "UJES_HOME")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CONNECTION:
        monkeypatch.delenv(name, raising=False)


def call(*arguments: str, text: str = "", env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(ujes, arguments, input=text, env=env)


def test_the_version_imports_no_library() -> None:
    code = (
        "import sys; sys.argv = ['ujes', '--version']; from ujes.cli.main import main; main(); "
        "print(sorted({'click', 'httpx', 'pydantic', 'rich', 'msgspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"ujes {__version__}", "[]"]


def test_help_lists_every_command() -> None:
    shown = call("--help")
    assert shown.exit_code == 0
    assert all(name in shown.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    shown = call(name, "--help")
    assert shown.exit_code == 0, shown.output
    assert "Usage:" in shown.output


@pytest.mark.parametrize(
    "command", [("status", "1"), ("jobs",), ("kill", "1"), ("log", "1"), ("result", "1")]
)
def test_without_a_gateway_there_is_a_sentence(home: Path, command: tuple[str, ...]) -> None:
    failed = call(*command, "--home", str(home))
    assert failed.exit_code == 1
    assert f"No gateway runs on {home}. Start one with `ujes serve`" in failed.output


def test_nobody_at_the_address(free_port: int) -> None:
    failed = call("jobs", "--server", f"http://127.0.0.1:{free_port}", env={"UJES_TOKEN": "t0psecret"})
    assert failed.exit_code == 1
    assert f"No gateway answers at http://127.0.0.1:{free_port}" in failed.output
    assert "ujes serve" in failed.output
    assert "t0psecret" not in failed.output


@pytest.mark.parametrize(
    ("arguments", "env", "sentence"),
    [
        (("jobs", "--server", "h"), {}, "wants to know who you are"),
        (("jobs", "--server", "h"), {"UJES_TOKEN": "t", "UJES_PASSWORD": "p"}, "only one of them"),
        (("jobs", "--server", "ftp://h"), {"UJES_TOKEN": "t"}, "no address of a server"),
        (("run",), {}, "Give the code, or a file"),
        (("run", "-f", "/nowhere/x.sql"), {}, "/nowhere/x.sql cannot be read"),
        (("run", "select 1", "--var", "x"), {}, "--var takes NAME=VALUE"),
        (("serve",), {"UJES_PORT": "x"}, "The settings cannot be used: port"),
        (("stop",), {}, "No gateway runs on"),
    ],
)
def test_mistakes_are_sentences(
    home: Path, arguments: tuple[str, ...], env: dict[str, str], sentence: str
) -> None:
    failed = call(*arguments, "--home", str(home), env=env)
    assert failed.exit_code in (1, 2)
    assert sentence in failed.output
    assert "Traceback" not in failed.output


def test_a_broken_settings_file_is_a_sentence(home: Path) -> None:
    (home / "ujes.toml").write_text("port = [")
    failed = call("serve", "--home", str(home))
    assert failed.exit_code == 1
    assert "The settings cannot be read" in failed.output


def test_the_login_name_can_be_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "John-Doe Ä")
    assert login_name() == "john_doe__"


# --- users and tokens: on the store itself ------------------------------------------------------


def test_users(home: Path) -> None:
    at = ("--home", str(home))
    assert (
        "Added administrator ann."
        in call("user", "add", "Ann", "--admin", "--password-stdin", *at, text="pw\n").output
    )
    assert "already" in call("user", "add", "ann", "--password-stdin", *at, text="pw\n").output
    assert "ann" in call("user", "list", *at).output
    assert "Changed" in call("user", "password", "ann", "--password-stdin", *at, text="other\n").output
    assert "Removed ann." in call("user", "remove", "ann", *at).output
    assert call("user", "remove", "ann", *at).exit_code == 1
    for name in ("a-b", "../x", ""):
        failed = call("user", "add", "--password-stdin", *at, "--", name, text="pw\n")
        assert failed.exit_code == 1
        assert "cannot be a user's name" in failed.output
    assert "no password" in call("user", "add", "bob", "--password-stdin", *at).output


def test_tokens(home: Path) -> None:
    at = ("--home", str(home))
    made = call("token", "add", "--users", "a, b", "--days", "2", *at)
    secret = made.stdout.strip()
    assert len(secret) >= 40
    listed = call("token", "list", *at).output
    assert "a,b" in listed
    assert secret not in listed
    name = made.stderr.split()[2].rstrip(";")
    assert f"Revoked {name}." in call("token", "revoke", name, *at).output
    assert call("token", "revoke", name, *at).exit_code == 1
    assert call("token", "add", "--users", ",", *at).exit_code == 2
    assert "cannot be a user's name" in call("token", "add", "--users", "../x", *at).output


def test_doctor_on_a_fresh_home(home: Path) -> None:
    healthy = call("doctor", "--home", str(home / "new"))
    assert healthy.exit_code == 0, healthy.output
    for what in ("python", "home", "space", "database", "gateway", "duckdb", "shell"):
        assert what in healthy.output
    assert not (home / "new").exists()


def test_doctor_fails_on_what_cannot_do(home: Path) -> None:
    (home / "ujes.db").write_bytes(b"this is no database" * 100)
    sick = call("doctor", "--home", str(home))
    assert sick.exit_code == 1
    assert "✗ database" in sick.output
