"""Mutants of our own modules as a set of cases for reviewers: only those that a test kills.

``python -m benchmarks.review_set make FOLDER [SEED]`` mutates lines of some pure modules, runs the
module's own unit tests on each in a copy of the source tree, keeps those that fail, and writes
them beside as many texts without a fault, as a set that ``lakecore review canary FOLDER`` reads.

The clean texts are our modules as they are: their tests pass, which is all that is known of them.
An oracle scored on the set proves the scoring; figures of a model are of that model.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lakecore.review import Case, CaseSet, write_cases

ROOT: Final = Path(__file__).resolve().parents[1]
MODULES: Final = {
    "src/lakecore/review/_noise.py": "tests/unit/review/test_noise.py",
    "src/lakecore/review/_split.py": "tests/unit/review/test_split.py",
    "src/lakecore/review/_state.py": "tests/unit/review/test_state.py",
    "src/lakecore/review/_tokens.py": "tests/unit/review/test_tokens.py",
    "src/lakecore/review/_control.py": "tests/unit/review/test_control.py",
    "src/lakecore/review/_words.py": "tests/unit/review/test_index.py",
    "src/lakecore/review/_refactor.py": "tests/unit/review/test_refactor.py",
    "src/lakecore/review/_trust.py": "tests/unit/review/test_trust.py",
    "src/lakecore/review/_order.py": "tests/unit/review/test_trust.py",
    "src/lakecore/review/_score.py": "tests/unit/review/test_state.py",
    "src/lakecore/review/_confirm.py": "tests/unit/review/test_confirm.py",
    "src/lakecore/review/_gate.py": "tests/unit/review/test_gate.py",
    "src/lakecore/review/_report.py": "tests/unit/review/test_report.py",
    "src/lakecore/review/_finding.py": "tests/unit/review/test_finding.py",
}
"""Pure modules, with the test that is theirs. Of each one mutant, and itself: equal numbers."""
MAX_TRIES: Final = 12
TIMEOUT_S: Final = 120.0
_COMPARED: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: (" in ", " not in "),
    ast.NotIn: (" not in ", " in "),
    ast.Is: (" is ", " is not "),
    ast.IsNot: (" is not ", " is "),
}
_COMPUTED: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
}
_CALLED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One line of a module, said otherwise."""

    path: str
    text: str
    line: int
    before: str
    after: str
    what: str

    @property
    def case(self) -> Case:
        """As a case of a set."""
        return Case(self.text, self.path, self.line, self.before, self.after, self.what)


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Every mutant of a text, in the order of its lines; each of them parses, and is another."""
    lines = text.splitlines()
    found: dict[tuple[int, str], Mutant] = {}
    for node in ast.walk(ast.parse(text)):
        for line, start, stop, new, what in _changes(node, lines):
            before = lines[line - 1]
            after = before[:start] + new + before[stop:]
            if after == before or not _parses([*lines[: line - 1], after, *lines[line:]]):
                continue
            found.setdefault((line, after), Mutant(path, text, line, before, after, what))
    return [found[key] for key in sorted(found)]


def _changes(node: ast.AST, lines: Sequence[str]) -> Iterator[tuple[int, int, int, str, str]]:
    """(line, from, to, new text, what) of each way to mutate a node that stands on one line."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        old, new = _COMPARED[type(node.ops[0])]
        yield from _between(node.left, node.comparators[0], lines, old, new, "compares otherwise")
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        old, new = _COMPUTED[type(node.op)]
        yield from _between(node.left, node.right, lines, old, new, "computes otherwise")
    elif isinstance(node, ast.BoolOp):
        old, new = (" and ", " or ") if isinstance(node.op, ast.And) else (" or ", " and ")
        yield from _between(node.values[0], node.values[1], lines, old, new, "joins otherwise")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.lineno, node.col_offset, node.operand.col_offset, "", "asks for the opposite"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if new := _CALLED.get(node.func.id, ""):
            start = node.func.col_offset
            yield node.lineno, start, start + len(node.func.id), new, f"takes {new}"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        stop = node.end_col_offset or 0
        yield node.lineno, node.col_offset, stop, str(value), "has another constant"


def _between(
    left: ast.expr, right: ast.expr, lines: Sequence[str], old: str, new: str, what: str
) -> Iterator[tuple[int, int, int, str, str]]:
    if left.end_lineno != right.lineno or left.end_col_offset is None:
        return
    line = lines[right.lineno - 1]
    at = line.find(old, left.end_col_offset, right.col_offset + 1)
    # Columns of `ast` are bytes: where they are not characters the line is left alone.
    if at >= 0 and line.isascii():
        yield right.lineno, at, at + len(old), new, what


def _parses(lines: Sequence[str]) -> bool:
    try:
        compile("\n".join(lines), "mutant", "exec")
    except SyntaxError:
        return False
    return True


class Copy:
    """The source tree in a folder of its own, in which modules are replaced and tests run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
        for name in ("tests", "pyproject.toml"):
            (folder / name).symlink_to(ROOT / name)

    def first_failure(self, path: str, text: str, test: str) -> str | None:
        """The first test that fails with this text as the module; None: all pass.

        Raises `RuntimeError` where the tests could not be run.
        """
        module = self._folder / path
        as_it_is = module.read_text()
        module.write_text(text)
        try:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p"),
                    *("no:cacheprovider", "--tb=no", "--hypothesis-seed=0"),
                    *(f"--rootdir={self._folder}", test),
                ],
                cwd=self._folder,
                env=os.environ
                | {"PYTHONPATH": str(self._folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "does not end"
        finally:
            module.write_text(as_it_is)
        if done.returncode == 0:
            return None
        # 1: a test failed; 2: the module cannot be imported any more, which is no fault to review.
        failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
        if done.returncode == 1 and failed:
            return failed[0].removeprefix("FAILED ").split(" - ")[0]
        if done.returncode in (1, 2) and "ERROR" in done.stdout:
            return ""
        raise RuntimeError(f"tests could not be run: {done.stdout[-500:]}{done.stderr[-500:]}")


def make(seed: int, modules: Sequence[str] = tuple(MODULES)) -> tuple[CaseSet, int]:
    """The set of a seed, and how many mutants no test killed.

    Raises `RuntimeError` where the tests of a module fail as it is: nothing is known then.
    """
    cases: list[Case] = []
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        for path in modules:
            text = (ROOT / path).read_text()
            if copy.first_failure(path, text, MODULES[path]) is not None:
                raise RuntimeError(f"{MODULES[path]} fails without a mutant")
            wanted = mutants_of(path, text)
            random.Random(f"{seed} {path}").shuffle(wanted)
            for mutant in wanted[:MAX_TRIES]:
                test = copy.first_failure(path, mutant.case.shown(), MODULES[path])
                survived += test is None
                if test:
                    cases += [replace(mutant.case, killed_by=test), Case(text, path)]
                    break
    return CaseSet(tuple(cases)), survived


def main() -> None:
    """Write the set."""
    what, folder, *seed = sys.argv[1:]
    if what != "make":
        raise SystemExit(__doc__)
    cases, survived = make(int(seed[0]) if seed else 2026)
    shutil.rmtree(folder, ignore_errors=True)
    write_cases(Path(folder), cases)
    print(
        f"{cases.planted} mutants that a test kills, {len(cases.cases) - cases.planted} texts "
        f"without a fault, {survived} mutants that no test killed: set {cases.id}"
    )


if __name__ == "__main__":
    main()
