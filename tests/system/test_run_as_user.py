"""Engines as accounts of their own: `engines.run_as = "user"` on a gateway of root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import pytest

from tests.support.accounts import DAEMON, GAMES, Python, need_root, python_for_all
from tests.support.served import Served, served
from tests.support.waiting import until_exists

pytestmark = pytest.mark.accounts


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Folders of pytest are closed to other accounts; this one is not. Short, for the socket in it."""
    need_root()
    folder = Path(tempfile.mkdtemp(prefix="ujes-as-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def python(open_folder: Path) -> Python:
    return python_for_all(open_folder)


@pytest.fixture(scope="module")
def gateway(open_folder: Path, python: Python) -> Iterator[Served]:
    with _served(open_folder / "shared", python) as one:
        yield one


def _served(home: Path, python: Python) -> AbstractContextManager[Served]:
    return served(home, python.path, UJES_ENGINES__RUN_AS="user", **python.env)


def _run(gateway: Served, engine: str, code: str, user: str = GAMES) -> list[list[str | None]]:
    job = gateway.submit(engine, code, user=user)
    gateway.wait_for(job, "Succeed", user=user)
    return gateway.rows(job, user) if gateway.results(job, user) else []


def _folder(gateway: Served, job: int, user: str) -> Path:
    return Path(unquote(urlsplit(gateway.task(job, user)["resultLocation"]).path))


# --- who runs -------------------------------------------------------------------------------------


def test_code_runs_as_its_user(gateway: Served) -> None:
    account, root = pwd.getpwnam(GAMES), gateway.home / "users" / GAMES
    shell = _run(gateway, "shell", 'echo "$(id -un) $(id -Gn) $HOME $USER $LOGNAME"')
    assert shell == [[f"{GAMES} games {root} {GAMES} {GAMES}"]]
    python = _run(gateway, "python", "import os\nprint(*os.getresuid(), *os.getresgid(), os.getgroups())")
    assert python == [
        [f"{' '.join([str(account.pw_uid)] * 3 + [str(account.pw_gid)] * 3)} {[account.pw_gid]}"]
    ]
    assert _run(gateway, "shell", "id -un", user=DAEMON) == [[DAEMON]]


def test_there_is_no_way_back_to_root(gateway: Served) -> None:
    code = "import os\ntry:\n    os.setuid(0)\nexcept PermissionError:\n    print('refused')"
    assert _run(gateway, "python", code) == [["refused"]]


def test_sql_reads_files_python_wrote(gateway: Served) -> None:
    file = gateway.home / "users" / GAMES / "own.csv"
    _run(gateway, "python", f"open({str(file)!r}, 'w').write('a,b\\n1,2\\n')")
    assert _run(gateway, "duckdb", f"select a + b from '{file}'") == [["3"]]
    assert file.stat().st_uid == pwd.getpwnam(GAMES).pw_uid


def test_libraries_are_still_found(gateway: Served) -> None:
    code = (
        "import subprocess, sys, wave\nprint(subprocess.check_output([sys.executable, '-c', 'print(6 * 7)']))"
    )
    assert _run(gateway, "python", code) == [["b'42\\n'"]]


# --- what it cannot reach -------------------------------------------------------------------------

_TRY_ALL = """
import os
for path in {paths!r}:
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1)
    except OSError as error:
        pass
    else:
        print(path)
print('tried')
"""


def test_nothing_of_the_gateway_and_of_others_can_be_read(gateway: Served) -> None:
    theirs = gateway.submit(
        "python", "open('/'.join([__import__('os').environ['HOME'], 'note']), 'w')\nprint(7)", user=DAEMON
    )
    gateway.wait_for(theirs, "Succeed", user=DAEMON)
    result = _folder(gateway, theirs, DAEMON)
    kept = (
        "ujes.db",
        "ujes.db-wal",
        "ujes.db-shm",
        "local-token",
        "admin-password",
        "gateway.json",
        "gateway.lock",
    )
    paths = [gateway.home / name for name in kept]
    assert all(path.exists() for path in paths)
    folders = [
        gateway.home,
        *(gateway.home / name for name in ("engines", "logs", "results", "users", "run")),
    ]
    others = [
        gateway.home / "users" / DAEMON,
        gateway.home / "users" / DAEMON / "note",
        result,
        result / "_0.arrow",
    ]
    assert (result / "_0.arrow").exists()
    works = list((gateway.home / "engines").iterdir())
    logs = list((gateway.home / "logs").rglob("*"))
    everything = [str(path) for path in (*paths, *folders, *others, *logs)]
    others_work = [str(path) for path in works if path.owner() != GAMES]
    assert others_work
    assert _run(gateway, "python", _TRY_ALL.format(paths=everything + others_work)) == [["tried"]]
    assert (others[1].owner(), result.parent.owner()) == (DAEMON, DAEMON)


def test_an_engine_cannot_signal_the_gateway(gateway: Served) -> None:
    assert gateway.process is not None
    kill = f"os.kill({gateway.process.pid}, 0)"
    code = f"import os\ntry:\n    {kill}\nexcept PermissionError:\n    print('refused')"
    assert _run(gateway, "python", code) == [["refused"]]


def test_result_files_swapped_for_others_are_refused(gateway: Served) -> None:
    """Symbolic links by the user; a hard link by us, for kernels that let users make them."""
    theirs = gateway.submit("python", "print('a secret')", user=DAEMON)
    gateway.wait_for(theirs, "Succeed", user=DAEMON)
    secret = _folder(gateway, theirs, DAEMON) / "_0.arrow"
    own = gateway.submit("python", "print(7)", user=GAMES)
    gateway.wait_for(own, "Succeed", user=GAMES)
    folder = _folder(gateway, own, GAMES)
    _run(
        gateway,
        "shell",
        f"cd {folder} && rm _0.arrow && ln -s {secret} _0.arrow && ln -s /etc/shadow x.txt && ln -s /etc way",
    )
    os.link(secret, folder / "_1.arrow")
    os.link(gateway.home / "local-token", folder / "y.txt")
    for name in ("_0.dolphin", "_0.arrow", "_1.dolphin", "x.txt", "y.txt", "way/passwd.txt"):
        envelope = gateway.call("GET", "/filesystem/openFile", GAMES, params={"path": f"{folder}/{name}"})
        assert envelope["status"] == 1, (name, envelope)
        assert "secret" not in str(envelope["data"])
    tree = gateway.call("GET", "/filesystem/getDirFileTrees", GAMES, params={"path": f"{folder}/way"})
    assert tree["status"] == 1


def test_traps_in_the_work_folder_show_nothing(gateway: Served) -> None:
    """An engine that ends under its job is looked into: its log, its evidence."""
    code = (
        "import os, shutil\nwork = os.getcwd()\n"
        f"for name in ('host.log', 'running', 'outbox', 'host.pid'):\n"
        f"    if os.path.lexists(name): os.remove(name)\n"
        f"    os.symlink({str(gateway.home / 'local-token')!r}, name)\n"
        "os._exit(3)"
    )
    job = gateway.submit("python", code, user=GAMES, creator="traps")
    task = gateway.wait_for(job, "Failed", user=GAMES)
    token = (gateway.home / "local-token").read_text().strip()
    assert token not in str(task)
    assert token not in "\n".join(gateway.log(job, GAMES))


# --- lives ----------------------------------------------------------------------------------------


def test_a_kill_ends_every_process(gateway: Served) -> None:
    started = gateway.home / "users" / GAMES / "started"
    job = gateway.submit("shell", f"(setsid sleep 4343 &); touch {started}; sleep 4343", user=GAMES)
    until_exists(started)
    assert _sleepers() == {GAMES}
    gateway.kill_job(job, GAMES)
    gateway.wait_for(job, "Cancelled", user=GAMES)
    assert _sleepers() == set()


def test_a_restarted_gateway_finds_its_engine_again(open_folder: Path, python: Python) -> None:
    with _served(open_folder / "again", python) as gateway:
        go = gateway.home / "users" / GAMES / "go"
        first = gateway.submit("python", "import os\nkept = os.getpid()", user=GAMES)
        gateway.wait_for(first, "Succeed", user=GAMES)
        wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
        code = f"import time\n{wait}\nprint(kept == os.getpid())"
        job = gateway.submit("python", code, user=GAMES)
        gateway.wait_for(job, "Running", user=GAMES)
        gateway.kill()
        gateway.start()
        go.touch()
        gateway.wait_for(job, "Succeed", user=GAMES)
        assert gateway.rows(job, GAMES) == [["True"]]


def test_engines_from_before_the_setting_are_not_used_again(open_folder: Path, python: Python) -> None:
    with _served(open_folder / "turned", python) as gateway:
        gateway.end()
        gateway.start(UJES_ENGINES__RUN_AS="gateway")
        assert _run(gateway, "python", "import os\nprint(os.getuid())") == [["0"]]
        gateway.signal(signal.SIGTERM)
        assert gateway.engine_processes()
        gateway.start(UJES_ENGINES__ADOPT_TIMEOUT_S="0.5")
        assert _run(gateway, "shell", "id -un") == [[GAMES]]
        uid = pwd.getpwnam(GAMES).pw_uid
        assert _run(gateway, "python", "import os\nprint(os.getuid())") == [[str(uid)]]


def _sleepers() -> set[str]:
    return {
        process.info["username"]
        for process in psutil.process_iter(["cmdline", "status", "username"])
        if "4343" in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE
    }


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        ("nobody-of-that-name", "The user nobody-of-that-name has no account on this machine"),
        ("root", "The account root has the rights of root; no engine is started as it."),
    ],
)
def test_who_cannot_be_become_is_told_so(gateway: Served, user: str, sentence: str) -> None:
    job = gateway.submit("shell", "id", user=user)
    task = gateway.wait_for(job, "Failed", user=user)
    assert sentence in task["errDesc"]
    assert not task["resultLocation"]


def test_a_home_the_account_cannot_enter_is_named(open_folder: Path, python: Python) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with _served(closed / "home", python) as gateway:
        job = gateway.submit("shell", "id", user=GAMES)
        task = gateway.wait_for(job, "Failed", user=GAMES)
    assert f"The account {GAMES} cannot enter {closed}, on the way to" in task["errDesc"]


def test_a_home_from_before_is_closed(open_folder: Path, python: Python) -> None:
    """Files left readable are for the gateway alone; folders of users change hands."""
    home = open_folder / "before"
    (home / "users" / GAMES).mkdir(parents=True)
    (home / "ujes.toml").write_text("# a password\n")
    with _served(home, python) as gateway:
        assert _run(gateway, "shell", "echo here") == [["here"]]
        assert stat.S_IMODE(home.stat().st_mode) == 0o711
        assert stat.S_IMODE((home / "ujes.toml").stat().st_mode) == 0o600
        root = (home / "users" / GAMES).stat()
        assert (root.st_uid, stat.S_IMODE(root.st_mode)) == (pwd.getpwnam(GAMES).pw_uid, 0o700)
