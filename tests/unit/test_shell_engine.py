"""The shell engine by itself: what it says, what it keeps, and that nothing of a job is left."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from ujes.engines.engine import EngineError, Interrupted, Place
from ujes.engines.shell import (
    ARGUMENT_BYTES_MAX,
    ARGUMENTS_KEY,
    DIRECTORY_KEY,
    LINE_BYTES_MAX,
    LOG_LINE_CHARS,
    Shell,
    ShellOptions,
)
from ujes.testing.output import RecordingOutput

Run = Callable[..., RecordingOutput]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    work, root = tmp_path / "work", tmp_path / "root"
    work.mkdir()
    root.mkdir()
    return Place(tag="shell-1", user="ann", work_dir=work, roots=(root,))


@pytest.fixture
def shell(place: Place) -> Iterator[Shell]:
    engine = Shell(ShellOptions(), place)
    engine.open()
    yield engine
    engine.close()


@pytest.fixture
def out(tmp_path: Path) -> RecordingOutput:
    return RecordingOutput(tmp_path / "results")


@pytest.fixture
def run(shell: Shell, tmp_path: Path) -> Run:
    def run(code: str, runtime: Mapping[str, str] | None = None) -> RecordingOutput:
        output = RecordingOutput(tmp_path / f"results-{os.urandom(4).hex()}", runtime or {})
        shell.run(code, output)
        return output

    return run


def cells(out: RecordingOutput) -> list[str]:
    found: list[str] = out.whole().column("text").to_pylist() if out.results else []
    return found


def interrupt_at(shell: Shell, out: RecordingOutput, line: str) -> threading.Thread:
    def wait_and_interrupt() -> None:
        out.heard(lambda text: text == line)
        shell.interrupt()
        shell.interrupt()

    thread = threading.Thread(target=wait_and_interrupt)
    thread.start()
    return thread


def alive(pid: str) -> bool:
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- output -----------------------------------------------------------------------------------


def test_stdout_is_log_and_result_and_stderr_only_log(run: Run) -> None:
    out = run("echo one; echo two >&2; printf 'last without end'")
    assert sorted(out.lines) == ["last without end", "one", "two"]
    assert cells(out) == ["one", "last without end"]
    assert out.results[0].kind == "text"


def test_no_stdout_is_no_result(run: Run) -> None:
    assert run("echo quiet >&2").results == []


def test_lines_come_while_the_script_runs(shell: Shell, out: RecordingOutput, place: Place) -> None:
    os.mkfifo(place.work_dir / "go")

    def answer() -> None:
        out.heard(lambda text: text == "ready")
        (place.work_dir / "go").write_text("now\n")

    thread = threading.Thread(target=answer)
    thread.start()
    shell.run("echo ready; cat go", out)
    thread.join()
    assert cells(out) == ["ready", "now"]


def test_bytes_that_are_no_text_are_replaced(run: Run) -> None:
    assert cells(run(r"printf 'a\377b\r\n'")) == ["a\ufffdb"]


def test_of_a_progress_bar_the_log_shows_the_last_state(run: Run) -> None:
    out = run(r"printf '10%%\r55%%\r100%%\n'")
    assert out.lines == ["100%"]
    assert cells(out) == ["10%\r55%\r100%"]


def test_a_long_line_is_cut_in_the_log_only(run: Run) -> None:
    out = run("head -c 3000 /dev/zero | tr '\\0' x")
    assert out.lines == ["x" * LOG_LINE_CHARS + "..."]
    assert cells(out) == ["x" * 3000]


def test_a_line_without_end_is_broken_at_the_bound(run: Run) -> None:
    size = LINE_BYTES_MAX + 1_000_000
    lengths = [len(cell) for cell in cells(run(f"head -c {size} /dev/zero | tr '\\0' x"))]
    assert sum(lengths) == size
    assert len(lengths) == 2


def test_much_output_does_not_fill_the_memory(shell: Shell, tmp_path: Path) -> None:
    class Forgetful(RecordingOutput):
        def line(self, text: str) -> None:
            pass

    out = Forgetful(tmp_path / "much")
    before = psutil.Process().memory_info().rss
    shell.run("yes 0123456789012345678901234567890123456789012345678 | head -c 100000000", out)
    assert out.results[0].rows == 2_000_000
    assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024


# --- how it is started ------------------------------------------------------------------------


@pytest.mark.parametrize("text", [json.dumps(["a b", "c'd", "*"]), "'a b' \"c'd\" '*'"])
def test_arguments_arrive_as_they_are(run: Run, text: str) -> None:
    assert cells(run('echo $#; for each in "$@"; do echo "$each"; done', {ARGUMENTS_KEY: text})) == [
        "3", "a b", "c'd", "*",
    ]  # fmt: skip


def test_arguments_that_cannot_be_read_are_refused(run: Run) -> None:
    with pytest.raises(EngineError, match=r"extraArguments: .* Write a JSON list"):
        run("true", {ARGUMENTS_KEY: "'open"})


def test_code_longer_than_an_argument_may_be(run: Run, place: Place) -> None:
    out = run(f'# {"x" * ARGUMENT_BYTES_MAX}\necho "$1"', {ARGUMENTS_KEY: '["a b"]'})
    assert cells(out) == ["a b"]
    assert list(place.work_dir.iterdir()) == []


def test_the_folder_it_runs_in(run: Run, place: Place) -> None:
    (place.roots[0] / "sub").mkdir()
    assert cells(run("pwd")) == [str(place.work_dir)]
    assert cells(run("pwd", {DIRECTORY_KEY: str(place.roots[0] / "sub")})) == [str(place.roots[0] / "sub")]


@pytest.mark.parametrize("wanted", ["/etc", "{root}/missing", "{root}/../..", "{root}/link"])
def test_a_folder_elsewhere_is_left_out(run: Run, place: Place, wanted: str) -> None:
    (place.roots[0] / "link").symlink_to("/etc")
    out = run("pwd", {DIRECTORY_KEY: wanted.format(root=place.roots[0])})
    assert cells(out) == [str(place.work_dir)]
    assert "is left out" in out.said("WARN")[0]


def test_there_is_nothing_to_read(run: Run) -> None:
    assert run("cat").results == []


# --- how it ends ------------------------------------------------------------------------------


def test_an_exit_code_is_an_error_with_the_last_lines(shell: Shell, out: RecordingOutput) -> None:
    with pytest.raises(EngineError) as caught:
        shell.run("echo kept; for n in 1 2 3 4 5 6 7 8; do echo e$n >&2; done; exit 3", out)
    assert caught.value.code == 50037
    assert caught.value.text == (
        "run shell failed with error:\ne4\ne5\ne6\ne7\ne8\nThe shell ended with exit code 3."
    )
    assert cells(out) == ["kept"]


def test_a_signal_is_named(run: Run) -> None:
    with pytest.raises(EngineError, match="ended by SIGKILL"):
        run("kill -KILL $$")


def test_code_no_process_can_be_given(run: Run) -> None:
    with pytest.raises(EngineError, match="could not be started"):
        run("echo a\0b")


def test_what_is_left_in_the_background_ends_with_the_job(run: Run) -> None:
    out = run("sleep 600 & echo $!; setsid sleep 600 & echo $!; nohup sleep 600 >/dev/null 2>&1 & echo $!")
    pids = cells(out)
    assert [pid for pid in pids if alive(pid)] == []
    assert "left in the background" in out.said("WARN")[0]


def test_an_interrupt_ends_every_process_whatever_it_did(shell: Shell, out: RecordingOutput) -> None:
    code = """
        trap '' INT TERM
        echo $$
        setsid sh -c 'trap "" INT TERM; echo $$; (setsid sleep 600 & echo $!); while :; do sleep 600; done' &
        while [ ! -e ready ]; do :; done
    """
    thread = interrupt_at_count(shell, out, 3)
    with pytest.raises(Interrupted):
        shell.run(code, out)
    thread.join()
    assert len(cells(out)) == 3
    assert [pid for pid in cells(out) if alive(pid)] == []


def interrupt_at_count(shell: Shell, out: RecordingOutput, count: int) -> threading.Thread:
    def wait_and_interrupt() -> None:
        out.heard(lambda _: len(out.lines) >= count)
        shell.interrupt()

    thread = threading.Thread(target=wait_and_interrupt)
    thread.start()
    return thread


def test_a_pipeline_is_interrupted_while_it_floods(shell: Shell, out: RecordingOutput) -> None:
    thread = interrupt_at(shell, out, "y")
    with pytest.raises(Interrupted):
        shell.run("yes | cat | cat", out)
    thread.join()


def test_the_next_job_knows_nothing_of_an_interrupt(shell: Shell, run: Run) -> None:
    shell.interrupt()
    assert cells(run("echo fine")) == ["fine"]
