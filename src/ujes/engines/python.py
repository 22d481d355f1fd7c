"""The python engine: runs code on the main thread of its own process, in a namespace kept from job to job.

What user code may count on

- Its lines are run as they stand; tracebacks show its own line numbers and lines, and nothing of the engine.
- `show(value)` (also `show.show`, `__show__`) makes a result set of a data frame, a figure or an object with
  `_repr_html_`; so does a last expression of that kind. `printlog` writes to the log.
  `plt.show()` and the end of the job show matplotlib's open figures, each once.
- Everything written to descriptor 1, by whomever, is the text result set and the log; descriptor 2 is the
  log only. `input()` finds the end of the file.
- Changes to signal handlers and standard streams last until the end of the job; the working directory,
  the environment and modules stay as they are left.
- Child processes and threads that still run when a job ends normally live as long as the session; what they
  write from then on is dropped, and the next job's log says how much. When a job is interrupted, every
  process it started is ended. Threads cannot be ended: the log says when some go on.
- A forked child that comes back from the code ends there.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ujes.engines.engine import Capabilities, Engine, EngineError, Interrupted, Options, Place, option
from ujes.engines.options import BadOption, options_from
from ujes.engines.python_parts import figures, kin
from ujes.engines.python_parts.capture import Capture
from ujes.engines.python_parts.display import Display, Show
from ujes.engines.python_parts.gate import Gate
from ujes.engines.python_parts.session import Failure, Session

if TYPE_CHECKING:
    from ujes.engines.engine import Output
    from ujes.results.writer import TextWriter

#: the code of every failure of user code
FAILED = 60002
#: a longer line is cut in the log; the result set keeps it
LOG_LINE_CHARS_MAX = 2000


@dataclass(frozen=True, kw_only=True)
class PythonOptions(Options):
    print_last: bool = option(
        False,
        "Print the value of a last expression that is neither None nor a table, figure or HTML.",
        key="python.print.last",
        scope="runtime",
    )


class Python(Engine):
    name = "python"
    run_types = ("python", "py", "py3")
    summary = "Python code in a session of its own, with tables, figures and HTML as results."
    options_class = PythonOptions
    capabilities = Capabilities(can_interrupt=True, keeps_session=True)
    warm_imports: ClassVar[tuple[str, ...]] = ("pyarrow",)

    def __init__(self, options: Options, place: Place) -> None:
        super().__init__(options, place)
        self._parts: _Parts | None = None

    def open(self) -> str:
        os.chdir(self.place.work_dir)
        # The launcher's variables reach programs the code starts; there is no display to open.
        os.environ.setdefault("MPLBACKEND", "agg")
        if self.place.roots:
            sys.path.insert(0, str(self.place.roots[0]))
        self._parts = _Parts()
        root = f", files in {self.place.roots[0]}" if self.place.roots else ""
        return f"Python {sys.version.splitlines()[0].strip()}{root}"

    def run(self, statement: str, out: Output) -> None:
        is_plain_shown = self._prints_last(out)
        _Run(self._opened, out, is_plain_shown).run(statement)

    def interrupt(self) -> None:
        if self._parts is not None:
            self._parts.gate.interrupt()

    def close(self) -> None:
        if self._parts is not None:
            self._parts.close()
            self._parts = None
            if self.place.roots:
                sys.path.remove(str(self.place.roots[0]))

    @property
    def _opened(self) -> _Parts:
        if self._parts is None:
            raise RuntimeError("The python engine is not open.")
        return self._parts

    def _prints_last(self, out: Output) -> bool:
        startup = isinstance(self.options, PythonOptions) and self.options.print_last
        try:
            return options_from(PythonOptions, {"python.print.last": str(startup), **out.runtime}).print_last
        except BadOption as error:
            raise EngineError(str(error), FAILED) from error


class _Parts:
    """What lives as long as the session."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.capture = Capture()
        self.display = Display(self.gate, self.capture.settle)
        show = Show(self.display)
        self.session = Session({"show": show, "__show__": show, "printlog": self.display.log})
        self.pyplot = figures.PyplotWatch(self.display.show_figures)
        self.pyplot.open()

    def close(self) -> None:
        self.pyplot.close()
        self.session.close()
        self.capture.close()
        self.gate.close()


class _Run:
    """One statement, from its source to its end."""

    def __init__(self, parts: _Parts, out: Output, is_plain_shown: bool) -> None:
        self._parts = parts
        self._out = out
        self._is_plain_shown = is_plain_shown
        self._text: TextWriter | None = None
        self._dropped = 0
        self._children = kin.direct_children()
        self._threads = frozenset(threading.enumerate())

    def run(self, source: str) -> None:
        with self._out.text() as self._text:
            failure = self._captured(source)
        self._tell_dropped()
        if self._parts.gate.was_interrupted:
            raise Interrupted
        if failure is not None:
            self._out.error(_cut_lines(failure.traceback))
            raise EngineError(failure.text, FAILED)

    def _captured(self, source: str) -> Failure | None:
        """Runs the code with everything of the process's own that it may change put back after."""
        trace = sys.gettrace()
        self._parts.gate.begin()
        try:
            self._parts.capture.begin(self._on_output, self._on_error)
            self._parts.display.begin(self._out)
            try:
                return self._ending(source)
            finally:
                self._parts.display.end()
                self._dropped = self._parts.capture.take_dropped()
                self._parts.capture.end()
        finally:
            self._parts.gate.end()
            if sys.gettrace() is not trace:
                sys.settrace(trace)

    def _ending(self, source: str) -> Failure | None:
        error = self._error_of_code(source)
        if self._parts.gate.was_interrupted:
            self._end_children()
            figures.close_all()
            return None
        if isinstance(error, EngineError):
            raise error  # not the code's: a result set could not be written
        return None if error is None else self._describe(error)

    def _error_of_code(self, source: str) -> BaseException | None:
        self._parts.session.begin(source, os.environ.get(kin.JOB_MARK, ""))
        error: BaseException | None = None
        try:
            self._parts.gate.call(lambda: self._execute(source))
        except BaseException as raised:  # noqa: BLE001 - whatever user code raises is its failure
            error = raised
        if self._parts.gate.was_interrupted:
            return error
        try:
            self._parts.gate.call(self._parts.display.show_figures)
        except BaseException as raised:  # noqa: BLE001
            error = error or raised
        return error

    def _execute(self, source: str) -> None:
        self._parts.session.execute(source, self._show_last)

    def _show_last(self, value: object) -> None:
        self._parts.display.show_last(value, is_plain_shown=self._is_plain_shown)

    def _describe(self, error: BaseException) -> Failure:
        """Exceptions of user code may run user code to say what they are."""
        found: list[Failure] = []
        try:
            self._parts.gate.call(lambda: found.append(self._parts.session.describe(error)))
        except BaseException as raised:  # noqa: BLE001
            text = f"{type(error).__name__}, whose text could not be made: {type(raised).__name__}"
            found.append(Failure(text=text, traceback=text))
        return found[0]

    def _end_children(self) -> None:
        from ujes.engines.python_parts import children  # noqa: PLC0415 - dear, and seldom needed

        left = children.end_started_since(self._children)
        if left:
            self._out.warn(f"{left} processes of this job could not be ended.")
        threads = [each for each in threading.enumerate() if each not in self._threads]
        if threads:
            self._out.warn(f"{len(threads)} threads of this job cannot be ended and go on in its session.")

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._out.warn(
                f"{self._dropped} characters written by threads or programs of an earlier job were dropped."
            )

    def _on_output(self, lines: list[str]) -> None:
        self._on_error(lines)
        if self._text is not None:
            for line in lines:
                self._text.write_line(line)

    def _on_error(self, lines: list[str]) -> None:
        for line in lines:
            # A call less for each of a million lines.
            is_short = len(line) <= LOG_LINE_CHARS_MAX and "\r" not in line
            self._out.line(line if is_short else _cut(line))


def _cut(line: str) -> str:
    """For the log. A progress bar redraws its line: what counts is what was drawn last."""
    if "\r" in line:
        line = line.rstrip("\r").rpartition("\r")[2]
    return line if len(line) <= LOG_LINE_CHARS_MAX else line[:LOG_LINE_CHARS_MAX] + "..."


def _cut_lines(text: str) -> str:
    return "\n".join(_cut(line) for line in text.rstrip("\n").split("\n"))
