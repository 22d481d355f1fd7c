"""Moves instances from where they are to where they should be, and their jobs with them.

Level-triggered: `wake(tag)` says that something about an instance changed; the loop asks `core.owed` for the
one next step and does it. A slow look at everything every half second finds what no wake-up told of and what
only time makes due. Starting and stopping take their time in tasks of their own, one per instance.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ujes.core.errors import EngineLost
from ujes.core.instance import (
    Broke,
    EngineInstance,
    Gone,
    Launching,
    Stopping,
    StopRequested,
)
from ujes.core.job import Ended, Job, JobState, LaunchFailed, QueueKey
from ujes.core.owed import Do, Times, owed_to_instance, owed_to_job
from ujes.core.plan import Launch
from ujes.gateway.clock import Clock
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.leftovers import Leftovers
from ujes.gateway.instances.links import Links
from ujes.gateway.instances.orders import idle_timeout_ms, launch_order
from ujes.gateway.instances.runs import Runs
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.entrance import Entrance
from ujes.gateway.observe import Fault, Observers
from ujes.gateway.signals import reach
from ujes.launchers.launcher import Launcher, LaunchError, StopTimes
from ujes.settings import Settings

#: Everything is looked at this often, whether anything was told or not.
LOOK_EVERY_S = 0.5
#: A stop that did not work is tried again after this.
STOP_RETRY_S = 5.0
#: ... and so often when the gateway itself is to end.
STOP_TRIES_MAX = 3


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the reconciler works with."""

    settings: Settings
    clock: Clock
    board: Board
    fleet: Fleet
    links: Links
    launcher: Launcher
    entrance: Entrance
    runs: Runs
    leftovers: Leftovers
    observers: Observers
    #: name of this gateway process
    node: str
    spares: Mapping[QueueKey, int]


class Reconciler:
    """The one loop that starts and stops engines."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._due: set[str] = set()
        self._wakeup = asyncio.Event()
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._tokens: dict[str, str] = {}
        self._loop: asyncio.Task[None] | None = None
        #: called when instances changed, so that jobs in line may move
        self.moved: Callable[[], None] = lambda: None
        own = parts.settings.engines
        self._times = Times(
            start_timeout_ms=int(own.start_timeout_s * 1000),
            interrupt_grace_ms=int(own.interrupt_grace_s * 1000),
            adopt_timeout_ms=int(own.adopt_timeout_s * 1000),
            idle_timeout_ms=0,
        )

    # --- life -----------------------------------------------------------------------------------

    def open(self) -> None:
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop looking; starts and stops under way are finished first."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        while self._at_work:
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    async def stop_all(self, reason: str) -> None:
        """End every instance; returns when none is left, or when nothing more can be tried."""
        for _ in range(STOP_TRIES_MAX):
            for tag in [instance.tag for instance in self._parts.fleet.live()]:
                self._parts.fleet.tell(tag, StopRequested(reason=reason))
                self._step(tag)
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    def wake(self, tag: str) -> None:
        self._due.add(tag)
        self._wakeup.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at_s = loop.time() + LOOK_EVERY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_at_s):
                    await self._wakeup.wait()
            self._wakeup.clear()
            due, self._due = self._due, set()
            # Also while wake-ups never cease: what only time makes due has nobody else to wake it.
            if loop.time() >= look_at_s:
                look_at_s = loop.time() + LOOK_EVERY_S
                due |= self._everything()
                await self._parts.links.mend()
            for tag in due:
                self._step_safely(tag)
            self.moved()

    def _everything(self) -> set[str]:
        """Tags of all live instances, and of those that jobs still name."""
        placed = {job.instance for job in self._parts.board.jobs() if job.instance is not None}
        return placed | {instance.tag for instance in self._parts.fleet.live()}

    def _step_safely(self, tag: str) -> None:
        try:
            self._step(tag)
        except Exception as error:  # noqa: BLE001 - one engine's trouble must not stop the others
            text = f"The next step of engine {tag} failed and is tried again"
            self._parts.observers.tell(Fault(text=text, error=error))

    # --- one step -------------------------------------------------------------------------------

    def _step(self, tag: str) -> None:
        self._step_instance(tag)
        for job in [job for job in self._parts.board.jobs() if job.instance == tag]:
            self._step_job(job)

    def _step_instance(self, tag: str) -> None:
        fleet, now_ms = self._parts.fleet, self._parts.clock.now_ms()
        instance = fleet.get(tag)
        if instance is None:
            return
        idle = idle_timeout_ms(self._parts.settings, instance)
        times = replace(self._times, idle_timeout_ms=idle)
        seen = fleet.seen(tag)
        is_spare = instance.queue in self._parts.spares
        match owed_to_instance(instance, seen, times, now_ms, is_spare=is_spare):
            case None:
                if not seen.is_linked and seen.ended is None:
                    self._work(tag, self._check)
            case Do.LAUNCH:
                self._work(tag, self._launch)
            case Do.STOP:
                self._work(tag, self._stop)
            case Do():
                raise AssertionError("an instance is owed nothing else")
            case Broke() | Gone() as event:
                # What is left of it goes first: an instance that is over has no process.
                self._work(tag, functools.partial(self._bury, event=event))
            case event:
                fleet.tell(tag, event)

    def _step_job(self, job: Job) -> None:
        if self._parts.board.is_ending(job.id) or job.instance is None:
            return
        fleet, tag = self._parts.fleet, job.instance
        said = self._parts.runs.said(job.id)
        now_ms = self._parts.clock.now_ms()
        match owed_to_job(job, fleet.record(tag), fleet.seen(tag), said, self._times, now_ms):
            case None:
                pass
            case Do.SEND_RUN:
                self._parts.runs.run(job)
            case Do.INTERRUPT:
                self._parts.runs.interrupt(job)
                grace_s = self._times.interrupt_grace_ms / 1000
                asyncio.get_running_loop().call_later(grace_s, self.wake, tag)
            case Do():
                raise AssertionError("a job is owed nothing else")
            case StopRequested() as event:
                fleet.tell(tag, event)
            case event:
                self._parts.runs.forget(job.id)
                self._parts.board.tell(job.id, event)

    def _work(self, tag: str, act: Callable[[EngineInstance], Coroutine[Any, Any, None]]) -> None:
        """Do something slow about an instance, one thing at a time."""
        instance = self._parts.fleet.get(tag)
        if instance is None or tag in self._at_work:
            return
        task = asyncio.get_running_loop().create_task(act(instance))
        self._at_work[tag] = task
        task.add_done_callback(lambda done: self._worked(tag, done))

    def _worked(self, tag: str, task: asyncio.Task[None]) -> None:
        del self._at_work[tag]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            text = f"Work on engine {tag} failed and is tried again"
            self._parts.observers.tell(Fault(text=text, error=error))
        self.wake(tag)

    # --- starting -------------------------------------------------------------------------------

    def launch(self, launch: Launch) -> None:
        """Begin to start an instance for a queue."""
        tag = f"{launch.queue.engine}-{secrets.token_hex(6)}"
        token = self._tokens[tag] = secrets.token_urlsafe(32)
        job = self._parts.board.get(launch.job_id) if launch.job_id is not None else None
        instance = self._parts.runs.new_instance(launch, tag, token, job)
        self._parts.fleet.reserve(instance)
        self._work(tag, self._launch)

    async def _launch(self, instance: EngineInstance) -> None:
        tag, fleet = instance.tag, self._parts.fleet
        token = self._tokens.pop(tag, None)
        if token is None:
            await self._bury(instance, Broke(reason="the gateway ended before it was started"))
            return
        await fleet.store(instance)
        reach("instance.stored")
        order = launch_order(self._parts.settings, instance, token, self._parts.links.address)
        try:
            async for handle in self._parts.launcher.launch(order):
                reach("instance.forked")
                await fleet.tell_durably(tag, Launching(handle=handle))
                reach("instance.launched")
        except (LaunchError, OSError) as error:
            await self._bury(instance, Broke(reason=str(error)))

    # --- ending ---------------------------------------------------------------------------------

    async def _check(self, instance: EngineInstance) -> None:
        how = await self._parts.launcher.check(instance.tag, instance.handle)
        if how is not None and instance.tag not in self._parts.fleet.linked:
            self._parts.leftovers.take_in(instance.tag)
            self._parts.fleet.ended(instance.tag, how)

    async def _stop(self, instance: EngineInstance) -> None:
        self._parts.fleet.tell(instance.tag, Stopping())
        reach("instance.stopping")
        await self._bury(instance, Gone())

    async def _bury(self, instance: EngineInstance, event: Broke | Gone) -> None:
        """End whatever is left of an instance, take in what it had to say, and close its record."""
        own = self._parts.settings.engines
        times = StopTimes(interrupt_s=0.0, terminate_s=own.stop_terminate_s)
        try:
            await self._parts.launcher.stop(instance.tag, instance.handle, times)
        except LaunchError as error:
            text = f"Engine {instance.tag} cannot be stopped, next try in {STOP_RETRY_S:g} s: {error}"
            self._parts.observers.tell(Fault(text=text))
            await self._parts.clock.sleep(STOP_RETRY_S)
            return
        self._parts.leftovers.take_in(instance.tag)
        current = self._parts.fleet.get(instance.tag) or instance
        self._parts.fleet.tell(instance.tag, event)
        await self._parts.leftovers.sweep(instance.tag)
        self._tell_waiting(current, event)

    def _tell_waiting(self, instance: EngineInstance, event: Broke | Gone) -> None:
        """An instance that never was ready has failed the job that waited for it.

        Not so when another gateway began the start: that start failed because the gateway ended.
        """
        is_ours = instance.node == self._parts.node
        if not is_ours or instance.wanted_by is None or instance.idle_since_ms is not None:
            return
        job = self._parts.board.get(instance.wanted_by)
        if job is None or not job.is_waiting:
            return
        reason = event.reason if isinstance(event, Broke) else instance.reason
        told = self._parts.board.tell(job.id, LaunchFailed(reason=reason or "it ended"))
        if told is not None and told.launch_failures >= self._parts.settings.limits.launch_failures:
            self.give_up(job.id, EngineLost.code, f"No engine could be started: {reason}.")
        elif told is not None:
            self._parts.entrance.note(told, f"The engine did not start: {reason}. Trying again.", "WARN")

    def give_up(self, job_id: int, code: int, text: str) -> None:
        """End a job whose engine cannot be had."""
        self._parts.board.tell(job_id, Ended(outcome=JobState.FAILED, code=code, text=text))

    def cancelled(self, job: Job) -> None:
        """A kill was recorded: act on it now, and cancel the start of an engine nobody else wants."""
        if job.instance is not None:
            self._step_safely(job.instance)
            return
        for instance in list(self._parts.fleet.live()):
            if instance.wanted_by != job.id or instance.idle_since_ms is not None:
                continue
            if instance.is_once or self._parts.board.waiting_count(job.queue) <= 1:
                self._parts.fleet.tell(instance.tag, StopRequested(reason="its job was killed"))
