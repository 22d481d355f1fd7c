"""The scripted engine: its code says what happens, so a test can make any failure with an ordinary job.

One command a line:

    log TEXT          a log entry                     line TEXT         a line of program output
    rows N            a table result of N rows        text TEXT         a text result
    progress X        progress within the statement   flood N           N lines of program output
    reach NAME        tell the board                  wait NAME         wait until the board releases NAME
    fail CODE TEXT    the user's mistake              raise TEXT        the engine's own mistake
    no-space          the disk is full                env NAME          log an environment variable
    spawn             a child process that stays      daemon            one in a session of its own, by exec
    forked-daemon     one in a session of its own, without exec
    busy              compute until interrupted       hang              ... and do not listen to interrupts
    crash STATUS      end the process                 kill9             end the process as by SIGKILL
    broken-frame      send rubbish over the link      pid               log the process id
    ---               the next statement begins

Everything else that can go wrong stands below as an engine named for how it fails. None is an entry
point: tests launch them by `ujes.testing.scripted:Scripted`.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ujes.engines.engine import Capabilities, Engine, EngineError, Interrupted, Options, Output, Place, option
from ujes.testing.signals import Visitor

#: How launchers and settings name the engine.
SCRIPTED = f"{__name__}:Scripted"

_SLEEPER = (sys.executable, "-S", "-c", "import signal; signal.pause()")


@dataclass(frozen=True, kw_only=True)
class ScriptedOptions(Options):
    board: str = option("", "Socket of the test's signal board.", key="scripted.board")


class Scripted(Engine):
    name = "scripted"
    run_types = ("script",)
    summary = "Does what its code says; for tests."
    options_class = ScriptedOptions
    capabilities = Capabilities(can_interrupt=True, has_progress=True, keeps_session=True)

    options: ScriptedOptions

    def __init__(self, options: Options, place: Place) -> None:
        super().__init__(options, place)
        assert isinstance(options, ScriptedOptions)
        self._visitor = Visitor(options.board)
        self._interrupted = threading.Event()
        self._progress: float | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        self._commands: dict[str, Callable[[str, Output], None]] = {
            "log": lambda text, out: out.info(text),
            "line": lambda text, out: out.line(text),
            "env": lambda name, out: out.info(f"{name}={os.environ.get(name)}"),
            "pid": lambda _, out: out.info(f"pid {os.getpid()}"),
            "rows": _rows,
            "text": _text,
            "flood": _flood,
            "fail": _fail,
            "raise": _raise,
            "no-space": _no_space,
            "progress": self._set_progress,
            "reach": lambda name, _: self._visitor.reach(name),
            "wait": self._wait,
            "spawn": self._spawn,
            "daemon": self._daemon,
            "forked-daemon": _forked_daemon,
            "busy": self._busy,
            "hang": self._hang,
            "crash": _crash,
            "kill9": lambda _, __: os.kill(os.getpid(), signal.SIGKILL),
            "broken-frame": lambda _, __: _send_rubbish(),
        }

    def open(self) -> str:
        return "Scripted engine"

    def split(self, code: str) -> Sequence[str]:
        return [part for part in code.split("\n---\n") if part.strip()]

    def run(self, statement: str, out: Output) -> None:
        self._interrupted.clear()
        self._visitor.clear()
        self._progress = None
        for line in filter(None, map(str.strip, statement.splitlines())):
            verb, _, rest = line.partition(" ")
            if verb not in self._commands:
                raise EngineError(f"There is no command {verb!r}.", 60001)
            self._commands[verb](rest, out)
            if self._interrupted.is_set():
                raise Interrupted

    def interrupt(self) -> None:
        self._interrupted.set()
        self._visitor.break_off()

    def progress(self) -> float | None:
        return self._progress

    def close(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()

    def _set_progress(self, value: str, _: Output) -> None:
        self._progress = float(value)

    def _wait(self, name: str, _: Output) -> None:
        if not self._visitor.wait(name):
            raise Interrupted

    def _spawn(self, _: str, out: Output) -> None:
        child = subprocess.Popen(_SLEEPER)
        self._children.append(child)
        out.info(f"child {child.pid}")

    def _daemon(self, _: str, out: Output) -> None:
        """A shell starts it and ends, so that it loses its parent."""
        command = f"setsid {_SLEEPER[0]} -S -c 'import signal; signal.pause()' >/dev/null 2>&1 & echo $!"
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True
        )
        out.info(f"daemon {done.stdout.decode().strip()}")

    def _busy(self, _: str, __: Output) -> None:
        while not self._interrupted.is_set():
            sum(range(1000))

    def _hang(self, _: str, __: Output) -> None:
        while True:
            signal.pause()


class FailsToOpen(Scripted):
    def open(self) -> str:
        raise EngineError("The scripted engine was told not to open.", 60010)


class BreaksAtOpen(Scripted):
    def open(self) -> str:
        raise RuntimeError("a mistake in open")


class DiesAtOpen(Scripted):
    def open(self) -> str:
        sys.stderr.write("dying as told\n")
        sys.stderr.flush()
        os._exit(3)


class HangsAtOpen(Scripted):
    def open(self) -> str:
        self._visitor.reach("opening")
        while True:
            signal.pause()


class OpensSlowly(Scripted):
    """Waits for the board's signal `open`."""

    def open(self) -> str:
        self._visitor.wait("open")
        return "Scripted engine, at last"


class HangsAtClose(Scripted):
    def close(self) -> None:
        self._visitor.reach("closing")
        while True:
            signal.pause()


class CannotBeInterrupted(Scripted):
    capabilities: ClassVar[Capabilities] = Capabilities(can_interrupt=False)

    def interrupt(self) -> None:
        raise RuntimeError("a mistake in interrupt")


def _rows(count: str, out: Output) -> None:
    import pyarrow as pa  # noqa: PLC0415 - engines load libraries when they run

    schema = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])
    with out.table(schema) as table:
        for start in range(0, int(count), 10_000):
            numbers = range(start, min(start + 10_000, int(count)))
            texts = [f"row {number}" if number % 7 else None for number in numbers]
            table.write(pa.record_batch([pa.array(numbers), pa.array(texts, pa.string())], schema=schema))


def _text(text: str, out: Output) -> None:
    with out.text() as lines:
        lines.write_line(text)


def _flood(count: str, out: Output) -> None:
    for number in range(int(count)):
        out.line(f"line {number} of the flood")


def _fail(code_and_text: str, _: Output) -> None:
    code, _space, text = code_and_text.partition(" ")
    raise EngineError(text or "failed as told", int(code or 60002))


def _crash(status: str, _: Output) -> None:
    sys.stderr.write("crashing as told\n")
    sys.stderr.flush()
    os._exit(int(status or 1))


def _raise(text: str, _: Output) -> None:
    raise RuntimeError(text)


def _no_space(_: str, __: Output) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _forked_daemon(_: str, out: Output) -> None:
    """The classic double fork; the process keeps nothing of ours but its memory."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writer, str(os.getpid()).encode())
            os.chdir("/")
            while True:
                signal.pause()
        os._exit(0)
    os.wait()
    out.info(f"daemon {os.read(reader, 32).decode()}")


def _send_rubbish() -> None:
    """Over every connected stream socket but the board's, of which none is open at rest."""
    for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as sock:
                if sock.getpeername():
                    sock.sendall(b"\xff" * 64)
        except OSError:
            continue  # not connected, or closed meanwhile
