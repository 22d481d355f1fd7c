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
