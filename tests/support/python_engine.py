"""What the tests of the python engine share: an engine, its runs, and what it must not leave behind."""

from __future__ import annotations

import gc
import os
import sys
import textwrap
import threading
from pathlib import Path
from typing import Self

import pytest

from ujes.engines.engine import EngineError, Interrupted, Place
from ujes.engines.python import Python, PythonOptions
from ujes.testing.output import RecordingOutput


class Bench:
    """An open python engine in this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "root"
        self.work_dir = folder / "work"
        self.root.mkdir()
        self.work_dir.mkdir()
        place = Place(tag="python-0123", user="alice", work_dir=self.work_dir, roots=(self.root,))
        self.engine = Python(PythonOptions(), place)
        self._runs = 0

    def __enter__(self) -> Self:
        gc.freeze()  # the collection at the end then looks at nothing older than this
        self._cwd = Path.cwd()
        self._streams = (sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"], list(sys.meta_path))
        self.banner = self.engine.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.engine.close()
        os.chdir(self._cwd)
        gc.collect()  # user code leaves circles that hold descriptors
        gc.unfreeze()
        now = (sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"], list(sys.meta_path))
        assert now == self._streams

    def out(self, **runtime: str) -> RecordingOutput:
        self._runs += 1
        given = {name.replace("_", "."): value for name, value in runtime.items()}
        return RecordingOutput(self._folder / f"results-{self._runs}", given)

    def run(self, code: str, **runtime: str) -> RecordingOutput:
        out = self.out(**runtime)
        self.engine.run(textwrap.dedent(code), out)
        return out

    def fail(self, code: str) -> EngineError:
        return self.fail_with_output(code)[0]

    def fail_with_output(self, code: str) -> tuple[EngineError, RecordingOutput]:
        out = self.out()
        with pytest.raises(EngineError) as caught:
            self.engine.run(textwrap.dedent(code), out)
        return caught.value, out

    def interrupt(self, code: str, *, at: str = "ready") -> RecordingOutput:
        """Runs code that prints `at` and then goes on for long; interrupts it there."""
        out = self.out()
        meddler = threading.Thread(
            target=lambda: (out.heard(lambda line: line == at), self.engine.interrupt())
        )
        meddler.start()
        try:
            with pytest.raises(Interrupted):
                self.engine.run(textwrap.dedent(code), out)
        finally:
            meddler.join()
        return out


def texts(out: RecordingOutput, index: int = 0) -> list[str]:
    assert out.results[index].kind == "text"
    return list(out.whole(index).column("text").to_pylist())
