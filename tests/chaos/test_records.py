"""Records that a crash left in an odd state are put right by the next start."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.support.served import served
from tests.support.waiting import until


def test_a_running_job_whose_instance_is_on_record_as_over(home: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with served(home) as gateway:
        job = gateway.submit("python", f"open({str(started)!r}, 'w').close()\nimport time\ntime.sleep(4242)")
        until(started.exists, "the job runs")
        gateway.wait_for(job, "Running")
        gateway.kill()
        for process in gateway.engine_processes():
            process.kill()
        database = sqlite3.connect(home / "ujes.db")
        with database:
            database.execute("update instances set status = 'failed'")
        database.close()
        gateway.start()
        task = gateway.wait_for(job)
        assert task["status"] == "Failed"
        assert "engine process ended" in task["errDesc"]


def test_a_job_killed_before_its_engine_came_back_is_ended_there(home: Path, tmp_path: Path) -> None:
    """The record says that the job waits, a kill ends it, and then an engine says that it runs it."""
    beats = tmp_path / "beats"
    code = f"import time\nwhile True:\n    open({str(beats)!r}, 'a').write('x')\n    time.sleep(0.01)"
    with served(home) as gateway:
        job = gateway.submit("python", code)
        until(beats.exists, "the job runs")
        gateway.wait_for(job, "Running")
        gateway.kill()
        database = sqlite3.connect(home / "ujes.db")
        with database:
            database.execute("update jobs set state = 'Cancelled' where id = ?", [job])
        database.close()
        gateway.start()
        after = gateway.submit("python", "print('free again')")
        gateway.wait_for(after, "Succeed")
        before = beats.stat().st_size
        gateway.wait_for(gateway.submit("python", "import time; time.sleep(0.2)"), "Succeed")
        assert beats.stat().st_size == before
