"""Claims about files: added, removed, changed, renamed, left alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lakecore.auditor._facts import Facts
from lakecore.auditor._model import Action, Claim, Evidence
from lakecore.auditor._verdicts import Judgement, backed, contradicted, unverifiable
from lakecore.code import ChangeKind, FileChange, shown

_CAME = (ChangeKind.ADDED, ChangeKind.COPIED, ChangeKind.RENAMED)
_WENT = (ChangeKind.REMOVED, ChangeKind.RENAMED)


def plain_path(text: str) -> str:
    """A path as it is in a tree: no ``./``, no line number."""
    return re.sub(r":\d+$", "", text).removeprefix("./").lstrip("/")


def matches(wanted: str, path: str) -> bool:
    """Whether a path is the one that is written, whole or from some folder on.

    People write ``history.md`` for ``History.md``, and ``travis.yml`` for ``.travis.yml``.

    >>> matches("b.py", "src/b.py"), matches("x.yml", "a/.X.yml"), matches("b.py", "src/ab.py")
    (True, True, False)
    """
    short, long = wanted.lower(), path.lower()
    if short.endswith("/"):
        return long.startswith(short) or f"/{short}" in long
    return f"/{long}".endswith((f"/{short}", f"/.{short}"))


def _in(wanted: str, paths: Iterable[str]) -> list[str]:
    return sorted(path for path in paths if matches(wanted, path))


def _changes(wanted: str, facts: Facts) -> list[FileChange]:
    return [c for c in facts.files if matches(wanted, c.path) or matches(wanted, c.old_path)]


def _shown(change: FileChange) -> Evidence:
    if change.old_path != change.path:
        return Evidence(f"{change.kind.value} from {shown(change.old_path)}", change.path)
    return Evidence(change.kind.value, change.path)


def judge_path(claim: Claim, facts: Facts) -> Judgement:
    """A file that is said to have been added, removed or changed."""
    wanted = plain_path(claim.target)
    changes = _changes(wanted, facts)
    if facts.commit.clipped:
        return unverifiable("the commit has more files than are read")
    if claim.action is Action.ADD:
        return _added(claim, wanted, changes, facts)
    if claim.action is Action.REMOVE:
        return _removed(claim, wanted, changes, facts)
    if changes:
        return backed("it is among the changed files", map(_shown, changes))
    there = _in(wanted, facts.paths_after)
    if there:
        return contradicted(
            "the file is not changed by this commit",
            [Evidence("in the tree, unchanged", path) for path in there],
        )
    return unverifiable("there is no such file here")


def _added(claim: Claim, wanted: str, changes: list[FileChange], facts: Facts) -> Judgement:
    came = [c for c in changes if c.kind in _CAME and matches(wanted, c.path)]
    if came:
        return backed("the file is new", map(_shown, came))
    if changes and any(c.kind not in _WENT for c in changes):
        return unverifiable("the file was there before, and is changed", map(_shown, changes))
    if claim.scoped:
        return unverifiable("it may be the name in another file that is meant")
    if facts.lines_with(wanted, added=True, word=False):
        return unverifiable("the name is in an added line; no such file is new")
    there = _in(wanted, facts.paths_after)
    if there:
        return contradicted(
            "the file was there before, and is not changed",
            [Evidence("in the tree, unchanged", path) for path in there],
        )
    return contradicted("there is no such file after this commit", [Evidence("not in the tree")])


def _removed(claim: Claim, wanted: str, changes: list[FileChange], facts: Facts) -> Judgement:
    went = [c for c in changes if c.kind in _WENT and matches(wanted, c.old_path)]
    if went:
        return backed("the file is gone", map(_shown, went))
    if changes or claim.scoped or facts.lines_with(wanted, added=False, word=False):
        return unverifiable("the file is not removed, something about it is", map(_shown, changes))
    there = _in(wanted, facts.paths_after)
    if there:
        return contradicted(
            "the file is still in the tree",
            [Evidence("in the tree, unchanged", path) for path in there],
        )
    return unverifiable("there was no such file")


def judge_renamed_path(claim: Claim, facts: Facts) -> Judgement:
    """``rename a.py to b.py``."""
    if facts.commit.clipped:
        return unverifiable("the commit has more files than are read")
    old, new = plain_path(claim.target), plain_path(claim.other)
    pairs = [c for c in facts.files if matches(old, c.old_path) and matches(new, c.path)]
    if any(c.kind in (ChangeKind.RENAMED, ChangeKind.COPIED) for c in pairs):
        return backed("git sees the rename", map(_shown, pairs))
    went = [c for c in _changes(old, facts) if c.kind in _WENT]
    came = [c for c in _changes(new, facts) if c.kind in _CAME]
    if went and came:
        return backed("one file is gone, the other is new", map(_shown, [*went, *came]))
    left = [path for path in _in(old, facts.paths_after) if not matches(new, path)]
    if not _in(new, facts.paths_after):
        return contradicted(
            f"there is no {shown(new)} after this commit",
            [Evidence("in the tree", path) for path in left] or [Evidence("not in the tree")],
        )
    if left and not came and not went:
        return contradicted(
            "the old file is still in the tree, and no file came in its place",
            [Evidence("in the tree", path) for path in left],
        )
    return unverifiable("something else became of these files")


def judge_unchanged(claim: Claim, facts: Facts) -> Judgement:
    """A file or folder that is said to be as it was."""
    wanted = plain_path(claim.target)
    changes = [c for c in _changes(wanted, facts) if c.content_changed]
    if changes:
        return contradicted("it is changed by this commit", map(_shown, changes))
    if facts.commit.clipped:
        return unverifiable("the commit has more files than are read")
    if _in(wanted, facts.paths_after):
        return backed("it is not among the changed files")
    return unverifiable("there is no such file here")
