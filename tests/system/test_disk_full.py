"""A full disk ends the job with that reason; the gateway lives and goes on once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import served

pytestmark = pytest.mark.mount


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "ujes-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_result_that_does_not_fit(home: Path, small_disk: Path) -> None:
    with served(home, UJES_RESULTS_DIR=str(small_disk)) as gateway:
        job = gateway.submit("duckdb", "select hash(range) as h, hash(range + 1) as i from range(1000000)")
        task = gateway.wait_for(job, "Failed")
        assert "No space left" in task["errDesc"]
        assert gateway.results(job) == []
        after = gateway.submit("duckdb", "select 1 as one")
        gateway.wait_for(after, "Succeed")
        assert gateway.rows(after) == [["1"]]


def test_log_that_does_not_fit(home: Path, small_disk: Path) -> None:
    with served(home, UJES_LOGS_DIR=str(small_disk)) as gateway:
        job = gateway.submit("python", "import os\nwhile True: print(os.urandom(400).hex())")
        task = gateway.wait_for(job, "Failed")
        assert "No space left" in task["errDesc"]
        assert gateway.call("GET", "/gateway/heartbeat")["status"] == 0
        for file in small_disk.rglob("*.log"):
            file.unlink()
        after = gateway.submit("duckdb", "select 1 as one")
        gateway.wait_for(after, "Succeed")


def test_store_that_does_not_fit(home: Path, small_disk: Path) -> None:
    """Nothing accepted is lost: what cannot be stored is refused, and works again when there is room."""
    elsewhere = {name: str(home / name.lower()) for name in ("UJES_LOGS_DIR", "UJES_RESULTS_DIR")}
    database = f"sqlite:///{small_disk / 'ujes.db'}"
    with served(home, UJES_DATABASE=database, **elsewhere) as gateway:
        before = gateway.submit("duckdb", "select 1 as one")
        gateway.wait_for(before, "Succeed")
        filler = small_disk / "filler"
        _fill(filler)
        big = "select 1 as one -- " + "x" * 200_000
        body = {"executionContent": {"code": big, "runType": "sql"}, "labels": {"engineType": "duckdb"}}
        envelope = gateway.call("POST", "/entrance/submit", json=body)
        assert envelope["status"] == 1
        assert "space" in envelope["message"]
        filler.unlink()
        after = gateway.submit("duckdb", "select 2 as two")
        gateway.wait_for(after, "Succeed")
        assert gateway.status(before) == "Succeed"


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as rest:
        try:
            while True:
                rest.write(b"x" * 4096)
        except OSError:
            return
