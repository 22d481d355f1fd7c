"""A gateway for every file of system tests, and a fresh one for tests that break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import Served, served


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Shared by the tests of one file, which must not stop it."""
    with served(tmp_path_factory.mktemp("g")) as one:
        yield one


@pytest.fixture
def own_gateway(home: Path) -> Iterator[Served]:
    """For one test alone, to be stopped, killed and started again."""
    with served(home) as one:
        yield one
