"""Claims about a commit as a whole: only formatting, no behaviour change, docs only, a revert."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from lakecore.auditor._facts import MAX_COMPARED_FILES, Compared, Facts, as_evidence
from lakecore.auditor._model import Claim, Evidence
from lakecore.auditor._verdicts import Judgement, backed, contradicted, unverifiable
from lakecore.base import LakecoreError
from lakecore.code import (
    ChangeKind,
    Code,
    FileChange,
    Language,
    Sameness,
    Symbol,
    compare,
    is_document,
    is_test_path,
    parse,
)

_MAX_VALUES: Final = 3
_MAX_NAMES: Final = 200
_NEAR: Final = 0.8
_NUMBERS_OF_NOBODY: Final = ("version", "year", "copyright", "revision", "build")


def judge_scope(claim: Claim, facts: Facts) -> Judgement:
    """What sort of change it is said to be, held against the programs before and after."""
    judged = _JUDGES[claim.target](facts)
    if claim.scoped and judged[0].value == "contradicted":
        return unverifiable(f"it is said of a part; {judged[1]}", judged[2])
    return judged


def _unread(facts: Facts) -> str:
    if facts.commit.clipped or len(facts.files) > MAX_COMPARED_FILES:
        return "the commit has more files than are read"
    return facts.opaque


def _first_lines(facts: Facts, change: FileChange) -> list[Evidence]:
    file = facts.diff_of(change)
    found = []
    for hunk in file.hunks if file else ():
        if hunk.added:
            found.append(as_evidence(change.path, hunk.new_start, hunk.added[0]))
        elif hunk.removed:
            found.append(as_evidence(change.old_path, hunk.old_start, hunk.removed[0], side="old"))
    return found[:2] or [Evidence(change.kind.value, change.path)]


def _differing(facts: Facts, least: Sameness, *, tests: bool = True) -> list[Compared]:
    return [
        found
        for found in facts.compared
        if found.sameness >= least
        and not found.broken
        and (tests or not is_test_path(found.change.path))
    ]


def _other_files(facts: Facts) -> list[FileChange]:
    """Changed files that are neither code nor documents."""
    seen = {found.change.path for found in facts.compared}
    return [
        change
        for change in facts.files
        if change.path not in seen and not is_document(change.path) and change.content_changed
    ]


def _only(facts: Facts, least: Sameness, what: str, *, others_count: bool = True) -> Judgement:
    """All code has to be the same, up to a measure."""
    differing = _differing(facts, least)
    certain = [f for f in differing if f.sameness >= Sameness.VALUES]
    if certain:
        evidence = [line for found in certain for line in _first_lines(facts, found.change)]
        return contradicted(f"the program is another, not only {what}", evidence)
    if differing:
        return unverifiable(
            "only texts in the program differ",
            [line for found in differing for line in _first_lines(facts, found.change)],
        )
    if any(found.broken for found in facts.compared):
        return unverifiable("a file is not understood")
    unread = _unread(facts)
    if unread:
        return unverifiable(unread)
    others = _other_files(facts)
    if others and others_count:
        return unverifiable(
            "the code is the same; other files are changed",
            [Evidence(change.kind.value, change.path) for change in others],
        )
    return backed("all code is the same")


def _formatting(facts: Facts) -> Judgement:
    return _only(facts, Sameness.STRINGS, "its layout")


def _whitespace(facts: Facts) -> Judgement:
    judged = _only(facts, Sameness.STRINGS, "its white space", others_count=False)
    if judged[0].value != "backed":
        return judged
    for change in facts.files:
        if change.kind in (ChangeKind.ADDED, ChangeKind.REMOVED) and change.content_changed:
            return contradicted("a file came or went", [Evidence(change.kind.value, change.path)])
        old, new = facts.source(change, after=False), facts.source(change, after=True)
        if old.readable and new.readable and "".join(old.text.split()) != "".join(new.text.split()):
            if is_document(change.path) or not new.language.has_symbols:
                return contradicted("more than white space differs", _first_lines(facts, change))
            return unverifiable("more than white space differs", _first_lines(facts, change))
    return judged


def _documents(facts: Facts) -> Judgement:
    return _only(facts, Sameness.STRINGS, "documents and comments")


def _tests_only(facts: Facts) -> Judgement:
    differing = [
        found
        for found in _differing(facts, Sameness.STRINGS, tests=False)
        if not _has_tests_inside(found)
    ]
    if differing:
        evidence = [line for found in differing for line in _first_lines(facts, found.change)]
        return contradicted("code that is no test is changed", evidence)
    unread = _unread(facts)
    if unread:
        return unverifiable(unread)
    return backed("no other code is changed")


def _has_tests_inside(found: Compared) -> bool:
    """Rust's tests stand beside the code; so may helpers of tests anywhere."""
    return found.language is Language.RUST or "test" in found.change.path.lower()


def _behaviour(facts: Facts) -> Judgement:
    """Only a value that another one stands in place of proves that behaviour changed."""
    compared = facts.compared
    proofs = [
        evidence
        for found in compared
        if not found.broken and not is_test_path(found.change.path)
        for evidence in _changed_values(found)
    ]
    if proofs:
        return contradicted("a value or an operator is another", proofs)
    if all(found.sameness <= Sameness.LAYOUT and not found.broken for found in compared):
        unread = _unread(facts)
        if unread:
            return unverifiable(unread)
        others = _other_files(facts)
        if others:
            return unverifiable(
                "the code is the same; other files are changed",
                [Evidence(change.kind.value, change.path) for change in others],
            )
        return backed("all code is the same")
    return unverifiable("the code is another; whether it does the same cannot be told")


def _changed_values(found: Compared) -> Iterator[Evidence]:
    """Definitions that are alike but for few numbers, constants or operators."""
    if not found.old.strip() or not found.new.strip():
        return
    old, new = parse(found.old, found.language), parse(found.new, found.language)
    lines = found.new.split("\n")
    for before, after in _pairs(old, new):
        first, second = _text_of(found.old, before), _text_of(found.new, after)
        compared = compare(first, second, found.language)
        if compared.sameness is not Sameness.VALUES or len(compared.changes) > _MAX_VALUES:
            continue
        if any(word in after.qualified.lower() for word in _NUMBERS_OF_NOBODY):
            continue
        kinds = {change.new[:1].isdigit() for change in compared.changes}
        # `n < 11` and `n <= 10` are the same.
        if len(kinds) > 1:
            continue
        for change in compared.changes:
            line = after.start_line + change.line - 1
            text = lines[line - 1].strip() if line <= len(lines) else change.new
            if f"[{change.new}]" in text or f"[{change.new}:" in text or f":{change.new}]" in text:
                continue
            yield Evidence(f"{change.old} → {change.new}: {text}"[:200], found.change.path, line)


def _pairs(old: Code, new: Code) -> Iterator[tuple[Symbol, Symbol]]:
    """The innermost definitions that both have, once each."""
    kinds = ("function", "method", "variable")
    before = [s for s in old.symbols if s.kind in kinds]
    after = [s for s in new.symbols if s.kind in kinds]
    names = [(s.kind, s.qualified) for s in before]
    for symbol in after:
        key = (symbol.kind, symbol.qualified)
        if names.count(key) == 1 and sum((s.kind, s.qualified) == key for s in after) == 1:
            yield before[names.index(key)], symbol


def _text_of(text: str, symbol: Symbol) -> str:
    """A definition on its own, with its lines moved to the left, as a program of its own."""
    lines = text.split("\n")[symbol.start_line - 1 : symbol.end_line]
    indent = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    return "\n".join(line[indent:] if not line[:indent].strip() else line for line in lines)


def _near(names: list[str], others: set[str]) -> bool:
    """Whether one of the names is another one with other letters: then the slip was in it."""
    last = [name.rsplit(".", 1)[-1] for name in others][:_MAX_NAMES]
    return any(
        get_close_matches(name.rsplit(".", 1)[-1], last, n=1, cutoff=_NEAR)
        for name in names[:_MAX_NAMES]
    )


def _typo(facts: Facts) -> Judgement:
    """A slip of the pen neither makes nor takes away definitions."""
    for found in facts.compared:
        if found.broken or found.sameness < Sameness.DIFFERENT:
            continue
        old = {s.qualified for s in parse(found.old, found.language).symbols}
        new = {s.qualified for s in parse(found.new, found.language).symbols}
        names, word = sorted(new - old), "added"
        if not names:
            names, word = sorted(old - new), "removed"
        if len(old) != len(new) and not _near(names, old if word == "added" else new):
            return contradicted(
                "definitions came or went, not only letters",
                [Evidence(f"{word}: {name}", found.change.path) for name in names[:5]],
            )
    if all(found.sameness <= Sameness.STRINGS for found in facts.compared) and not _unread(facts):
        return backed("only comments, documents or texts differ")
    return unverifiable("whether it was a slip cannot be told")


_JUDGES: Final = {
    "behaviour": _behaviour,
    "formatting": _formatting,
    "whitespace": _whitespace,
    "comments": _documents,
    "docs": _documents,
    "tests": _tests_only,
    "typo": _typo,
}


def judge_revert(claim: Claim, facts: Facts) -> Judgement:
    """``This reverts commit …``: each file is back, or at least one that it changed is touched."""
    try:
        reverted = facts.repository.commit(claim.target)
    except LakecoreError:
        return unverifiable("that commit is not known here")
    back = {(c.old_path, c.old_blob, c.blob) for c in reverted.files}
    here = {(c.path, c.blob, c.old_blob) for c in facts.files}
    if back and back <= here:
        return backed("every file is what it was before that commit")
    theirs = {path for c in reverted.files for path in (c.path, c.old_path)}
    ours = {path for c in facts.files for path in (c.path, c.old_path)}
    names = [{path.rsplit("/", 1)[-1] for path in paths} for paths in (theirs, ours)]
    if theirs and not (names[0] & names[1]) and not (facts.commit.clipped or reverted.clipped):
        return contradicted(
            "none of the files of that commit is changed",
            [Evidence(f"changed by {reverted.sha[:10]}", path) for path in sorted(theirs)],
        )
    shared = sorted(theirs & ours)
    return unverifiable(
        "its files are changed, not all as they were",
        [Evidence("changed", path) for path in shared],
    )
