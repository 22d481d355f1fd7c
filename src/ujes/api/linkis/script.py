"""Scripts as clients open them: parameters in leading comment lines, then the code. Pure.

    --@set day=2026-01-01                         a variable
    --conf@set spark runtime some.key=value       a configuration value, under its kind
    --                                            ends the parameters

Python writes `#` for `--`, Scala `//`, shell `#`. See `filesystem-and-results.md`, section 4.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SQL = frozenset({"sql", "hql", "jdbc", "hive", "psql", "fql", "tsql", "ngql", "aisql"})
_PYTHON = frozenset({"python", "py", "pyspark", "py3"})
_SHELL = frozenset({"sh", "shell"})
#: Of files that are scripts.
SUFFIXES = _SQL | _PYTHON | _SHELL | {"scala"}

_KINDS = ("startup", "runtime", "special")

_VARIABLE = re.compile(r"@set\s+([^=]+?)\s*=(.*)")
_CONFIGURATION = re.compile(r"conf@set\s+(\S+)\s+(\S+)\s+([^=]+?)\s*=(.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    code: str
    lines: int
    #: `{}`, or `variable` and `configuration` as the parameters said
    metadata: dict[str, Any]


def read(text: str, suffix: str) -> Script:
    """The script in a file whose name ends with `suffix` (without the dot)."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    variables: dict[str, str] = {}
    configuration: dict[str, Any] = {}
    begun = _read_parameters(lines, _comment(suffix), variables, configuration)
    code = "".join(f"{line}\n" for line in lines[begun:])
    has_any = bool(variables or configuration)
    kinds: dict[str, Any] = {kind: {} for kind in _KINDS}
    metadata = {"variable": variables, "configuration": kinds | configuration} if has_any else {}
    return Script(code=code, lines=len(lines) - begun, metadata=metadata)


def _comment(suffix: str) -> str | None:
    if suffix in _SQL:
        return "--"
    if suffix == "scala":
        return "//"
    return "#" if suffix in _PYTHON | _SHELL else None


def _read_parameters(
    lines: list[str], comment: str | None, variables: dict[str, str], configuration: dict[str, Any]
) -> int:
    """Take the leading parameters; returns the number of the first line of code."""
    if comment is None:
        return 0
    for at, line in enumerate(lines):
        if at and line.strip() == comment:
            return at + 1
        if not line.startswith(comment) or not _take(line[len(comment) :].strip(), variables, configuration):
            return at
    return len(lines)


def _take(text: str, variables: dict[str, str], configuration: dict[str, Any]) -> bool:
    if match := _VARIABLE.fullmatch(text):
        variables[match[1]] = match[2].strip()
        return True
    if match := _CONFIGURATION.fullmatch(text):
        parent, kind, key, value = match.groups()
        values = configuration.setdefault(kind if kind in _KINDS else parent, {})
        if kind not in _KINDS:
            values = values.setdefault(kind, {})
        if isinstance(values, dict):
            values[key] = value.strip()
            return True
    return False
