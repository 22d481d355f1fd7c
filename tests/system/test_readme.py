"""What the README shows is run as it stands: its first command, on a copy of the sources, and the rest."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Everything here takes seconds; only a machine in trouble takes longer.
PATIENCE_S = 120
INSTALL_PATIENCE_S = 540
UJES = str(Path(sys.executable).parent / "ujes")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A gateway like the one the README talks about, on another port and home."""

    home: Path
    url: str

    @property
    def env(self) -> dict[str, str]:
        path = f"{Path(UJES).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"UJES_HOME": str(self.home), "PATH": path}

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.env,
            cwd=self.home,
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    errors = home / "stderr"
    command = [UJES, "serve", "--home", str(home), "--port", "0"]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as gateway,
    ):
        try:
            assert gateway.stdout is not None
            ready = next((line for line in gateway.stdout if line.startswith("UJES ready on ")), None)
            assert ready, errors.read_text()
            yield Served(home=home, url=ready.removeprefix("UJES ready on ").strip())
        finally:
            gateway.send_signal(signal.SIGINT)
            assert gateway.wait(PATIENCE_S) == 0


def test_the_curl_lines(served: Served) -> None:
    script = "".join(blocks("bash"))
    assert "http://127.0.0.1:9001" in script
    done = served.run("bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:9001", served.url))
    assert done.returncode == 0, done.stderr
    assert '"status":"Succeed"' in done.stdout
    assert '"fileContent":[["42"]]' in done.stdout
    assert '"status":"Cancelled"' in done.stdout
    assert "select 6 * 7 as answer" in done.stdout, "the log shows the statement"


def test_the_python_lines(served: Served) -> None:
    (example,) = blocks("python")
    password = (served.home / "admin-password").read_text().strip()
    code = example.replace("http://127.0.0.1:9001", served.url)
    done = served.run(sys.executable, "-", text=f"password = {password!r}\n{code}")
    assert (done.returncode, done.stdout) == (0, "['answer'] ((42,),)\n"), done.stderr


def test_the_ujes_lines(served: Served) -> None:
    (served.home / "report.py").write_text("print('from a file')\n")
    shown = [line for block in blocks("console") for line in block.splitlines() if line.startswith("$ ujes ")]
    outputs = {}
    for line in shown:
        words = line.removeprefix("$ ")
        if words == "ujes serve":
            continue  # it runs already
        done = served.run("bash", "-c", words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        outputs[words] = done.stdout
    assert "42" in outputs['ujes run "select 6 * 7 as answer"']
    assert "1000000" in outputs["ujes result 3 --format csv"]


def test_the_quickstart(served: Served) -> None:
    """All of it but the install; its server runs already."""
    (served.home / "password.txt").write_text("correct horse battery staple\n")
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    lines = "".join(blocks("sh", text)[1:]).splitlines()
    outputs = [served.run("bash", "-c", line) for line in lines if line != "ujes serve"]
    assert [done.stderr for done in outputs if done.returncode] == []
    shown = "".join(done.stdout for done in outputs)
    assert "333332833333500000" in shown.replace(",", ""), "the sum of the squares"
    assert "Cancelled" in outputs[-1].stdout or "Running" in outputs[-1].stdout


@pytest.mark.registry
def test_the_first_command_on_a_copy_of_the_sources(tmp_path: Path) -> None:
    """With nothing in the environment but what finds Python and the package registry."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy")
    }
    python = Path(sys.base_prefix) / "bin"
    env = kept | {"PATH": f"{python}{os.pathsep}{os.defpath}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", blocks("sh")[0]],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Succeed" in done.stdout + done.stderr
