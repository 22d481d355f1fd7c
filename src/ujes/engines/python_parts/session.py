"""The user's namespace, and how code runs in it.

The namespace is a real module in the place of `__main__`, so that classes and functions defined in a job can
be pickled, inspected and found by type hints. Each run has a file name of its own, `<job N>`, under which
its source is kept for tracebacks and `inspect.getsource`, as long as all of them stay small.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import inspect
import linecache
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

#: frames of files below this folder are ours, not the user's
_OWN_FOLDER = str(Path(__file__).parent.parent)
#: sources kept for tracebacks, all together; the oldest go first
_SOURCE_CHARS_MAX = 2 * 1024 * 1024
_TEXT_CHARS_MAX = 16 * 1024
_FIRST_LINE_CHARS_MAX = 240
_CAUSES_MAX = 3
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_print = builtins.print


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How user code failed."""

    #: the cause in one line, then the traceback, both cut to what a message may carry
    text: str
    #: the whole traceback
    traceback: str


class Session:
    def __init__(self, provided: dict[str, object]) -> None:
        self._provided = provided
        self._host_main = sys.modules.get("__main__")
        self._main = ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        #: file names of the kept sources, oldest first, and their lengths
        self._sources: dict[str, int] = {}
        self._runs = 0
        self._file = ""
        sys.modules["__main__"] = self._main

    def close(self) -> None:
        self._main.__dict__.clear()
        for name in self._sources:
            linecache.cache.pop(name, None)
        if self._host_main is not None:
            sys.modules["__main__"] = self._host_main

    def begin(self, source: str, job: str) -> None:
        """The next `execute` runs `source`; not user code yet."""
        self._runs += 1
        self._file = f"<job {job}>" if f"<job {job}>" not in self._sources and job else f"<run {self._runs}>"
        self._keep_source(source)
        for name, value in self._provided.items():
            self._main.__dict__.setdefault(name, value)

    def execute(self, source: str, show_last: Callable[[object], None]) -> None:
        """Runs the code; raises whatever it raises."""
        body, last = self._compile(source)
        self._evaluate(body)
        if last is not None:
            show_last(self._evaluate(last))

    def describe(self, error: BaseException) -> Failure:
        """May run user code: `__str__` of its exceptions."""
        whole = traceback.TracebackException(
            type(error), error, error.__traceback__, compact=True, max_group_depth=5
        )
        self._clean(whole)
        text = "".join(whole.format())
        first = self._first_line(error)
        return Failure(text=f"{first}\n{text}"[:_TEXT_CHARS_MAX], traceback=text)

    def _compile(self, source: str) -> tuple[CodeType, CodeType | None]:
        tree = compile(source, self._file, "exec", ast.PyCF_ONLY_AST | _AWAIT, dont_inherit=True)
        last = None
        if isinstance(tree.body[-1] if tree.body else None, ast.Expr) and not source.rstrip().endswith(";"):
            expression = ast.Expression(tree.body.pop().value)
            last = compile(expression, self._file, "eval", _AWAIT | _futures(tree), dont_inherit=True)
        return compile(tree, self._file, "exec", _AWAIT, dont_inherit=True), last

    def _evaluate(self, code: CodeType) -> object:
        value = eval(code, self._main.__dict__)  # noqa: S307 - running the user's code is what this is for
        if not code.co_flags & inspect.CO_COROUTINE:
            return value
        import asyncio  # noqa: PLC0415 - few jobs need it

        return asyncio.run(value)

    def _keep_source(self, source: str) -> None:
        lines = source.splitlines(keepends=True)
        linecache.cache[self._file] = (len(source), None, lines, self._file)
        self._sources[self._file] = len(source)
        while len(self._sources) > 1 and sum(self._sources.values()) > _SOURCE_CHARS_MAX:
            oldest = next(iter(self._sources))
            del self._sources[oldest]
            linecache.cache.pop(oldest, None)

    def _clean(self, whole: traceback.TracebackException) -> None:
        """Takes our own frames out, here and in every exception that hangs on this one."""
        waiting: list[traceback.TracebackException | None] = [whole]
        while waiting:
            each = waiting.pop()
            if each is None:
                continue
            each.stack[:] = self._without_entry(each.stack)
            waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]

    def _without_entry(self, stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
        frames = [frame for frame in stack if not frame.filename.startswith(_OWN_FOLDER)]
        starts = [at for at, frame in enumerate(frames) if frame.filename in self._sources]
        is_entered_by_us = len(frames) < len(stack)
        return frames[starts[0] :] if starts and is_entered_by_us else frames

    def _first_line(self, error: BaseException) -> str:
        parts = [self._one_line(error)]
        seen = {id(error)}
        cause = _cause(error)
        while cause is not None and id(cause) not in seen and len(parts) < _CAUSES_MAX:
            parts.append(f"caused by {self._one_line(cause)}")
            seen.add(id(cause))
            cause = _cause(cause)
        return ", ".join(parts)

    def _one_line(self, error: BaseException) -> str:
        text = " ".join(_said(error).split())
        if len(text) > _FIRST_LINE_CHARS_MAX:
            text = text[: _FIRST_LINE_CHARS_MAX - 3] + "..."
        line = self._line_of(error)
        shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
        return f"{shown} (line {line})" if line else shown

    def _line_of(self, error: BaseException) -> int | None:
        """The line of this run's code where it happened, or was on its way to happen."""
        if isinstance(error, SyntaxError) and error.filename == self._file:
            return error.lineno
        found, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                found = trace.tb_lineno
            trace = trace.tb_next
        return found


def _futures(tree: ast.Module) -> int:
    """Flags of the `from __future__` imports, which hold for the last expression, too."""
    imports = [each for each in tree.body if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
    flags = 0
    for name in {name.name for each in imports for name in each.names}:
        flags |= getattr(getattr(__future__, name, None), "compiler_flag", 0)
    return flags


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _said(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return str(error.msg)
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own __str__
        return "<its text could not be made>"
