"""Claims with numbers: tests, files, and values that went from one to another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Final

from lakecore.auditor._facts import Facts, TestDelta, as_evidence
from lakecore.auditor._judge_dependencies import is_dependency, judge_dependency
from lakecore.auditor._model import Action, Bound, Claim, Evidence
from lakecore.auditor._verdicts import Judgement, backed, contradicted, fits, unverifiable
from lakecore.auditor._words import last_name
from lakecore.code import ChangeKind, TestCase, is_document, is_test_path, language_of

_SUFFIXES: Final = {
    "python": (".py", ".pyi"),
    "rust": (".rs",),
    "go": (".go",),
    "typescript": (".ts", ".tsx"),
    "markdown": (".md", ".markdown"),
}
_KINDS: Final = {
    Action.ADD: (ChangeKind.ADDED, ChangeKind.COPIED),
    Action.REMOVE: (ChangeKind.REMOVED,),
    Action.RENAME: (ChangeKind.RENAMED,),
    Action.CHANGE: tuple(ChangeKind),
}
# A value with a unit may be written in another one: 10 s as 10_000 (ms), 1 MiB as 1 << 20.
_SCALES: Final = tuple(
    Decimal(scale) for scale in (1, 24, 60, 1_000, 1_024, 3_600, 86_400, 1_000_000, 1_048_576)
)
_CHECKS: Final = re.compile(r"\bassert|\bexpect\s*\(|\btest|_test\b|\.should\b", re.I)
_NUMBER: Final = r"-?\d[\d_]*(?:\.\d+)?"


def judge_files(claim: Claim, facts: Facts) -> Judgement:
    """``touches 3 files``: as many as git lists, in one of the ways to count them."""
    if facts.commit.clipped:
        return unverifiable("the commit has more files than are read")
    files = [c for c in facts.files if _has_quality(claim.unit, c.path)]
    of_kind = sum(c.kind in _KINDS[claim.action] for c in files)
    renamed = sum(c.kind is ChangeKind.RENAMED for c in files)
    ways = {of_kind, of_kind + renamed}
    if claim.action is Action.CHANGE:
        modified = sum(c.kind in (ChangeKind.MODIFIED, ChangeKind.RETYPED) for c in files)
        ways |= {modified, modified + renamed}
    said = claim.count or 0
    evidence = [Evidence(f"{of_kind} {claim.unit} {claim.action.value}", count=of_kind)]
    if any(fits(claim.bound, said, found) for found in ways):
        return backed("git counts as many", evidence)
    if claim.bound is Bound.ABOUT:
        return unverifiable(f"git counts {of_kind}", evidence)
    if claim.scoped and said < max(ways):
        return unverifiable("it is said of a part of them", evidence)
    return contradicted(f"git counts {of_kind}", evidence)


def _has_quality(unit: str, path: str) -> bool:
    if unit in _SUFFIXES:
        return PurePosixPath(path).suffix.lower() in _SUFFIXES[unit]
    if unit == "test":
        return is_test_path(path)
    if unit == "source":
        return language_of(path).has_symbols and not is_test_path(path)
    return True


def judge_tests(claim: Claim, facts: Facts) -> Judgement:
    """``adds 3 tests``, ``tests 14 → 24``: as many as the parsed test files differ by."""
    delta = facts.tests
    if claim.old:
        return _tests_from_to(claim, delta)
    if claim.count is None:
        return _some_tests(delta, facts)
    cases = delta.added if claim.action is Action.ADD else delta.removed
    found = len(cases)
    net = abs(sum(delta.after.values()) - sum(delta.before.values()))
    evidence = [_count_of(found, claim.action), *_cases(cases)]
    if fits(claim.bound, claim.count, found) or fits(claim.bound, claim.count, net):
        return backed(f"{found} tests were found", evidence)
    if delta.uncertain or facts.opaque:
        return unverifiable(f"{found} were found; {delta.uncertain or facts.opaque}", evidence)
    if claim.scoped and claim.count < found:
        return unverifiable(f"{found} were found; it is said of a part of them", evidence)
    if claim.bound is Bound.ABOUT and found:
        return unverifiable(f"{found} were found", evidence)
    return contradicted(f"{found} tests were found", evidence)


def _count_of(found: int, action: Action) -> Evidence:
    word = "removed" if action is Action.REMOVE else "added"
    return Evidence(f"{found} tests {word}", count=found)


def _cases(cases: Iterable[tuple[str, TestCase]]) -> list[Evidence]:
    return [Evidence(case.qualified, path, case.line) for path, case in list(cases)[:5]]


def _tests_from_to(claim: Claim, delta: TestDelta) -> Judgement:
    old, new = int(claim.old), int(claim.new)
    totals = (sum(delta.before.values()), sum(delta.after.values()))
    for path, count in delta.after.items():
        if (delta.before.get(path, 0), count) == (old, new):
            return backed("a file has as many", [Evidence(f"{old} → {new}", path, count=new)])
    evidence = [
        Evidence(f"{totals[0]} → {totals[1]} in the changed files", count=totals[1]),
        *_cases(delta.added),
    ]
    if totals == (old, new):
        return backed("the changed files have as many", evidence)
    if totals[1] - totals[0] == new - old:
        return backed("as many came or went", evidence)
    if delta.uncertain:
        return unverifiable(delta.uncertain, evidence)
    return contradicted(f"the changed files went from {totals[0]} to {totals[1]} tests", evidence)


def _some_tests(delta: TestDelta, facts: Facts) -> Judgement:
    if delta.added:
        return backed("there are new tests", _cases(delta.added))
    if delta.touched or delta.uncertain:
        return unverifiable(
            "files of tests are changed, no new test is seen in them",
            [Evidence("changed", path) for path in delta.touched[:5]],
        )
    if facts.opaque:
        return unverifiable(f"not all can be read: {facts.opaque}")
    # Tests of other kinds: scripts of continuous integration, a Makefile.
    others = [c for c in facts.files if not language_of(c.path).has_symbols]
    others = [c for c in others if not is_document(c.path)]
    if others:
        return unverifiable(
            "no test is seen; these files may have some", [Evidence("changed", others[0].path)]
        )
    if any(_CHECKS.search(text) for _, _, text in facts.changed_lines(added=True)):
        return unverifiable("no test is seen; added lines look like checks")
    if facts.in_rust_tests:
        return unverifiable("no test is new; lines among the tests are")
    return contradicted("no test is added, no file of tests is changed", [_count_of(0, Action.ADD)])


def judge_count(claim: Claim, facts: Facts) -> Judgement:
    """```limit` from 3 to 5``: the line that gives it its value says so."""
    if claim.target and is_dependency(claim.target, facts):
        return judge_dependency(claim, facts)
    old, new = _value(claim.old), _value(claim.new)
    if not claim.target:
        return _somewhere(claim, facts)
    name = last_name(claim.target)
    before, after = (_given(name, facts, added=added) for added in (False, True))
    olds, news = ({value for value, _ in found} for found in (before, after))
    evidence = [evidence for _, evidence in [*before, *after]]
    if _has(news, new, claim.unit) and (old is None or _has(olds, old, claim.unit) or not olds):
        return backed("the changed lines say so", evidence)
    if facts.opaque:
        return unverifiable(f"not all lines can be read: {facts.opaque}")
    if olds and news:
        wrong = f"it is {_joined(olds)} → {_joined(news)}"
        if claim.unit or len(before) != len(after) or len(before) > 3:
            return unverifiable(wrong, evidence)
        return contradicted(wrong, evidence)
    if facts.lines_with(name, added=True) or facts.lines_with(name, added=False):
        return unverifiable("lines with it are changed, none gives it a plain number", evidence)
    return _elsewhere(claim, name, new, facts)


def _elsewhere(claim: Claim, name: str, new: Decimal | None, facts: Facts) -> Judgement:
    """The name is in no changed line: what value does the tree give it?"""
    use = facts.use(name)
    values = []
    evidence = []
    for path, symbol in use.definitions:
        source = facts.repository.read(facts.commit.sha, path)
        lines = source.text.splitlines()[symbol.start_line - 1 : symbol.end_line]
        if symbol.kind not in ("variable", "field") or len(lines) != 1:
            return unverifiable("no changed line has it")
        match = _giver(name).search(lines[0])
        if match is None:
            return unverifiable("no changed line has it")
        values.append(_value(match[1]))
        evidence.append(as_evidence(path, symbol.start_line, lines[0]))
    if values and use.whole and not claim.unit and new not in values:
        return contradicted("no changed line has it, and its value is another", evidence)
    return unverifiable("no changed line has it", evidence)


def _somewhere(claim: Claim, facts: Facts) -> Judgement:
    """Two numbers without a name: at most a change of the one into the other is found."""
    old, new = (
        re.compile(rf"(?<![\w.]){re.escape(t)}(?![\w.]*\w)") for t in (claim.old, claim.new)
    )
    for file in facts.diff.files:
        for hunk in file.hunks:
            gone = next((i for i, text in enumerate(hunk.removed) if old.search(text)), None)
            come = next((i for i, text in enumerate(hunk.added) if new.search(text)), None)
            if gone is not None and come is not None:
                return backed(
                    "a changed line has the one, the line in its place the other",
                    [
                        as_evidence(
                            file.change.old_path,
                            hunk.old_start + gone,
                            hunk.removed[gone],
                            side="old",
                        ),
                        as_evidence(file.change.path, hunk.new_start + come, hunk.added[come]),
                    ],
                )
    return unverifiable("what these numbers count is not known")


def _giver(name: str) -> re.Pattern[str]:
    """A line that gives a name a plain number, and nothing more."""
    return re.compile(
        rf"(?<![\w.]){re.escape(name)}[\"']?(?:\s*:\s*[\w\[\], |]+?)?"
        rf"\s*(?::=|=(?!=)|:)\s*({_NUMBER})"
        r"(?:_?[iuf](?:8|16|32|64|size))?\s*(?=$|[,;)\]}#]|//)"
    )


def _given(name: str, facts: Facts, *, added: bool) -> list[tuple[Decimal, Evidence]]:
    pattern = _giver(name)
    found = []
    for path, line, text in facts.changed_lines(added=added):
        for match in pattern.finditer(text):
            value = _value(match[1])
            if value is not None:
                side = "new" if added else "old"
                found.append((value, as_evidence(path, line, text, side=side)))
    return found


def _value(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "").replace("_", "")) if text else None
    except InvalidOperation:
        return None


def _has(values: set[Decimal], wanted: Decimal | None, unit: str) -> bool:
    if wanted is None:
        return False
    scales = _SCALES if unit else _SCALES[:1]
    return any(value in (wanted * scale, wanted / scale) for value in values for scale in scales)


def _joined(values: set[Decimal]) -> str:
    return ", ".join(str(value) for value in sorted(values)[:5])
