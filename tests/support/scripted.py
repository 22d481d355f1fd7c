"""The scripted engines, installed the way anybody's engine is: by the entry-point group `ujes.engines`."""

from __future__ import annotations

from pathlib import Path

ENGINES = {
    "scripted": "Scripted",
    "failsopen": "FailsToOpen",
    "breaksopen": "BreaksAtOpen",
    "diesopen": "DiesAtOpen",
    "hangsopen": "HangsAtOpen",
    "slowopen": "OpensSlowly",
    "hangsclose": "HangsAtClose",
}


def install(folder: Path) -> dict[str, str]:
    """Put a distribution that brings the engines into `folder`; the environment that finds it."""
    info = folder / "scripted_engines-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-engines\nVersion: 1.0\n")
    lines = [f"{name} = ujes.testing.scripted:{engine}" for name, engine in ENGINES.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ujes.engines]", *lines, ""]))
    return {"PYTHONPATH": str(folder)}
