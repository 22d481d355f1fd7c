"""Variables in code: `${name}` is replaced by its value, anything undefined stays as it is written.

One pass from left to right; what a value brings in is not looked at again. Languages and names follow
`custom-variables.md`, sections 2 and 3; expressions, dates and definitions in code come with the full
variable language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_LANGUAGES: dict[str, tuple[str, ...]] = {
    "sql": (
        "sql", "hql", "jdbc", "hive", "psql", "fql", "tsql", "nebula", "ngql", "aisql", "starrocks",
    ),
    "python": ("python", "py", "pyspark", "py3"),
    "java": ("java",),
    "scala": ("scala",),
    "shell": ("sh", "shell"),
    "json": ("json", "data_calc"),
}  # fmt: skip
_LANGUAGE_OF = {run_type: language for language, types in _LANGUAGES.items() for run_type in types}

_REFERENCE = re.compile(r"\$\{\s*([A-Za-z][A-Za-z0-9_.]*)\s*\}", re.ASCII)


def language_of(run_type: str) -> str | None:
    """The language a run type belongs to; None takes no part in substitution."""
    return _LANGUAGE_OF.get(run_type.lower())


def substitute(code: str, run_type: str, variables: Mapping[str, str]) -> str:
    """`code` with every defined variable put in; code of an unmapped run type comes back untouched."""
    if language_of(run_type) is None:
        return code
    return _REFERENCE.sub(lambda match: variables.get(match[1]) or match[0], code)
