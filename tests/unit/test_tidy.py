"""The repository keeps its own rules: what no linter checks is checked here."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "src" / "lakecore"
MAX_MODULE_LINES = 500

# In two halves, so that this file does not name what it looks for.
REGISTRY_HOSTS = re.compile(
    "|".join(
        ("pypi" + r"\.org", "python" + r"hosted\.", r"registry\.npm" + "js", "crates" + r"\.io")
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.~})*])/(?:root|work|home)" + r"/(?!me\b)\w")
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|X" + r"XX)\b")
SILENCED = re.compile(r"#\s*(?:type:\s*ignore|noqa)\b(?P<rest>.*)")
REASONED = re.compile(r"(?:\[[\w,\s-]+\]|:\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*)\s*(?:#|-|–|:)\s*\w.*")

SKIPPED_FOLDERS = {
    "__pycache__",
    "build",
    "demo-lake",
    "dist",
    "lake",
    "node_modules",
}


def files(folder: Path = REPOSITORY) -> Iterator[Path]:
    """Every file of the repository that a person or a generator wrote."""
    if folder == REPOSITORY and (listed := _listed_by_git()) is not None:
        yield from listed
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name != ".ci"
            if not hidden and path.name not in SKIPPED_FOLDERS:
                yield from files(path)
        else:
            yield path


def _listed_by_git() -> list[Path] | None:
    """What git tracks; None outside of a clone or without git."""
    try:
        answer = subprocess.run(
            ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    names = [name for name in answer.stdout.decode().split("\0") if name]
    return [path for name in names if (path := REPOSITORY / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file as text; None for binary files."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where `pattern` occurs: file, line number and what was found."""
    found = []
    for path in files():
        for number, line in enumerate((text_of(path) or "").splitlines(), start=1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {match[0]}")
    return found


def modules() -> list[Path]:
    """The Python files of the repository."""
    return [path for path in files() if path.suffix == ".py"]


def test_there_are_files_to_check() -> None:
    """The walk finds the sources: an empty walk would pass everything."""
    assert SOURCES / "base" / "__init__.py" in set(files())


def test_no_file_names_a_registry_host() -> None:
    """Locks and manifests work with any mirror."""
    assert lines_with(REGISTRY_HOSTS) == []


def test_no_file_names_a_path_of_a_machine() -> None:
    """Nothing depends on where somebody's clone or home is."""
    assert lines_with(MACHINE_PATHS) == []


def test_nothing_is_marked_unfinished() -> None:
    """What is not done is not in the tree."""
    assert lines_with(UNFINISHED) == []


def test_modules_are_short() -> None:
    """A module has one reason to exist; beyond 500 lines it has several."""
    long = {
        str(path.relative_to(REPOSITORY)): count
        for path in modules()
        if (count := len((text_of(path) or "").splitlines())) > MAX_MODULE_LINES
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    """Each module of the package has a docstring; a package's is its map."""
    silent = [
        str(path.relative_to(REPOSITORY))
        for path in modules()
        if path.is_relative_to(SOURCES) and not _says_enough(path)
    ]
    assert silent == []


def _says_enough(path: Path) -> bool:
    docstring = ast.get_docstring(ast.parse(text_of(path) or "")) or ""
    return len(docstring.split()) >= (6 if path.name == "__init__.py" else 2)


def test_every_test_says_what_it_shows() -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(REPOSITORY)}::{node.name}"
        for path in modules()
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(text_of(path) or ""))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_silenced_checks_give_a_reason() -> None:
    """`type: ignore` and `noqa` name the rule and say why, on the same line."""
    bare = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in modules()
        for number, line in enumerate((text_of(path) or "").splitlines(), start=1)
        if (match := SILENCED.search(line)) and not REASONED.match(match["rest"].strip())
        if path != Path(__file__)
    ]
    assert bare == []


def test_private_modules_stay_in_their_package() -> None:
    """`lakecore.x._y` is imported by `lakecore.x` alone; others use the package's face."""
    reached = []
    for path in modules():
        if not path.is_relative_to(SOURCES) or path.parent == SOURCES:
            continue
        package = path.relative_to(SOURCES).parts[0]
        for node in ast.walk(ast.parse(text_of(path) or "")):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                private = len(parts) > 2 and parts[0] == "lakecore" and parts[2].startswith("_")
                if private and parts[1] != package:
                    reached.append(f"{path.relative_to(REPOSITORY)}: {name}")
    assert reached == []


@pytest.mark.parametrize(
    ("line", "reasoned"),
    [
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: S101", False),
        ("x = 1  # noqa: S101 - a probe", True),
        ("x = 1  # type: ignore[misc]", False),
        ("x = 1  # type: ignore[misc]  # always a dataclass", True),
    ],
)
def test_reasons_are_recognised(line: str, reasoned: bool) -> None:
    """The rule about reasons is itself right."""
    match = SILENCED.search(line)
    assert match is not None
    assert bool(REASONED.match(match["rest"].strip())) is reasoned
