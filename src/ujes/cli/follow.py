"""Following a job to its end: its log on standard error, below it one live line.

Ctrl-C kills the job and waits for its end; a second one leaves at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from ujes.cli.live import LiveLine, bar, coloured_log_line, coloured_state, seconds
from ujes.client import Client
from ujes.client.requests import poll_delays_s
from ujes.client.values import Job, Submitted

INTERRUPTED = 130
#: A live line should move; asking a running job four times a second is cheap.
LOOK_S_MAX = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    job: Job
    was_interrupted: bool


class LogReader:
    """Hands on the lines of a job's log, each once."""

    def __init__(self, client: Client, exec_id: str, on_line: Callable[[str], None], first: int = 1) -> None:
        self._client = client
        self._exec_id = exec_id
        self._on_line = on_line
        self._next = first

    def read(self, job: Job) -> None:
        """What is new. Of an ended job everything to the last line."""
        while True:
            part = self._client.log(self._exec_id, self._next, job=job if job.is_final else None)
            for line in part.lines:
                self._on_line(line)
            if part.next_line <= self._next:
                return
            self._next = part.next_line
            if not job.is_final:
                return


def follow(client: Client, submitted: Submitted, *, is_quiet: bool = False) -> Followed:
    """Returns when the job has ended."""
    live = LiveLine(sys.stderr)
    is_coloured = live.is_live

    def say(line: str) -> None:
        live.say(coloured_log_line(line) if is_coloured else line)

    reader = LogReader(client, submitted.exec_id or str(submitted.id), say)
    watch = _Watch(client, submitted, live, None if is_quiet else reader)
    try:
        return watch.to_the_end()
    finally:
        live.close()


class _Watch:
    def __init__(
        self, client: Client, submitted: Submitted, live: LiveLine, reader: LogReader | None
    ) -> None:
        self._client = client
        self._submitted = submitted
        self._live = live
        self._reader = reader
        self._begun_s = time.monotonic()
        self._state = ""

    def to_the_end(self) -> Followed:
        try:
            return Followed(job=self._look_until_final(), was_interrupted=False)
        except KeyboardInterrupt:
            self._live.say("Killing the job; press Ctrl-C again to leave at once.")
        try:
            self._client.kill(self._submitted.exec_id or str(self._submitted.id), self._submitted.id)
            return Followed(job=self._look_until_final(), was_interrupted=True)
        except KeyboardInterrupt:
            self._live.close()
            raise SystemExit(INTERRUPTED) from None

    def _look_until_final(self) -> Job:
        for delay_s in poll_delays_s(LOOK_S_MAX):
            job = self._client.job(self._submitted.id)
            self._show(job)
            if self._reader is not None:
                self._reader.read(job)
            if job.is_final:
                return job
            time.sleep(delay_s)  # the wire has nothing to wait on but asking again
        raise AssertionError

    def _show(self, job: Job) -> None:
        elapsed = seconds(time.monotonic() - self._begun_s)
        if self._live.is_live:
            state = coloured_state(job.state, f"{job.state:<9}")
            self._live.show(f"{state} {job.engine} · {job.run_type}  {bar(job.progress)}  {elapsed}")
        elif job.state != self._state and not job.is_final:
            self._live.say(f"Job {job.id}: {job.state} on {job.engine}, {job.progress:.0%}, {elapsed}")
        self._state = job.state


def say_end(job: Job) -> None:
    """The last line: how it ended, and why when it did not succeed."""
    took = "" if job.cost_ms is None else f", {seconds(job.cost_ms / 1000)}"
    mark = "✓" if job.state == "Succeed" else "✗"
    head = f"{mark} {job.state}"
    shown = coloured_state(job.state, head) if sys.stderr.isatty() else head
    click.echo(f"{shown}  job {job.id} on {job.engine}{took}", err=True)
    if job.state != "Succeed" and job.error:
        click.echo(job.error, err=True)


def exit_code(followed: Followed) -> int:
    if followed.was_interrupted:
        return INTERRUPTED
    return 0 if followed.job.state == "Succeed" else 1
