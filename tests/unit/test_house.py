"""The rules of the house, held by reading the source: floors, names, sizes, documents that cannot drift."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import tables

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "ujes"
DOCS = ROOT / "docs"

#: From the ground up. Imports run to lower floors only; rooms of one floor do not know each other.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"core", "results", "link"}),
    frozenset({"engines", "language", "settings", "client"}),
    frozenset({"enginehost"}),
    frozenset({"launchers"}),
    frozenset({"gateway"}),
    frozenset({"api"}),
    frozenset({"app"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
    # Shipped for tests: sees everything, and nothing of the product sees it.
    frozenset({"testing"}),
)
#: What must install and run without the gateway, in an engine's own environment.
ENGINE_SIDE = ("ujes.engines", "ujes.enginehost", "ujes.link", "ujes.results.writer")
GATEWAY_LIBRARIES = {"starlette", "uvicorn", "sqlalchemy", "alembic", "pydantic", "httpx", "argon2", "click"}
ENGINE_LIBRARIES = {"duckdb", "pandas", "polars", "matplotlib", "pyspark", "trino", "jpype"}
IMPURE = {
    "asyncio",
    "io",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
VAGUE = {
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "manager",
    "managers",
    "data",
    "info",
    "base",
}
LINES_MAX = 450


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """What a file names in import statements, also inside functions and under TYPE_CHECKING."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else str(node.module) for name in inner)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    if module == "ujes":
        return -1  # the version: everybody may read it, it reads nobody
    for number, rooms in enumerate(FLOORS):
        if room(module) in rooms:
            return number
    pytest.fail(f"{module} stands on no floor: add it to FLOORS and to docs/architecture.md")


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name == "ujes" or name.startswith("ujes.")}


def foreign(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"ujes"}


# --- imports ----------------------------------------------------------------------------------


def test_imports_run_downwards_only() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in modules().items()
        for name in ours(path)
        if not (floor(name) < floor(module) or room(name) == room(module))
    ]
    assert wrong == []


def test_no_circle_of_files() -> None:
    graph = {module: ours(path) - {module} for module, path in modules().items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as found:
        pytest.fail("files import each other in a circle: " + " -> ".join(found.args[1]))


def test_core_and_language_are_pure() -> None:
    for module, path in modules().items():
        if room(module) in {"core", "language"}:
            assert foreign(path) == set(), f"{module}: standard library only"
            named = {name.partition(".")[0] for name in imports(path)}
            assert named & IMPURE == set(), f"{module}: no I/O, clock, randomness or async"


def test_the_engine_side_needs_nothing_of_the_gateway() -> None:
    known = modules()
    todo = [module for module in known if module.startswith(ENGINE_SIDE)]
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module in seen or module not in known:
            continue
        seen.add(module)
        todo.extend(ours(known[module]))
    allowed = {"", "core", "results", "link", "engines", "enginehost", "language"}
    assert {module for module in seen if room(module) not in allowed} == set()
    assert {module for module in seen if foreign(known[module]) & GATEWAY_LIBRARIES} == set()


def test_only_engines_import_what_engines_drive() -> None:
    free = {"engines", "testing"}
    users = {m for m, path in modules().items() if room(m) not in free and foreign(path) & ENGINE_LIBRARIES}
    assert users == set()


# --- names and sizes --------------------------------------------------------------------------


def test_names_say_what_a_module_is() -> None:
    assert {module for module in modules() if module.rpartition(".")[2] in VAGUE} == set()


def test_every_module_says_what_it_is_for() -> None:
    texts = {module: path.read_text(encoding="utf-8") for module, path in modules().items()}
    silent = {
        module for module, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))
    }
    assert silent == set()


def test_files_stay_readable_in_one_sitting() -> None:
    lengths = {
        module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules().items()
    }
    assert {module: lines for module, lines in lengths.items() if lines > LINES_MAX} == {}


# --- documents --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.name)
def test_tables_in_documents_are_current(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == tables.render(page), "run `python3 dev.py docs`"


def test_both_tables_are_there() -> None:
    assert {page.name for page in tables.pages()} == {"settings.md", "errors.md"}


def test_every_code_in_use_is_documented() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    product = {module: path for module, path in modules().items() if room(module) != "testing"}
    used = {code: module for module, path in product.items() for code in _codes(path)}
    assert {code: module for code, module in used.items() if code not in documented} == {}


def _codes(path: Path) -> Iterator[int]:
    """Numbers given as `code=`, and as the second argument of `EngineError`; constants count, too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if isinstance(node.func, ast.Name) and node.func.id == "EngineError":
                given += node.args[1:2]
            for value in (constants.get(one.id) if isinstance(one, ast.Name) else one for one in given):
                if isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value:
                    yield value.value


def test_errors_are_the_same_in_both_languages() -> None:
    english, chinese = (
        (DOCS / name).read_text(encoding="utf-8") for name in ("errors.md", "errors.zh-CN.md")
    )
    codes = re.compile(r"^\| (\d+) \|", re.MULTILINE)
    assert sorted(set(codes.findall(english))) == sorted(set(codes.findall(chinese)))


@pytest.mark.parametrize(
    ("english", "chinese"),
    [("README.md", "README.zh-CN.md"), ("docs/quickstart.md", "docs/quickstart.zh-CN.md")],
)
def test_translations_show_the_same_code(english: str, chinese: str) -> None:
    first, second = ((ROOT / name).read_text(encoding="utf-8") for name in (english, chinese))
    assert _blocks(first) == _blocks(second)
    headings = re.compile(r"^#+ ", re.MULTILINE)
    assert headings.findall(first) == headings.findall(second)


def _blocks(text: str) -> list[str]:
    """The fenced blocks, without comments: those are translated."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s*(^|\s)# .*", "", block, flags=re.MULTILINE) for block in blocks]


def test_ci_runs_the_tests_as_the_readme_does() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [block.strip() for block in _blocks(readme)[:2]]
    assert len(commands) == 2, "the README opens with two one-line commands"
    assert all("\n" not in command for command in commands)
    assert "ujes demo" in commands[0]
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_code_map_shows_all_of_core() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `(\w+\.py)` \|", text, re.MULTILINE))
    assert shown == {path.name for path in (SOURCE / "core").glob("*.py")} - {"__init__.py"}


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    broken = [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()]
    assert broken == []


def test_dev_py_needs_nothing_but_python() -> None:
    assert foreign(ROOT / "dev.py") == set()
    command = [sys.executable, "-I", str(ROOT / "dev.py")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "python3 dev.py test" in answer.stderr
