"""matplotlib's open figures. Nothing here imports matplotlib: the user's code does, or does not."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import io
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_PYPLOT = "matplotlib.pyplot"


class PyplotWatch(importlib.abc.MetaPathFinder):
    """Puts our `show` into pyplot as soon as it is imported."""

    def __init__(self, show: Callable[..., None]) -> None:
        self._show = show

    def open(self) -> None:
        sys.meta_path.insert(0, self)
        if pyplot := loaded_pyplot():
            self._patch(pyplot)

    def close(self) -> None:
        sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _PYPLOT:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._patch_after(spec.loader)
        return spec

    def _patch_after(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            self._patch(module)

        loader.exec_module = execute_and_patch

    def _patch(self, pyplot: Any) -> None:
        show = self._show

        def show_open_figures(*_args: object, **_options: object) -> None:
            """Makes a picture result set of every open figure, and closes them."""
            show()

        pyplot.show = show_open_figures


def loaded_pyplot() -> Any | None:
    """pyplot, if the user's code has imported it completely."""
    pyplot = sys.modules.get(_PYPLOT)
    return pyplot if hasattr(pyplot, "get_fignums") else None


def open_figures() -> list[Any]:
    pyplot = loaded_pyplot()
    return [] if pyplot is None else [pyplot.figure(number) for number in pyplot.get_fignums()]


def is_figure(value: object) -> bool:
    figure = sys.modules.get("matplotlib.figure")
    kind = getattr(figure, "Figure", None)
    return kind is not None and isinstance(value, kind)


def close_figure(figure: Any) -> None:
    if pyplot := loaded_pyplot():
        pyplot.close(figure)


def close_all() -> None:
    if pyplot := loaded_pyplot():
        pyplot.close("all")


def draw(figure: Any) -> bytes:
    """The figure as PNG, by its own canvas or Agg's, whatever window system was asked for."""
    content = io.BytesIO()
    figure.savefig(content, format="png", bbox_inches="tight")
    return content.getvalue()
