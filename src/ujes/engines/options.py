"""Options of engines as text becomes values: by the type each field of the options class is declared with.

Besides `str`, `int`, `float` and `bool` a field may be a `SizeBytes` ("512MB", "1g") or a `Seconds`
("30s", "15m", "1h"). Powers of 1024 everywhere, as the option texts of other engines mean them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, NewType, TypeVar, get_type_hints

from ujes.core.duration import parse_duration_s
from ujes.engines.engine import Options

#: a number of bytes
SizeBytes = NewType("SizeBytes", int)
#: a length of time
Seconds = NewType("Seconds", float)

AnyOptions = TypeVar("AnyOptions", bound=Options)

_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)
_BYTES = {"": 1, "b": 1} | {
    unit + ending: 1024**power for power, unit in enumerate("kmgt", start=1) for ending in ("", "b", "ib")
}
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


class BadOption(ValueError):
    """An option's text does not fit its type. The text is a sentence for the user."""


def options_from(options_class: type[AnyOptions], given: Mapping[str, str]) -> AnyOptions:
    """The options with what is given; other keys are other people's. Raises `BadOption`.

    A field goes by the key it was declared with, else by its name. A blank text means the default.
    """
    hints = get_type_hints(options_class)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(options_class):
        key = field.metadata.get("key") or field.name
        text = str(given.get(key, "")).strip()
        if text:
            values[field.name] = _value(key, text, hints[field.name])
    return options_class(**values)


def _value(key: str, text: str, kind: Any) -> Any:
    parse, example = _PARSERS[kind]
    try:
        return parse(text)
    except (ValueError, KeyError) as error:
        raise BadOption(f"The option {key} cannot be {text!r}. Write {example}.") from error


def _size_bytes(text: str) -> int:
    match = _NUMBER_AND_UNIT.fullmatch(text.lower())
    if match is None:
        raise ValueError(text)
    return int(float(match[1]) * _BYTES[match[2]])


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


_PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "a text"),
    int: (int, "a whole number, for example 4"),
    float: (float, "a number, for example 0.5"),
    bool: (_boolean, "true or false"),
    SizeBytes: (_size_bytes, "a size, for example 512m or 2g"),
    Seconds: (parse_duration_s, "a length of time, for example 30s, 15m or 1h"),
}
