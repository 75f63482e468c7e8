"""What is true of a commit, looked up when it is asked for and bounded: the judge's witness."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from lakecore.auditor._dependencies import Dependency, is_manifest, read_manifest
from lakecore.auditor._model import Evidence
from lakecore.auditor._uses import MAX_PARSED_FILES, Use, in_rust_tests, use_of
from lakecore.code import (
    ChangeKind,
    Commit,
    Diff,
    FileChange,
    FileDiff,
    Language,
    Repository,
    Sameness,
    Source,
    SourceKind,
    TestCase,
    compare,
    find_tests,
    is_document,
    is_test_path,
    language_of,
    parse,
    shown,
)

MAX_EVIDENCE: Final = 5
MAX_COMPARED_FILES: Final = 400
_MAX_SHOWN: Final = 200
_DOCTEST: Final = re.compile(r"^\s*(?://[/!]\s*)?>>> ")
_GONE: Final = frozenset((ChangeKind.REMOVED,))


def as_evidence(path: str, line: int | None, text: str, *, side: str = "new") -> Evidence:
    """A line as evidence; too long a one is cut."""
    return Evidence(text.strip()[:_MAX_SHOWN], path, line, side)


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@dataclass(slots=True)
class TestDelta:
    """Tests of the changed files, before and after.

    Attributes:
        added: those that are new, moved ones not counted.
        removed: those that are gone.
        before: how many the changed files had, by file.
        after: how many they have.
        uncertain: why a number cannot be told exactly; empty if it can.
    """

    __test__ = False

    added: list[tuple[str, TestCase]] = field(default_factory=list)
    removed: list[tuple[str, TestCase]] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    uncertain: str = ""
    touched: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Compared:
    """A changed file of code before and after, and how much of it is the same.

    `broken` says that its grammar does not accept one of the two.
    """

    change: FileChange
    sameness: Sameness
    broken: bool
    old: str
    new: str
    language: Language


class Facts:
    """A commit and its first parent; everything is read once, when it is needed."""

    def __init__(self, repository: Repository, commit: Commit) -> None:
        self.repository = repository
        self.commit = commit
        self.unread_manifests: list[str] = []
        self._uses: dict[tuple[str, bool], Use] = {}

    @property
    def files(self) -> tuple[FileChange, ...]:
        return self.commit.files

    @cached_property
    def diff(self) -> Diff:
        return self.repository.diff_of(self.commit)

    @cached_property
    def opaque(self) -> str:
        """Why the lines of this commit are not all known; empty if they are."""
        if self.diff.clipped or self.commit.clipped:
            return "the change is larger than what is read"
        for file in self.diff.files:
            if file.opaque:
                kind = "a submodule" if file.change.is_submodule else "binary"
                return f"{shown(file.change.path)} is {kind}"
        return ""

    # Lines of the diff

    def lines_with(self, name: str, *, added: bool, word: bool = True) -> list[Evidence]:
        """Added or removed lines that contain a name, at most 5.

        Without `word` in any spelling: only letters and digits are compared, in any case.
        """
        pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])")
        squeezed = _squeezed(name)
        found = []
        for path, number, text in self.changed_lines(added=added):
            if pattern.search(text) or (not word and squeezed in _squeezed(text)):
                found.append(as_evidence(path, number, text, side="new" if added else "old"))
                if len(found) >= MAX_EVIDENCE:
                    break
        return found

    def count_lines(self, name: str, *, added: bool) -> int:
        """How often a name stands in the added or removed lines."""
        pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])")
        return sum(len(pattern.findall(text)) for _, _, text in self.changed_lines(added=added))

    def changed_lines(self, *, added: bool) -> Iterator[tuple[str, int, str]]:
        for file in self.diff.files:
            path = file.change.path if added else file.change.old_path
            for hunk in file.hunks:
                start = hunk.new_start if added else hunk.old_start
                for index, text in enumerate(hunk.added if added else hunk.removed):
                    yield path, start + index, text

    # Trees

    @cached_property
    def paths_after(self) -> frozenset[str]:
        return frozenset(entry.path for entry in self.repository.tree(self.commit.sha))

    @cached_property
    def paths_before(self) -> frozenset[str]:
        """Made of the tree after, and of what changed."""
        came = {c.path for c in self.files if c.kind in (ChangeKind.ADDED, ChangeKind.COPIED)}
        came |= {c.path for c in self.files if c.kind is ChangeKind.RENAMED}
        went = {
            c.old_path for c in self.files if c.kind in (ChangeKind.REMOVED, ChangeKind.RENAMED)
        }
        return (self.paths_after - came) | went

    def use(self, name: str, *, after: bool = True) -> Use:
        """Where a name is, after this commit or before it."""
        key = (name, after)
        if key not in self._uses:
            revision = self.commit.sha if after else self.repository.parent(self.commit)
            self._uses[key] = use_of(name, revision, self.repository)
        return self._uses[key]

    # Files

    def source(self, change: FileChange, *, after: bool) -> Source:
        if change.is_submodule:
            return Source(change.path, SourceKind.SUBMODULE)
        path = change.path if after else change.old_path
        return self.repository.read_blob(change.blob if after else change.old_blob, path)

    @cached_property
    def dependencies(
        self,
    ) -> tuple[dict[str, frozenset[Dependency]], dict[str, frozenset[Dependency]]]:
        """By manifest, before and after; only manifests that changed. See `all_dependencies`."""
        before: dict[str, frozenset[Dependency]] = {}
        after: dict[str, frozenset[Dependency]] = {}
        for change in self.files:
            if not (is_manifest(change.path) or is_manifest(change.old_path)):
                continue
            for into, late in ((before, False), (after, True)):
                source = self.source(change, after=late)
                read = read_manifest(change.path, source.text) if source.text else frozenset()
                if read is None or not source.readable:
                    self.unread_manifests.append(change.path)
                    continue
                into[change.path] = read
        return before, after

    @cached_property
    def all_dependencies(self) -> dict[str, frozenset[Dependency]]:
        """Those of every manifest after this commit, by path; at most 60 are read."""
        found: dict[str, frozenset[Dependency]] = {}
        for entry in self.repository.tree(self.commit.sha):
            if is_manifest(entry.path) and len(found) < MAX_PARSED_FILES:
                source = self.repository.read_entry(entry)
                read = read_manifest(entry.path, source.text) if source.text else None
                if read is not None:
                    found[entry.path] = read
        return found

    @cached_property
    def in_rust_tests(self) -> bool:
        """Whether an added line stands among tests that are beside the code."""
        for file in self.diff.files:
            if language_of(file.change.path) is not Language.RUST or not file.hunks:
                continue
            code = parse(self.source(file.change, after=True).text, Language.RUST)
            if any(in_rust_tests(code, hunk.new_start) for hunk in file.hunks if hunk.added):
                return True
        return False

    @cached_property
    def compared(self) -> tuple[Compared, ...]:
        """Every changed file of code that can be read, at most 400."""
        found = []
        for change in self.files[:MAX_COMPARED_FILES]:
            if is_document(change.path) or not change.content_changed:
                continue
            old, new = self.source(change, after=False), self.source(change, after=True)
            language = new.language if new.language.has_symbols else old.language
            if not language.has_symbols or not (old.readable and new.readable):
                continue
            sameness = compare(old.text, new.text, language).sameness
            broken = parse(old.text, language).broken or parse(new.text, language).broken
            found.append(Compared(change, sameness, broken, old.text, new.text, language))
        return tuple(found)

    @cached_property
    def tests(self) -> TestDelta:
        return _tests_of(self)

    def diff_of(self, change: FileChange) -> FileDiff | None:
        return next((file for file in self.diff.files if file.change.path == change.path), None)


def _tests_of(facts: Facts) -> TestDelta:
    delta = TestDelta()
    before: dict[tuple[str, str], TestCase] = {}
    after: dict[tuple[str, str], TestCase] = {}
    if facts.commit.clipped or len(facts.files) > MAX_COMPARED_FILES:
        delta.uncertain = "the commit has more files than are read"
    for change in facts.files[:MAX_COMPARED_FILES]:
        test_path = is_test_path(change.path) or is_test_path(change.old_path)
        if test_path:
            delta.touched.append(change.path)
        sources = [facts.source(change, after=late) for late in (False, True)]
        if not any(source.language.has_symbols for source in sources):
            if test_path and not is_document(change.path):
                delta.uncertain = f"tests may be in {shown(change.path)}"
            continue
        for source, into, counts in zip(
            sources, (before, after), (delta.before, delta.after), strict=True
        ):
            if not source.readable:
                delta.uncertain = f"{shown(change.path)} is {source.kind.value}"
                continue
            code = parse(source.text, source.language)
            cases = find_tests(code, source.path, source.text)
            counts[change.path] = len(cases)
            if code.broken and test_path:
                delta.uncertain = f"{shown(change.path)} is not understood"
            for case in cases:
                into[(change.path, case.qualified)] = case
    _note_differences(delta, before, after)
    for path, _, text in facts.changed_lines(added=True):
        if _DOCTEST.match(text):
            delta.touched.append(path)
            delta.uncertain = delta.uncertain or f"examples in {shown(path)} may count as tests"
            break
    return delta


def _note_differences(
    delta: TestDelta,
    before: dict[tuple[str, str], TestCase],
    after: dict[tuple[str, str], TestCase],
) -> None:
    added = {key: case for key, case in after.items() if key not in before}
    removed = {key: case for key, case in before.items() if key not in after}
    gone = [name for _, name in removed]
    for (path, name), case in added.items():
        if name in gone:
            gone.remove(name)
        else:
            delta.added.append((path, case))
    come = [name for _, name in added]
    for (path, name), case in removed.items():
        if name in come:
            come.remove(name)
        else:
            delta.removed.append((path, case))
    changed = [*added.values(), *removed.values()]
    if any(case.many for case in changed) or _multiplied(before, after):
        delta.uncertain = delta.uncertain or "one test stands for several cases"


def _multiplied(
    before: dict[tuple[str, str], TestCase], after: dict[tuple[str, str], TestCase]
) -> bool:
    """Whether a test that stays has several cases: their number may have changed."""
    return any(case.many for key, case in after.items() if key in before)
