"""The wire of a gateway without engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.wire.parts import Wire, opened
from ujes.settings import Settings


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
async def wire(settings: Settings) -> AsyncIterator[Wire]:
    async with opened(settings) as one:
        yield one
