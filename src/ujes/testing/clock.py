"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

#: 2026-01-02 03:04:05 UTC
START_MS = 1_767_323_045_000


class ManualClock:
    """The `Clock` of tests. `advance` moves the time and wakes, in order, whoever slept until then."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._start_ms = now_ms
        self._passed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._has_changed = asyncio.Event()

    def now_ms(self) -> int:
        return self._start_ms + round(self._passed_s * 1000)

    def monotonic_s(self) -> float:
        return self._passed_s

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._passed_s + delay_s, next(self._order), woken))
        self._has_changed.set()
        await woken

    @property
    def sleepers(self) -> int:
        """How many sleep now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def wait_sleepers(self, count: int) -> None:
        """Returns when at least `count` sleep: then `advance` will meet them."""
        while self.sleepers < count:
            self._has_changed.clear()
            await self._has_changed.wait()

    async def advance(self, delta_s: float) -> None:
        """Move on step by step: who sleeps again while the time moves is woken again."""
        until_s = self._passed_s + delta_s
        while self._sleepers and self._sleepers[0][0] <= until_s:
            self._passed_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
                await _let_others_run()
        self._passed_s = until_s
        await _let_others_run()


async def _let_others_run() -> None:
    """A few turns of the loop, for the woken to go to sleep again."""
    for _ in range(10):
        await asyncio.sleep(0)
