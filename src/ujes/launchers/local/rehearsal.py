"""Imported by the warm parent: writes a small result as every engine's first job would.

What pyarrow makes when it is first used is then there before any engine has a job, and shared by all.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ujes.results.writer import ResultFolder

with (
    tempfile.TemporaryDirectory() as _folder,
    ResultFolder(Path(_folder), lambda _file: None).text() as _text,
):
    _text.write_line("rehearsal")
