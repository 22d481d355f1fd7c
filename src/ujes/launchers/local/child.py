"""From a fresh fork of the warm parent to a running engine host. Runs in the child and never returns.

Order matters: first the session and the name (so that the child can be found and signalled as a group), then
what needs the rights of the warm parent, then the account the host runs as, then the file that says who it
is, then everything that may fail.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from ujes.enginehost import hostlog
from ujes.enginehost.host import Host
from ujes.enginehost.order import HostOrder, make_engine
from ujes.enginehost.processes import look
from ujes.engines.engine import Engine
from ujes.launchers.local.become import Refused, become, check_reach
from ujes.launchers.local.control import Fork, Limits
from ujes.launchers.local.environment import FOR_WARM_PARENT
from ujes.launchers.local.marks import LOG_FILE, PID_FILE, TAG_VARIABLE, mark_of
from ujes.link.address import UnixAddress, dial, parse

_DIAL_TIMEOUT_S = 5.0
#: Rather an engine is ended by a machine without memory than the gateway.
_OOM_SCORE = 500
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def live(fork: Fork, engines: Mapping[str, type[Engine]]) -> NoReturn:
    """The whole life of a child."""
    status = 70
    try:
        _detach(fork)
        gc.enable()
        hostlog.begin()
        status = _host(fork.order, engines)
    except Refused as refused:
        print(refused, file=sys.stderr)  # noqa: T201 - its host.log, which is shown to the user
    except BaseException:  # noqa: BLE001 - there is nobody above but the warm parent's own loop
        traceback.print_exc()
    finally:
        _flush()
        os._exit(status)


def _host(order: HostOrder, engines: Mapping[str, type[Engine]]) -> int:
    return Host(
        order,
        lambda: make_engine(order, engines),
        lambda: dial(order.gateway_address, _DIAL_TIMEOUT_S),
        after_job=hostlog.trim,
    ).live()


def _detach(fork: Fork) -> None:
    os.setsid()
    os.umask(0o077)
    work_dir = Path(fork.order.work_dir)
    _prctl(fork.order.tag)
    _redirect(work_dir)
    _restore_signals()
    _close_inherited()
    _raise_oom_score()
    _set_limits(fork.limits)
    if fork.account is not None:
        become(fork.account, work_dir)
        check_reach(fork.account, _needed(fork.order))
    _write_pid(work_dir)
    os.chdir(work_dir)
    _set_environment(fork, work_dir)
    sys.setswitchinterval(0.001)  # a line printed by busy code leaves at once


def _needed(order: HostOrder) -> Iterator[Path]:
    yield Path(order.work_dir)
    yield from map(Path, order.roots)
    address = parse(order.gateway_address)
    if isinstance(address, UnixAddress):
        yield address.path.parent


def _redirect(work_dir: Path) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(work_dir / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _write_pid(work_dir: Path) -> None:
    myself = look(os.getpid())
    assert myself is not None
    new = work_dir / f".{PID_FILE}"
    new.write_text(f"{myself.pid} {myself.created}\n")
    new.replace(work_dir / PID_FILE)


def _restore_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _close_inherited() -> None:
    """Only the standard streams stay open."""
    os.closerange(3, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65_536))


def _set_environment(fork: Fork, work_dir: Path) -> None:
    temporary = work_dir / "tmp"
    temporary.mkdir(exist_ok=True)
    for name in FOR_WARM_PARENT:
        os.environ.pop(name, None)
    os.environ["USER"] = os.environ["LOGNAME"] = fork.order.user
    if fork.order.roots:
        os.environ["HOME"] = fork.order.roots[0]
    os.environ.update(fork.env)
    os.environ["TMPDIR"] = str(temporary)
    os.environ[TAG_VARIABLE] = fork.order.tag


def _prctl(tag: str) -> None:
    """Children that lose their parent stay ours; and processes without exec carry a name of ours."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(_PR_SET_NAME, mark_of(tag).encode(), 0, 0, 0)


def _set_limits(limits: Limits) -> None:
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    # SIGXCPU at the limit names the reason; the SIGKILL of the hard limit follows for those that ignore it.
    _limit(resource.RLIMIT_CPU, limits.cpu_s, hard_after=1)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_NPROC, limits.processes)
    _limit_core()


def _limit(which: int, wanted: int, *, hard_after: int = 0) -> None:
    if wanted:
        _, ceiling = resource.getrlimit(which)
        has_ceiling = ceiling != resource.RLIM_INFINITY
        soft, hard = (
            min(value, ceiling) if has_ceiling else value for value in (wanted, wanted + hard_after)
        )
        resource.setrlimit(which, (soft, hard))


def _limit_core() -> None:
    """No core files: they would hold other people's data."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _raise_oom_score() -> None:
    with contextlib.suppress(OSError):  # another system
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            OSError, ValueError, AttributeError
        ):  # closed or replaced by the user's code
            stream.flush()
