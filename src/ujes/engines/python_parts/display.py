"""`show` and its kin: objects become result sets.

A value is shown as the first of these it can be: a table, a picture of a matplotlib figure, its own HTML,
its own PNG, JPEG or SVG, else the text `print` gives. All but the last are *rich*: a last expression of a
rich kind is shown by itself.

The host's output is only ever called with interrupts held back, batch by batch, so that an interrupt ends
a long table but never meets the host's code.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ujes.engines.python_parts import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from ujes.engines.engine import Output
    from ujes.engines.python_parts.gate import Gate
    from ujes.engines.python_parts.tables import Frame
    from ujes.results.writer import TableWriter

#: whose objects are tables
_FRAMES = {
    "pandas": ("DataFrame", "Series"),
    "polars": ("DataFrame", "LazyFrame", "Series"),
    "duckdb": ("DuckDBPyRelation",),
    "pyarrow": ("Table", "RecordBatch", "RecordBatchReader"),
}
_IMAGES = (
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_svg_", "image/svg+xml"),
)
_print = print


class Display:
    """Shows values in the run going on; between runs there is nowhere to show them."""

    def __init__(self, gate: Gate, settle: Callable[[], None]) -> None:
        self._gate = gate
        self._settle = settle
        self._out: Output | None = None

    def begin(self, out: Output) -> None:
        self._out = out

    def end(self) -> None:
        self._out = None

    def show(self, value: Any) -> None:
        if not self._show_rich(value):
            _print(value)

    def show_last(self, value: Any, *, is_plain_shown: bool) -> None:
        """The value of a last expression."""
        if value is not None and not self._show_rich(value) and is_plain_shown:
            _print(repr(value))

    def log(self, *values: object) -> None:
        self._settle()
        text = " ".join(str(value) for value in values)
        with self._gate.shield():
            self._there().info(text)

    def show_figures(self) -> None:
        """Every open figure, once."""
        for figure in figures.open_figures():
            self._show_figure(figure)

    def _show_rich(self, value: Any) -> bool:
        if _is_frame(value):
            self._write_frame(value)
        elif figures.is_figure(value):
            self._show_figure(value)
        elif value is not None and value is figures.loaded_pyplot():
            self.show_figures()
        else:
            return self._show_own(value)
        return True

    def _write_frame(self, value: Any) -> None:
        from ujes.engines.python_parts import tables  # noqa: PLC0415 - brings pyarrow along

        self._write(tables.frame_of(value))

    def _write(self, frame: Frame) -> None:
        with self._gate.shield():
            writer = self._there().table(frame.schema).__enter__()
        try:
            self._write_batches(writer, frame)
        except BaseException:
            with self._gate.shield():
                writer.__exit__(*sys.exc_info())
            raise
        with self._gate.shield():
            writer.__exit__(None, None, None)

    def _write_batches(self, writer: TableWriter, frame: Frame) -> None:
        for batch in frame.batches:
            with self._gate.shield():
                writer.write(batch)

    def _show_figure(self, figure: Any) -> None:
        figures.close_figure(figure)
        content = figures.draw(figure)
        with self._gate.shield():
            self._there().picture(content, "image/png")

    def _show_own(self, value: Any) -> bool:
        """By the methods objects have for notebooks."""
        if isinstance(value, type):
            return False
        html = _own(value, "_repr_html_")
        if isinstance(html, str):
            with self._gate.shield():
                self._there().html(html)
            return True
        return any(self._show_own_image(_own(value, method), media) for method, media in _IMAGES)

    def _show_own_image(self, content: Any, media_type: str) -> bool:
        if isinstance(content, str):
            content = content.encode()
        if not isinstance(content, bytes):
            return False
        with self._gate.shield():
            self._there().picture(content, media_type)
        return True

    def _there(self) -> Output:
        if self._out is None:
            raise RuntimeError("There is no job running to show this in.")
        return self._out


class Show:
    """What user code knows as `show`: both `show(value)` and `show.show(value)`."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def __call__(self, *values: object) -> None:
        for value in values:
            self._display.show(value)

    def show(self, *values: object) -> None:
        self(*values)

    def __repr__(self) -> str:
        return "show(value): a result set of a data frame, figure or HTML"


def _own(value: Any, method: str) -> Any:
    """What the method gives. Only one of the value's class counts: a mock or proxy says yes to any name."""
    if not hasattr(type(value), method):
        return None
    content = getattr(value, method)()
    return content[0] if isinstance(content, tuple) and content else content  # with metadata behind it


def _is_frame(value: object) -> bool:
    return any(
        isinstance(value, getattr(sys.modules.get(library), name, ()))
        for library, names in _FRAMES.items()
        for name in names
    )
