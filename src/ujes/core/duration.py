"""Durations as people write them in options: `90`, `90s`, `15m`, `1h`, `2d`."""

from __future__ import annotations

import re

_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|)\s*", re.IGNORECASE | re.ASCII)


def parse_duration_s(text: str) -> float:
    """Seconds. Raises ValueError with a sentence for anything else."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration; write for example 30s, 15m or 1h")
    return float(match[1]) * _UNITS_S[match[2].lower()]
