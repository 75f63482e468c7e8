"""The files of a git revision that are to be reviewed: by pattern, range, churn, or a list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lakecore.base import Inconclusive, InvalidInput, NotFound
from lakecore.code import ChangeKind, Repository, Source, SourceKind, TreeEntry, is_document
from lakecore.review._ports import FileRef


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files; what is given narrows: a file has to meet all of it.

    Attributes:
        patterns: globs over whole paths (``src/**/*.py``); ``!`` in front leaves out.
        since: only files that differ from this revision.
        churn: only so many files, those that the newest commits changed most.
        paths: only these.
        documents: prose and data files, too.
    """

    patterns: tuple[str, ...] = ()
    since: str | None = None
    churn: int | None = None
    paths: tuple[str, ...] = ()
    documents: bool = False


class GitFiles:
    """`Files` of one revision of a repository.

    Raises:
        NotFound: there is no such revision, or a path of the selection is not in it.
    """

    def __init__(
        self, repository: Repository, revision: str = "HEAD", selection: Selection | None = None
    ) -> None:
        self._repository = repository
        self._revision = repository.resolve(revision)
        self._selection = selection or Selection()

    @property
    def revision(self) -> str:
        return self._revision

    def listed(self) -> Sequence[FileRef]:
        return self._listed

    def source(self, file: FileRef) -> Source:
        return self._repository.read_entry(self._tree[file.path])

    def earlier(self, blob: str, path: str) -> str | None:
        try:
            source = self._repository.read_blob(blob, path)
        except Inconclusive:
            return None  # a shallow clone, or history that was rewritten
        return source.text if source.kind is SourceKind.TEXT else None

    def renames(self, since: str) -> Mapping[str, str]:
        try:
            diff = self._repository.diff(self._repository.resolve(since), self._revision)
        except NotFound:
            return {}
        changes = [file.change for file in diff.files]
        return {one.path: one.old_path for one in changes if one.kind is ChangeKind.RENAMED}

    def has(self, path: str) -> bool:
        return path in self._tree

    @cached_property
    def _tree(self) -> dict[str, TreeEntry]:
        return {entry.path: entry for entry in self._repository.tree(self._revision)}

    @cached_property
    def _listed(self) -> tuple[FileRef, ...]:
        chosen = self._selection
        for path in chosen.paths:
            if path not in self._tree:
                raise NotFound("there is no such file", found=path, where=self._revision[:12])
        wanted = self._by_pattern(chosen.paths or self._tree)
        if chosen.since is not None:
            diff = self._repository.diff(self._repository.resolve(chosen.since), self._revision)
            if diff.clipped:
                raise InvalidInput("the range changes too much to be read", found=chosen.since)
            changed = {file.change.path for file in diff.files}
            wanted = [path for path in wanted if path in changed]
        if chosen.churn is not None:
            counts = self._repository.churn(self._revision)
            wanted = sorted(wanted, key=lambda path: (-counts[path], path))[: chosen.churn]
        return tuple(FileRef(path, self._tree[path].blob) for path in sorted(wanted))

    def _by_pattern(self, paths: Iterable[str]) -> list[str]:
        takes = [_glob(one) for one in self._selection.patterns if not one.startswith("!")]
        leaves = [_glob(one[1:]) for one in self._selection.patterns if one.startswith("!")]
        named = frozenset(self._selection.paths)
        return [
            path
            for path in paths
            if (not takes or any(one.fullmatch(path) for one in takes))
            and not any(one.fullmatch(path) for one in leaves)
            and not self._tree[path].is_submodule
            and not self._tree[path].is_link
            and (self._selection.documents or path in named or takes or not is_document(path))
        ]


def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` stays in a folder, ``**`` crosses folders, ``?`` is one character."""
    parts = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        parts.append(meaning.get(piece, re.escape(piece)))
    return re.compile("".join(parts), re.DOTALL)
