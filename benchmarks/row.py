"""One row of the table: what is measured, against what, the budget, and how the two are taken in turns."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

#: Takes one measurement; a time for `better="less"`, a rate for `better="more"`.
Take = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Row:
    what: str
    against: str
    #: the ratio it must not pass, or the size where there is nothing to compare with
    budget: float
    better: Literal["less", "more"] = "less"
    ours: float
    #: None where the budget is a size
    theirs: float | None
    unit: str
    #: what is measured in place of what is not there yet, and what each side includes
    note: str = ""
    #: what the time or space goes to, shown when the budget is missed
    limited_by: str = ""

    @property
    def value(self) -> float:
        return self.ours if self.theirs is None else self.ours / self.theirs

    @property
    def is_kept(self) -> bool:
        return self.value <= self.budget if self.better == "less" else self.value >= self.budget

    @property
    def budget_shown(self) -> str:
        sign = "≤" if self.better == "less" else "≥"
        return f"{sign} {self.budget:g} {self.unit}" if self.theirs is None else f"{sign} {self.budget:g}x"

    @property
    def value_shown(self) -> str:
        return f"{self.value:.1f} {self.unit}" if self.theirs is None else f"{self.value:.2f}x"


def in_turns(ours: Take, theirs: Take, *, rounds: int) -> tuple[float, float]:
    """Medians of both, taken alternately, after one of each that does not count."""
    ours(), theirs()
    pairs = [(_calmly(ours), _calmly(theirs)) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _calmly(take: Take) -> float:
    gc.collect()
    return take()


def timed_ms(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000
