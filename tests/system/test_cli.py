"""The commands as a user types them, on a real gateway."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.served import Served

TIMEOUT_S = 90.0
WITHOUT = ("UJES_SERVER", "UJES_USER", "UJES_TOKEN", "UJES_PASSWORD", "UJES_HOME")


def environment(home: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in WITHOUT}
    return inherited | {"UJES_HOME": str(home), "UJES_USER": "admin"} | more


def ujes(home: Path, *arguments: str, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ujes", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(home, **env),
        check=False,
    )


@contextmanager
def started(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on, with both outputs in one pipe."""
    with subprocess.Popen(
        [sys.executable, "-m", "ujes", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(home),
    ) as process:
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            watchdog.join()
            if process.poll() is None:
                process.kill()


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if wanted in line:
            return line
    raise AssertionError(f"{wanted!r} never came")


# --- run ----------------------------------------------------------------------------------------


def test_run_draws_a_table_and_tells_the_log(gateway: Served) -> None:
    done = ujes(gateway.home, "run", "select 42 as answer, null as nothing")
    assert done.returncode == 0, done.stderr
    assert "│     42 │" in done.stdout
    assert "NULL" in done.stdout
    assert "INFO" in done.stderr
    assert "✓ Succeed" in done.stderr


def test_run_for_programs(gateway: Served) -> None:
    sql = "select i as id, 'n' || i as name from range(12000) t(i)"
    table = ujes(gateway.home, "run", "-q", "--format", "csv", sql)
    assert table.stdout.splitlines()[0] == "id,name"
    assert table.stdout.splitlines()[-1] == "11999,n11999"
    lines = ujes(gateway.home, "run", "-q", "--format", "json", sql).stdout.splitlines()
    assert len(lines) == 12000
    assert json.loads(lines[-1]) == {"id": 11999, "name": "n11999"}


def test_run_as_arrow(gateway: Served, tmp_path: Path) -> None:
    file = tmp_path / "result.arrow"
    with file.open("wb") as out:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "ujes",
                "run",
                "-q",
                "--format",
                "arrow",
                "select 1 as a, date '2026-01-31' as d",
            ],
            stdout=out,
            env=environment(gateway.home),
            timeout=TIMEOUT_S,
            check=True,
        )
    table = pa.ipc.open_stream(file.read_bytes()).read_all()
    assert [str(field.type) for field in table.schema] == ["int32", "date32[day]"]
    assert table.num_rows == 1


def test_run_from_a_file_and_from_standard_input(gateway: Served, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text("print('hello ${who}')")
    done = ujes(gateway.home, "run", "-e", "python", "-f", str(script), "--var", "who=world")
    assert done.stdout == "hello world\n"
    piped = ujes(gateway.home, "run", "-e", "shell", "-f", "-", text="echo from a pipe")
    assert piped.stdout == "from a pipe\n"


def test_run_shows_how_many_rows_there_are(gateway: Served) -> None:
    done = ujes(gateway.home, "run", "--limit", "2", "select * from range(1234)")
    assert "first 2 of 1,234 rows in all" in done.stdout


@pytest.mark.parametrize(
    ("engine", "code", "reason"),
    [
        ("duckdb", "select * from nowhere", "nowhere"),
        ("shell", "exit 3", "exit code 3"),
        ("nothing", "x", "There is no engine 'nothing'"),
    ],
)
def test_run_of_what_fails(gateway: Served, engine: str, code: str, reason: str) -> None:
    done = ujes(gateway.home, "run", "-q", "-e", engine, code)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_run_survives_a_reader_that_leaves(gateway: Served) -> None:
    command = (
        f"{shlex.quote(sys.executable)} -m ujes run -q --format csv 'select * from range(200000)' | head -1"
    )
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(gateway.home),
        check=True,
    )
    assert done.stdout == "range\n"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_ctrl_c_kills_the_job(gateway: Served) -> None:
    code = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
    with started(gateway.home, "run", "-e", "python", code) as process:
        read_until(process, "begun")
        process.send_signal(signal.SIGINT)
        assert read_until(process, "Cancelled")
        assert process.wait(TIMEOUT_S) == 130


def test_run_without_a_gateway_brings_its_own(home: Path) -> None:
    done = ujes(home, "run", "-q", "-e", "shell", "echo alone")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "alone\n"
    assert not (home / "gateway.json").exists()


# --- one job, command by command ----------------------------------------------------------------


def test_submit_status_log_result(gateway: Served, tmp_path: Path) -> None:
    job = ujes(gateway.home, "submit", "select 7 as seven").stdout.strip()
    log = ujes(gateway.home, "log", "-f", job)
    assert "select 7 as seven" in log.stdout
    assert log.stdout.splitlines() == gateway.log(int(job))
    assert ujes(gateway.home, "status", job).stdout.startswith("Succeed")
    assert json.loads(ujes(gateway.home, "status", job, "--json").stdout)["state"] == "Succeed"
    saved = tmp_path / "seven.csv"
    assert ujes(gateway.home, "result", job, "--set", "0", "-o", str(saved)).returncode == 0
    assert saved.read_text() == "seven\n7\n"
    assert ujes(gateway.home, "result", job, "--set", "1").returncode == 1
    assert job in ujes(gateway.home, "jobs").stdout


def test_kill(gateway: Served) -> None:
    job = ujes(gateway.home, "submit", "-e", "shell", "sleep 600").stdout.strip()
    gateway.wait_for(int(job), "Running")
    assert "is being killed" in ujes(gateway.home, "kill", job).stdout
    gateway.wait_for(int(job), "Cancelled")
    again = ujes(gateway.home, "kill", job)
    assert again.returncode == 1
    assert "has ended already: Cancelled" in again.stderr


# --- users and tokens, while the gateway runs ---------------------------------------------------


def test_a_new_user_logs_in_and_a_removed_one_does_not(gateway: Served) -> None:
    assert ujes(gateway.home, "user", "add", "Dora", "--password-stdin", text="pw 1\n").returncode == 0
    as_dora = {"UJES_USER": "dora", "UJES_PASSWORD": "pw 1"}
    done = ujes(gateway.home, "jobs", "--server", gateway.url, **as_dora)
    assert done.stdout == "There are no jobs.\n", done.stderr
    ujes(gateway.home, "user", "remove", "dora")
    refused = ujes(gateway.home, "jobs", "--server", gateway.url, **as_dora)
    assert refused.returncode == 1
    assert "The user name or the password is wrong" in refused.stderr


def test_a_token_acts_as_its_users_only(gateway: Served) -> None:
    token = ujes(gateway.home, "token", "add", "--users", "erik").stdout.strip()
    assert ujes(gateway.home, "jobs", UJES_TOKEN=token, UJES_USER="erik").returncode == 0
    refused = ujes(gateway.home, "jobs", UJES_TOKEN=token, UJES_USER="fay")
    assert refused.returncode == 1
    assert "may not be used for this user" in refused.stderr
    assert token not in refused.stderr


# --- demo, doctor, stop -------------------------------------------------------------------------


def test_the_demo_shows_two_jobs_and_commands_that_work(home: Path) -> None:
    done = ujes(home, "demo", "--home", str(home), "--port", "0")
    assert done.returncode == 0, done.stderr
    assert "Berlin" in done.stdout
    assert "kettle" in done.stdout
    assert done.stderr.count("✓ Succeed") == 2


def test_the_curl_lines_of_the_demo_work_as_printed(home: Path, tmp_path: Path) -> None:
    import pty  # noqa: PLC0415 - a demo stays up on a terminal only

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ujes", "demo", "--home", str(home), "--port", "0"]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment(home)
    ) as process:
        os.close(theirs)
        try:
            text = _read_terminal(ours, "Ctrl-C ends it.")
            for line in re.findall(r"^ *((?:echo .*\| )?curl .*?)\r?$", text, re.MULTILINE):
                done = subprocess.run(
                    ["sh", "-c", line],
                    capture_output=True,
                    text=True,
                    cwd=tmp_path,
                    timeout=TIMEOUT_S,
                    check=True,
                )
                assert json.loads(done.stdout)["status"] == 0, line
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
            os.close(ours)


def _read_terminal(descriptor: int, until: str) -> str:
    text = ""
    while until not in text:
        text += os.read(descriptor, 4096).decode(errors="replace")
    return text


def test_doctor_finds_the_running_gateway(gateway: Served) -> None:
    done = ujes(gateway.home, "doctor")
    assert done.returncode == 0, done.stdout
    assert gateway.url in done.stdout


def test_stop_ends_the_gateway(own_gateway: Served) -> None:
    done = ujes(own_gateway.home, "stop")
    assert done.returncode == 0, done.stderr
    assert own_gateway.wait() == 0
