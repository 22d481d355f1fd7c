"""The tables in docs/ that are made from the code, each between two markers in its page.

`python3 dev.py docs` writes them; `tests/unit/test_house.py` fails when one is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ujes.core import errors
from ujes.settings import EngineSettings, Settings

DOCS = Path(__file__).parent


def render(page: Path) -> str:
    """The page with its tables as they should be."""
    text = page.read_text(encoding="utf-8")
    for name, rows in TABLES.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->\n"
        if begin in text:
            before, _, rest = text.partition(begin)
            after = rest.partition(end)[2]
            text = f"{before}{begin}{''.join(rows())}{end}{after}"
    return text


def pages() -> list[Path]:
    return [page for page in sorted(DOCS.glob("*.md")) if "<!-- table: " in page.read_text(encoding="utf-8")]


# --- settings ---------------------------------------------------------------------------------


def setting_rows() -> Iterator[str]:
    yield "| setting | environment | default | what it does |\n|---|---|---|---|\n"
    yield from _model_rows(Settings, ())


def _model_rows(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        below = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _model_rows(field.annotation, below)
        else:
            yield _setting_row(below, field)
        if field.annotation == dict[str, EngineSettings]:
            yield from _model_rows(EngineSettings, (*below, "ENGINE"))


def _setting_row(path: tuple[str, ...], field: FieldInfo) -> str:
    environment = "UJES_" + "__".join(path).upper()
    return f"| `{'.'.join(path)}` | `{environment}` | {_shown(field.default)} | {field.description} |\n"


def _shown(default: Any) -> str:
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, int):
        return f"{default:,}".replace(",", " ")
    return f"`{default}`" if default else ""


# --- errors -----------------------------------------------------------------------------------


def error_rows() -> Iterator[str]:
    yield "| code | class | kind | says, when nothing better is known |\n|---|---|---|---|\n"
    for kind in _below(errors.UjesError):
        for refusal in _below(kind) or [kind]:
            label = kind.__name__ if refusal is not kind else "our bug"
            yield f"| {refusal.code} | `{refusal.__name__}` | {label} | {refusal().message} |\n"


def _below(parent: type[errors.UjesError]) -> list[type[errors.UjesError]]:
    """Subclasses of the tree itself, not those that other modules define for themselves."""
    return [child for child in parent.__subclasses__() if child.__module__ == errors.__name__]


TABLES = {"settings": setting_rows, "errors": error_rows}


if __name__ == "__main__":
    for page in pages():
        wanted = render(page)
        if wanted == page.read_text(encoding="utf-8"):
            continue
        if "--write" not in sys.argv:
            sys.exit(f"{page.name} is out of date: run `python3 dev.py docs`")
        page.write_text(wanted, encoding="utf-8")
        print(f"rewrote {page.name}")
