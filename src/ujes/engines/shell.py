"""The shell engine: one `sh` for each job, in a session of its own.

The thread that runs a job watches four things at once: the two output pipes, the end of the shell (a
small thread waits for it) and the wish to interrupt. An interrupt only says so; the watching thread then
steps up from SIGINT to SIGTERM to SIGKILL while it goes on reading.

The job ends when the shell ends. Whatever it left in the background is ended with it and named in the
log. Such processes are found by their session and, where they left it, by a mark in their environment.
"""

from __future__ import annotations

import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ujes.engines.engine import Capabilities, Engine, EngineError, Interrupted, Options, Output, Place

if TYPE_CHECKING:
    from ujes.results.writer import TextWriter

#: the code of a shell that ended with an error, or could not be started
SHELL_FAILED = 50037
#: the error shows this many lines of stderr
ERROR_LINES = 5
#: a longer line is cut in the log; the result set keeps it
LOG_LINE_CHARS = 2_000
#: a longer line is broken into several, in the result set as well
LINE_BYTES_MAX = 8 * 1024 * 1024
#: longer code goes through a file: Linux takes 128 KiB in one argument
ARGUMENT_BYTES_MAX = 100 * 1024
READ_BYTES = 64 * 1024
#: after an interrupt: when the next, stronger signal follows
STEP_S = 0.25
#: what the shell left writing to its output may still say, and for how long
DRAIN_S = 0.3
#: processes may start others while they are being ended
ROUNDS_MAX = 5

ARGUMENTS_KEY = "extraArguments"
DIRECTORY_KEY = "wds.linkis.shell.runtime.working.directory"
MARK = "UJES_SHELL_RUN"


@dataclass(frozen=True, kw_only=True)
class ShellOptions(Options):
    """The shell has no options at start; `extraArguments` and the directory are given with a job."""


class Shell(Engine):
    """Runs each job in a new `sh`."""

    name = "shell"
    run_types = ("shell", "sh")
    summary = "Shell scripts, each in a process group of its own that ends with the job."
    options_class = ShellOptions
    capabilities = Capabilities(keeps_session=False)
    warm_imports = ("psutil", "pyarrow")

    def __init__(self, options: Options, place: Place) -> None:
        super().__init__(options, place)
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def open(self) -> str:
        shell = shutil.which("sh")
        if shell is None:
            raise EngineError("There is no sh on this machine's PATH.", SHELL_FAILED)
        return f"{Path(shell).resolve().name}, working directory {self.place.work_dir}"

    def run(self, statement: str, out: Output) -> None:
        directory = self._directory(out)
        with _argv(statement, _arguments(out), self.place.work_dir) as argv:
            running = _Running(argv, directory, out)
            with self._lock:
                self._running = running
            try:
                running.to_the_end()
            finally:
                with self._lock:
                    self._running = None
                running.close()

    def interrupt(self) -> None:
        with self._lock:
            if self._running is not None:
                self._running.interrupt()

    def close(self) -> None:
        self.interrupt()

    def _directory(self, out: Output) -> Path:
        wanted = out.runtime.get(DIRECTORY_KEY, "").strip()
        if not wanted:
            return self.place.work_dir
        path = Path(wanted.removeprefix("file://")).resolve()
        roots = [root.resolve() for root in (*self.place.roots, self.place.work_dir)]
        if path.is_dir() and any(path.is_relative_to(root) for root in roots):
            return path
        out.warn(f"The working directory {wanted} is left out: it is no folder inside your own folders.")
        return self.place.work_dir


class _Running:
    """One shell on its way."""

    def __init__(self, argv: Sequence[str], directory: Path, out: Output) -> None:
        self._out = out
        self._mark = uuid.uuid4().hex
        self._is_interrupted = False
        self._has_ended = False
        self._wake_receiver, self._wake_sender = os.pipe()
        os.set_blocking(self._wake_sender, False)
        self._last_errors: deque[str] = deque(maxlen=ERROR_LINES)
        try:
            self._process = _start(argv, directory, os.environ | {MARK: self._mark})
        except BaseException:
            self._close_wake()
            raise
        self._waiter = threading.Thread(target=self._wait, name="shell-wait", daemon=True)
        self._waiter.start()

    def interrupt(self) -> None:
        self._is_interrupted = True
        self._wake()

    def to_the_end(self) -> None:
        with self._out.text() as text:
            self._watch(text)
        self._waiter.join()
        if self._is_interrupted:
            raise Interrupted
        if self._process.returncode != 0:
            raise EngineError(self._failure(), SHELL_FAILED)

    def close(self) -> None:
        """Nothing of the job is left, whatever happened before."""
        self._end_all()
        self._waiter.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._close_wake()

    # --- watching -----------------------------------------------------------------------------

    def _watch(self, text: TextWriter) -> None:
        stdout, stderr = _Lines(lambda line: self._on_stdout(line, text)), _Lines(self._on_stderr)
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_receiver, selectors.EVENT_READ, None)
            for pipe, lines in ((self._process.stdout, stdout), (self._process.stderr, stderr)):
                assert pipe is not None
                selector.register(pipe, selectors.EVENT_READ, lines)
            self._read_until_ended(selector)
            if not self._is_interrupted:
                _read(selector, DRAIN_S)
            self._end_left_behind()
            _read(selector, DRAIN_S)
        stdout.finish()
        stderr.finish()

    def _read_until_ended(self, selector: selectors.BaseSelector) -> None:
        steps = _steps()
        due_s = float("inf")
        while not self._has_ended:
            timeout_s = None if due_s == float("inf") else max(0.0, due_s - time.monotonic())
            _read_once(selector, timeout_s)
            if self._is_interrupted and (due_s == float("inf") or time.monotonic() >= due_s):
                self._signal_group(next(steps))
                due_s = time.monotonic() + STEP_S

    def _on_stdout(self, line: str, text: TextWriter) -> None:
        text.write_line(line)
        self._out.line(_shown(line))

    def _on_stderr(self, line: str) -> None:
        shown = _shown(line)
        self._last_errors.append(shown)
        self._out.line(shown)

    def _failure(self) -> str:
        code = self._process.returncode
        how = f"ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return "\n".join(["run shell failed with error:", *self._last_errors, f"The shell {how}."])

    # --- ending -------------------------------------------------------------------------------

    def _wait(self) -> None:
        self._process.wait()
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        # A full pipe wakes as well.
        with suppress(BlockingIOError):
            os.write(self._wake_sender, b".")

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _end_left_behind(self) -> None:
        left = self._end_all()
        if left and not self._is_interrupted:
            names = ", ".join(f"{name} ({pid})" for pid, name in sorted(left.items()))
            self._out.warn(f"Processes left in the background end with the job: {names}.")

    def _end_all(self) -> dict[int, str]:
        """End whatever of the job still lives; returns what it was."""
        ended: dict[int, str] = {}
        for _ in range(ROUNDS_MAX):
            found = self._living()
            if not found:
                break
            for process in found:
                with suppress(psutil.Error):
                    ended[process.pid] = process.name()
                    process.kill()
            psutil.wait_procs(found, timeout=STEP_S)
        return ended

    def _living(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if os.getsid(process.pid) != self._process.pid and not self._is_marked(process):
                return False
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        except (psutil.Error, OSError):
            return False  # it ended just now, or is another user's

    def _is_marked(self, process: psutil.Process) -> bool:
        return bool(process.environ().get(MARK) == self._mark)

    def _close_wake(self) -> None:
        os.close(self._wake_receiver)
        os.close(self._wake_sender)


class _Lines:
    """Bytes as they come, told as lines. A line end is LF or CR LF."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = bytearray()

    def add(self, content: bytes) -> None:
        *whole, rest = content.split(b"\n")
        for part in whole:
            self._rest += part
            self._end_line()
        self._rest += rest
        if len(self._rest) >= LINE_BYTES_MAX:
            self._end_line()

    def finish(self) -> None:
        if self._rest:
            self._end_line()

    def _end_line(self) -> None:
        text = self._rest.decode("utf-8", "replace").removesuffix("\r")
        self._rest.clear()
        self._tell(text)


def _read(selector: selectors.BaseSelector, timeout_s: float) -> None:
    """Read until both pipes are closed, for so long at most."""
    until_s = time.monotonic() + timeout_s
    while any(key.data is not None for key in selector.get_map().values()):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return
        _read_once(selector, left_s)


def _read_once(selector: selectors.BaseSelector, timeout_s: float | None) -> None:
    for key, _ in selector.select(timeout_s):
        content = os.read(key.fd, READ_BYTES)
        if isinstance(key.data, _Lines):
            if content:
                key.data.add(content)
            else:
                selector.unregister(key.fileobj)


def _steps() -> Iterator[signal.Signals]:
    yield signal.SIGINT
    yield signal.SIGTERM
    while True:
        yield signal.SIGKILL


def _start(argv: Sequence[str], directory: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
    except (OSError, ValueError) as error:
        raise EngineError(f"The shell could not be started: {error}.", SHELL_FAILED) from error


@contextmanager
def _argv(code: str, arguments: Sequence[str], work_dir: Path) -> Iterator[list[str]]:
    """The command line: the code as an argument, or in a file when it is too long for one."""
    if len(code.encode("utf-8", "replace")) <= ARGUMENT_BYTES_MAX:
        yield ["sh", "-c", code, "sh", *arguments]
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=work_dir, suffix=".sh") as file:
        file.write(code)
        file.flush()
        yield ["sh", file.name, *arguments]


def _arguments(out: Output) -> list[str]:
    """The job's arguments: a JSON list, or words quoted as in a shell."""
    text = out.runtime.get(ARGUMENTS_KEY, "").strip()
    try:
        listed = json.loads(text) if text.startswith("[") else shlex.split(text)
    except ValueError as error:
        reason = f"The arguments of the script cannot be read ({error}). Write a JSON list of texts."
        raise EngineError(f"{ARGUMENTS_KEY}: {reason}", SHELL_FAILED) from error
    return [each if isinstance(each, str) else json.dumps(each) for each in listed]


def _shown(line: str) -> str:
    """A line as the log shows it: of a progress bar the last state, of a long line the beginning."""
    last = line.rsplit("\r", 1)[-1]
    return last if len(last) <= LOG_LINE_CHARS else last[:LOG_LINE_CHARS] + "..."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
