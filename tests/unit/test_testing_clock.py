from __future__ import annotations

import asyncio

from ujes.testing.clock import ManualClock


async def test_time_moves_only_when_told_and_wakes_in_order() -> None:
    clock = ManualClock(now_ms=1000)
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append((name, clock.monotonic_s()))

    sleepers = asyncio.gather(sleep("b", 2), sleep("a", 1), sleep("c", 9))
    await clock.wait_sleepers(3)
    await clock.advance(3)
    assert woken == [("a", 1), ("b", 2)]
    assert clock.now_ms() == 4000
    await clock.advance(6)
    await sleepers
    assert woken[-1] == ("c", 9)
