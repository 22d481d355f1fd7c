"""The composition root: builds the parts of a gateway and hands them to each other.

The one file that knows everything. Opening goes from the ground up - home, socket, store, jobs, engines,
wire - and closing the same way back, in one of two manners:

- *leave* (SIGTERM): what is accepted is durable; engines stay and come back to the next gateway;
- *end* (SIGINT): jobs are cancelled and every process is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import uvloop

from ujes.api.linkis.app import build
from ujes.api.server import Server
from ujes.core.job import Job, QueueKey
from ujes.core.limits import Limits
from ujes.engines.registry import EngineRegistry
from ujes.gateway import log as server_log
from ujes.gateway.auth.auth import Auth
from ujes.gateway.clock import Clock, SystemClock
from ujes.gateway.files.files import Files
from ujes.gateway.gateway import Gateway
from ujes.gateway.headstart import HeadStart
from ujes.gateway.home import Home, HomeRefused, open_home
from ujes.gateway.instances.accounts import engine_account, give_results, let_accounts_in
from ujes.gateway.instances.fleet import Fleet
from ujes.gateway.instances.leftovers import Leftovers
from ujes.gateway.instances.links import Links
from ujes.gateway.instances.reconciler import Parts, Reconciler
from ujes.gateway.instances.reports import Reports
from ujes.gateway.instances.runs import Runs
from ujes.gateway.jobs import bookmarks
from ujes.gateway.jobs.board import Board
from ujes.gateway.jobs.entrance import Entrance, closing_lines, is_closing_line
from ujes.gateway.jobs.history import History
from ujes.gateway.jobs.hub import Hub
from ujes.gateway.jobs.logs import Logs
from ujes.gateway.jobs.places import log_path, work_dir
from ujes.gateway.jobs.scheduler import Scheduler
from ujes.gateway.observe import Fault, Observers
from ujes.gateway.recovery import recover_instances, recover_jobs
from ujes.gateway.store.store import Store, StoreRefused
from ujes.gateway.tally import Tally
from ujes.launchers.launcher import Launcher, LaunchOrder
from ujes.launchers.local.local import LocalLauncher
from ujes.link.address import link_address
from ujes.settings import Settings

Manner = Literal["leave", "end"]

BOOKMARKS_FILE = "pushed.json"


@dataclass(kw_only=True)
class Running:
    """A gateway that answers."""

    url: str
    gateway: Gateway
    #: how it will close; whoever ends the block may change it
    manner: Manner = "end"
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def local_token(self) -> str:
        return self.gateway.auth.local_token

    def stop(self, manner: Manner) -> None:
        self.manner = manner
        self.closing.set()


@asynccontextmanager
async def running(settings: Settings, ahead: HeadStart | None = None) -> AsyncIterator[Running]:
    """A gateway on `settings.home`, answering within the block; `ahead` is what was begun for it.

    Raises `HomeRefused`, `StoreRefused` or OSError (the port) with a sentence for the operator.
    """
    async with AsyncExitStack() as stack:
        home = open_home(settings.home)
        stack.callback(home.release)
        if settings.engines.run_as == "user":
            let_accounts_in(settings)
        listener = stack.enter_context(contextlib.closing(_listen(settings)))
        running = await _open(settings, home, listener, stack, ahead or HeadStart())
        yield running


async def _open(
    settings: Settings, home: Home, listener: socket.socket, stack: AsyncExitStack, ahead: HeadStart
) -> Running:
    host, port = listener.getsockname()[:2]
    address = f"{_reachable(settings.host, host)}:{port}"
    clock = SystemClock()
    observers = Observers()
    tally = Tally()
    observers.listen(server_log.listener())
    observers.listen(tally)
    launcher = LocalLauncher(settings.home / "engines", ahead.warm_parent)
    stack.push_async_callback(launcher.close)
    warming = asyncio.create_task(_warm(launcher, observers))
    stack.push_async_callback(_cancel, warming)
    loading = asyncio.create_task(asyncio.to_thread(_load_ahead))
    stack.push_async_callback(_cancel, loading)
    store = await Store.open(settings.database_url, on_failure=functools.partial(_store_failed, observers))
    stack.push_async_callback(store.close)
    auth = await Auth.open(store, settings, clock, ahead.first_admin)
    stack.push_async_callback(auth.close)
    jobs = _Jobs(settings, store, clock, observers, node=_node_name())
    engines = _Engines(settings, jobs, launcher)
    gateway = Gateway(
        settings=settings,
        clock=clock,
        store=store,
        entrance=jobs.entrance,
        history=jobs.history,
        logs=jobs.logs,
        hub=jobs.hub,
        auth=auth,
        files=Files(settings, jobs.entrance),
        registry=jobs.registry,
        board=jobs.board,
        fleet=engines.fleet,
        tally=tally,
        address=address,
    )
    stack.callback(gateway.files.close)
    running = Running(url=f"http://{address}", gateway=gateway)
    await recover_jobs(store, jobs.board, jobs.entrance, jobs.logs)
    jobs.begin_pushes(settings)
    await engines.open()
    stack.push_async_callback(_close, running, jobs, engines)
    server = Server(build(gateway))
    await server.open(listener)
    stack.push_async_callback(server.close)
    stack.push_async_callback(jobs.end_pushes, settings)
    home.announce(running.url)
    return running


class _Jobs:
    """The parts that accept and keep jobs."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, observers: Observers, *, node: str
    ) -> None:
        self.store, self.clock, self.observers, self.node = store, clock, observers, node
        self.limits = limits_of(settings)
        self.registry = EngineRegistry()
        self.history = History(store)
        self.logs = Logs(functools.partial(log_path, settings))
        self.board = Board(store, clock, self.history, observers)
        self.entrance = Entrance(
            store=store,
            clock=clock,
            board=self.board,
            history=self.history,
            logs=self.logs,
            registry=self.registry,
            limits=self.limits,
            observers=observers,
            node=node,
        )
        self.hub = Hub(
            clock,
            watchers_per_user=settings.push.sockets_per_user,
            idle_timeout_s=settings.push.idle_timeout_s,
        )
        observers.listen(self.hub.observe)
        self.logs.grew, self.board.staged = self.hub.grew, self.hub.staged
        self.board.before_end = self._close_log

    def begin_pushes(self, settings: Settings) -> None:
        """Once the jobs are back: pages go on where they were when the last gateway stopped."""
        for job_id, next_line in bookmarks.take(settings.home / BOOKMARKS_FILE).items():
            if job := self.board.get(job_id):
                self.hub.resume(job, next_line)
        self.hub.open()

    async def end_pushes(self, settings: Settings) -> None:
        await self.hub.close()
        try:
            bookmarks.save(settings.home / BOOKMARKS_FILE, self.hub.bookmarks())
        except OSError as error:
            self.observers.tell(Fault(text="Pages may miss lines after the restart", error=error))

    def _close_log(self, job: Job) -> None:
        """A log's last lines; a gateway that died right after writing them left them there."""
        if not is_closing_line(self.logs.last(job)):
            self.logs.append(job, closing_lines(job, self.clock.now_ms()))


class _Engines:
    """The parts that start, hear and stop engines."""

    def __init__(self, settings: Settings, jobs: _Jobs, launcher: Launcher) -> None:
        self._settings = settings
        self._jobs = jobs
        self._launcher = launcher
        spares = spares_of(settings, jobs.registry.names())
        board, observers = jobs.board, jobs.observers
        self.fleet = Fleet(jobs.store, jobs.clock, observers)
        account_of = functools.partial(engine_account, settings)
        self.links = Links(
            self.fleet,
            observers,
            link_address(settings.home),
            account_of if settings.engines.run_as == "user" else None,
        )
        self.leftovers = Leftovers(board, observers, functools.partial(work_dir, settings))
        self.runs = Runs(
            settings=settings,
            clock=jobs.clock,
            fleet=self.fleet,
            links=self.links,
            logs=jobs.logs,
            entrance=jobs.entrance,
            node=jobs.node,
        )
        self.reports = Reports(
            store=jobs.store,
            board=board,
            fleet=self.fleet,
            links=self.links,
            logs=jobs.logs,
            observers=observers,
        )
        self.scheduler = Scheduler(board=board, fleet=self.fleet, limits=jobs.limits, spares=spares)
        self.reconciler = Reconciler(
            Parts(
                settings=settings,
                clock=jobs.clock,
                board=board,
                fleet=self.fleet,
                links=self.links,
                launcher=_Rooted(launcher),
                entrance=jobs.entrance,
                runs=self.runs,
                leftovers=self.leftovers,
                observers=observers,
                node=jobs.node,
                spares=spares,
            )
        )
        self._wire()

    def _wire(self) -> None:
        """Who calls whom; every wake-up is a direct call."""
        entrance = self._jobs.entrance
        entrance.arrived = self.scheduler.arrived
        entrance.cancelled = self.reconciler.cancelled
        entrance.why = self.scheduler.why
        self._jobs.board.after_end = self._after_end
        self.links.greet = self.reports.greet
        self.links.greeted = self._greeted
        self.links.hear = self.reports.hear
        self.leftovers.hear = self.reports.hear
        self.leftovers.may_run = self.reports.may_run
        if self._settings.engines.run_as == "user":
            self.runs.prepare = functools.partial(give_results, self._settings, self._jobs.observers)
        self.reports.open_failed = self.reconciler.give_up
        self.scheduler.run = self.runs.placed
        self.scheduler.launch = self.reconciler.launch
        self.scheduler.note = entrance.note
        self.reconciler.moved = self.scheduler.wake
        self.fleet.changed = self._changed

    def _greeted(self, tag: str) -> None:
        self.runs.relinked(tag)
        self.reports.greeted(tag)

    def _changed(self, tag: str) -> None:
        self.reconciler.wake(tag)
        self.scheduler.wake()

    def _after_end(self, job: Job) -> None:
        self.runs.forget(job.id)
        self.reports.release(job)
        self.scheduler.wake()

    async def open(self) -> None:
        """Hear the engines of the run before, then begin to plan."""
        await recover_instances(self._jobs.store, self.fleet, self._launcher, self.leftovers)
        await self.links.open()
        self.reconciler.open()
        self.scheduler.open()


class _Rooted:
    """A launcher that makes the user's folder first."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self.find, self.check, self.stop = launcher.find, launcher.check, launcher.stop

    def launch(self, order: LaunchOrder) -> AsyncIterator[str]:
        for root in order.roots:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._launcher.launch(order)


async def _close(running: Running, jobs: _Jobs, engines: _Engines) -> None:
    jobs.entrance.close()
    engines.scheduler.close()
    if running.manner == "end":
        for job in list(jobs.board.jobs()):
            await jobs.entrance.cancel(job.id, by="gateway", reason="The gateway was stopped.")
        await engines.reconciler.stop_all("the gateway was stopped")
    await jobs.board.settle()
    await engines.reconciler.close()
    await engines.links.close()


# --- what settings mean ---------------------------------------------------------------------------


def limits_of(settings: Settings) -> Limits:
    own = settings.limits
    return Limits(
        running_per_queue=own.running_per_queue,
        running_per_engine_queue=own.running_per_engine_queue,
        running_per_creator_engine=own.running_per_creator_engine,
        instances=own.instances,
        queued_per_queue=own.queued_per_queue,
        launch_failures=own.launch_failures,
    )


def spares_of(settings: Settings, engines: Sequence[str]) -> dict[QueueKey, int]:
    """Idle engines to keep, from `user/creator/engine` to how many. Raises `HomeRefused`."""
    spares = {}
    for name, count in settings.engines.prewarm.items():
        match name.split("/"):
            case [user, creator, engine] if user and creator and engine in engines:
                spares[QueueKey(run_as=user, creator=creator, engine=engine)] = count
            case _:
                text = f"The setting engines.prewarm cannot have {name!r}: write user/creator/engine"
                raise HomeRefused(f"{text}, with one of the engines {', '.join(engines)}.")
    return spares


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        text = f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another --port."
        raise HomeRefused(text) from None
    return listener


def _node_name() -> str:
    """Names this run of the gateway; in a container every run may have the same process id."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _reachable(wanted: str, bound: str) -> str:
    """A host name clients on other machines can use when the gateway listens everywhere."""
    host = socket.gethostname() if wanted in ("0.0.0.0", "::") else bound  # noqa: S104
    return f"[{host}]" if ":" in host else host


async def _warm(launcher: LocalLauncher, observers: Observers) -> None:
    try:
        await launcher.warm()
    except Exception as error:  # noqa: BLE001 - the first launch tries again and tells its job
        observers.tell(Fault(text="Engines could not be warmed up", error=error))


def _load_ahead() -> None:
    """What the first job needs and no start: it is loaded while the gateway waits for other things."""
    server_log.logger()
    importlib.import_module("ujes.api.linkis.resultpage")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _store_failed(observers: Observers, error: BaseException) -> None:
    observers.tell(Fault(text="A change could not be stored", error=error))


# --- the command ----------------------------------------------------------------------------------


def serve(settings: Settings, ahead: HeadStart) -> int:
    """Run a gateway until it is told to stop; the exit code of `ujes serve`."""
    server_log.configure(is_json=not sys.stderr.isatty())
    try:
        return uvloop.run(_serve(settings, ahead))
    except (HomeRefused, StoreRefused) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


async def _serve(settings: Settings, ahead: HeadStart) -> int:
    async with running(settings, ahead) as gateway:
        _settle_down()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, gateway.stop, "leave")
        loop.add_signal_handler(signal.SIGINT, gateway.stop, "end")
        _say_hello(settings, gateway)
        await gateway.closing.wait()
    return 0


def _settle_down() -> None:
    """What a start makes stays for good: the collector, off since the first import, need never look at it."""
    gc.freeze()
    gc.enable()


def _say_hello(settings: Settings, gateway: Running) -> None:
    password = gateway.gateway.auth.first_password
    if password is not None:
        kept = settings.home / "admin-password"
        print(f"First start: user admin, password {password} (kept in {kept})", flush=True)  # noqa: T201
    print(f"UJES ready on {gateway.url}", flush=True)  # noqa: T201
