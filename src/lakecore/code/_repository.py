"""`Repository`: commits, differences, trees and files of a git repository, read only."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lakecore.base import InvalidInput, NotFound
from lakecore.base.limits import MIB
from lakecore.code._blobs import Blobs
from lakecore.code._git import Git, GitFailed, GitLimits, check_version
from lakecore.code._records import (
    COMMIT_FORMAT,
    Commit,
    Diff,
    TreeEntry,
    read_commits,
    read_diff,
    read_tree,
    shown,
    to_path,
)
from lakecore.code._source import Source, SourceKind, to_source

_MAX_REVISION_CHARS: Final = 1_000
_MAX_GREP_BYTES: Final = 1 * MIB
_RENAMES: Final = ("-M", "-l1000")
_STATES: Final = {
    "MERGE_HEAD": "merging",
    "rebase-merge": "rebasing",
    "rebase-apply": "rebasing",
    "CHERRY_PICK_HEAD": "cherry-picking",
    "REVERT_HEAD": "reverting",
    "BISECT_LOG": "bisecting",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was found: its number counts from 1."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """Lines that contain what was looked for; not `whole` when there are more."""

    lines: tuple[Line, ...]
    whole: bool = True


class Repository:
    """A git repository, read through the git command line; nothing is ever written.

    Several threads may use one. Close it, or use it as a context manager.

    Attributes:
        root: the working tree, or the repository itself if it has none (`bare`).
        git_dir: where its objects are.
        limits: the bounds of every call.
    """

    def __init__(self, root: Path, git_dir: Path, limits: GitLimits) -> None:
        self.root = root
        self.git_dir = git_dir
        self.limits = limits
        self._git = Git(root, limits, git_dir)
        self._blobs = Blobs(self._git)

    @classmethod
    def open(cls, path: str | Path = ".", *, limits: GitLimits | None = None) -> Repository:
        """The repository that `path` lies in.

        Raises `NotFound` where there is none, `Stop` where git is missing, too old, or does
        not trust the repository's owner.
        """
        place = Path(path)
        if not place.is_dir():
            raise NotFound("there is no such directory", where=place)
        bounds = limits or GitLimits()
        git = Git(place.resolve(), bounds)
        check_version(git)
        answer = git.run("rev-parse", "--absolute-git-dir", "--is-bare-repository")
        *name, bare = answer.decode("utf-8", "surrogateescape").rstrip("\n").split("\n")
        git_dir = Path("\n".join(name))
        if bare == "true":
            return cls(git_dir, git_dir, bounds)
        top = git.run("rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape")
        return cls(Path(top.rstrip("\n")), git_dir, bounds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._blobs.close()

    # What state it is in

    @cached_property
    def bare(self) -> bool:
        return self.root == self.git_dir

    @cached_property
    def shallow(self) -> frozenset[str]:
        """Commits at which a shallow clone ends; empty for a whole one."""
        common = self._git.run("rev-parse", "--git-common-dir").decode("utf-8", "surrogateescape")
        place = self.root / common.rstrip("\n") / "shallow"
        with contextlib.suppress(FileNotFoundError):
            return frozenset(place.read_text("ascii").split())
        return frozenset()

    @property
    def state(self) -> str:
        """What is under way: ``clean``, ``merging``, ``rebasing`` and so on.

        Commits can be read in any of them; the working tree is then between two commits.
        """
        for name, state in _STATES.items():
            if (self.git_dir / name).exists():
                return state
        return "clean"

    @cached_property
    def empty_tree(self) -> str:
        """The tree that has no files, what a first commit is compared with."""
        return self._git.run("hash-object", "-t", "tree", "/dev/null").decode("ascii").strip()

    # Commits

    def resolve(self, revision: str) -> str:
        """The id of the commit that a revision names. Raises `NotFound`."""
        _check_revision(revision)
        try:
            answer = self._git.run(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
            )
        except GitFailed as error:
            raise self._no_such(revision) from error
        return answer.decode("ascii").strip()

    def _no_such(self, revision: str) -> NotFound:
        hint = None
        if self.shallow:
            hint = "the clone is shallow and may lack it: git fetch --unshallow"
        elif revision == "HEAD":
            hint = "the repository may have no commit yet"
        return NotFound("there is no such commit", found=revision, where=self.root, hint=hint)

    def commit(self, revision: str = "HEAD") -> Commit:
        """One commit with its files. Raises `NotFound`."""
        sha = self.resolve(revision)
        for commit in self._log("--max-count=1", "--end-of-options", sha):
            return commit
        raise self._no_such(revision)

    def commits(
        self, revisions: str = "HEAD", *, oldest_first: bool = False, max_count: int | None = None
    ) -> Iterator[Commit]:
        """The commits of a range, newest first, one at a time, each with its files.

        Args:
            revisions: ``A..B``, ``A...B``, or one revision: then it and all before it.
            oldest_first: in the other order; git then keeps the list, of ids only.
            max_count: the newest so many.

        Memory does not grow with the number of commits. A merge has the files in which it
        differs from its first parent.
        """
        left, dots, right = _split_range(revisions)
        ends = [self.resolve(end or "HEAD") for end in ((left, right) if dots else (left,))]
        selection = dots.join(ends) if dots else ends[0]
        options = ["--reverse"] if oldest_first else []
        if max_count is not None:
            options.append(f"--max-count={max_count}")
        yield from self._log(*options, "--end-of-options", selection)

    def count(self, revisions: str) -> int:
        """How many commits a range has."""
        left, dots, right = _split_range(revisions)
        ends = [self.resolve(end or "HEAD") for end in ((left, right) if dots else (left,))]
        selection = dots.join(ends) if dots else ends[0]
        return int(self._git.run("rev-list", "--count", "--end-of-options", selection))

    def _log(self, *arguments: str) -> Iterator[Commit]:
        tokens = self._git.tokens(
            "log",
            "-z",
            "--raw",
            "--no-abbrev",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--encoding=UTF-8",
            "--no-show-signature",
            "--diff-merges=first-parent",
            *_RENAMES,
            f"--format=tformat:{COMMIT_FORMAT}",
            *arguments,
            max_token_bytes=self.limits.max_message_bytes,
        )
        return read_commits(tokens, max_files=self.limits.max_files, shallow=self.shallow)

    def churn(self, revisions: str = "HEAD", *, max_count: int = 10_000) -> Counter[str]:
        """How many of the newest commits of a range changed each file; renames are not joined."""
        counts: Counter[str] = Counter()
        for commit in self.commits(revisions, max_count=max_count):
            if len(commit.parents) < 2:
                counts.update(change.path for change in commit.files)
        return counts

    # Differences

    def parent(self, commit: Commit) -> str:
        """What a commit is compared with: its first parent, or the tree that has no files."""
        return commit.parents[0] if commit.parents else self.empty_tree

    def diff_of(self, commit: Commit) -> Diff:
        """What a commit changes, a merge against its first parent."""
        return self.diff(self.parent(commit), commit.sha)

    def diff(self, old: str, new: str, *, ignore_space: bool = False) -> Diff:
        """The differences between two commits (ids, or what `resolve` gives)."""
        output, whole = self._git.run_bounded(
            "diff-tree",
            "-r",
            "-z",
            "--raw",
            "-p",
            "-U0",
            "--inter-hunk-context=0",
            "--diff-algorithm=histogram",
            "--no-abbrev",
            "--full-index",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            *_RENAMES,
            *(["-w"] if ignore_space else []),
            "--end-of-options",
            old,
            new,
            max_bytes=self.limits.max_patch_bytes,
        )
        return read_diff(output, whole=whole)

    # Trees and files

    def tree(self, revision: str = "HEAD", *, under: str = "") -> tuple[TreeEntry, ...]:
        """The files of a commit, all or those below a folder."""
        below = ["--", under] if under else []
        output = self._git.run(
            "ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", revision, *below
        )
        return tuple(read_tree(output))

    def tracked(self) -> tuple[str, ...]:
        """The files of the working tree that git knows, each once, also during a merge."""
        output = self._git.run("ls-files", "-z")
        return tuple(dict.fromkeys(to_path(name) for name in output.split(b"\0") if name))

    def read(self, revision: str, path: str) -> Source:
        """A file as of a commit. Raises `NotFound`."""
        output = self._git.run(
            "ls-tree", "-z", "-l", "--full-tree", "--end-of-options", revision, "--", path
        )
        for entry in read_tree(output):
            if entry.path == path:
                return self.read_entry(entry)
        raise NotFound("there is no such file", where=f"{revision[:12]}:{shown(path)}")

    def read_entry(self, entry: TreeEntry) -> Source:
        """A file of a tree; links and submodules are named, not followed."""
        if entry.is_submodule:
            return Source(entry.path, SourceKind.SUBMODULE)
        if entry.is_link:
            return Source(entry.path, SourceKind.LINK)
        return self.read_blob(entry.blob, entry.path)

    def read_blob(self, blob: str, path: str) -> Source:
        """A blob by its id, read as the file at `path` would be."""
        if not blob.strip("0"):
            return to_source(path, b"")
        return to_source(path, self._blobs.read(blob, max_bytes=self.limits.max_blob_bytes))

    def read_bytes(self, entry: TreeEntry, *, max_bytes: int) -> bytes | None:
        """A file's bytes as they are stored, of a link its target; None beyond `max_bytes`."""
        return self._blobs.read(entry.blob, max_bytes=max_bytes)

    def find(
        self, revision: str, text: str, *, word: bool = True, under: Sequence[str] = ()
    ) -> Found:
        """Lines of a commit's text files that contain `text` as it is written.

        Args:
            word: only where no letter, digit or underscore is beside it.
            under: only in these files and folders.
        """
        if not text or "\n" in text or "\0" in text:
            raise InvalidInput("only one line of text can be looked for", found=repr(text)[:80])
        _check_revision(revision)
        output, whole = self._git.run_bounded(
            "grep",
            "-z",
            "-n",
            "-I",
            "-F",
            "--full-name",
            "--no-color",
            "--no-textconv",
            *(["-w"] if word else []),
            "-e",
            text,
            revision,
            *(["--", *under] if under else []),
            max_bytes=_MAX_GREP_BYTES,
            accepted=(0, 1),
        )
        return Found(tuple(_read_found(output, len(revision) + 1)), whole)


def _read_found(output: bytes, skipped: int) -> Iterator[Line]:
    """Records ``REVISION:path NUL number NUL text LF``."""
    position = 0
    while True:
        path_end = output.find(b"\0", position)
        number_end = output.find(b"\0", path_end + 1)
        end = output.find(b"\n", number_end + 1)
        if path_end < 0 or number_end < 0 or end < 0:
            return
        yield Line(
            to_path(output[position + skipped : path_end]),
            int(output[path_end + 1 : number_end]),
            output[number_end + 1 : end].decode("utf-8", "replace"),
        )
        position = end + 1


def _check_revision(revision: str) -> None:
    bad = not revision or len(revision) > _MAX_REVISION_CHARS
    if bad or revision.startswith("-") or any(char <= " " for char in revision):
        raise InvalidInput("this names no commit", found=repr(revision)[:120])


def _split_range(revisions: str) -> tuple[str, str, str]:
    _check_revision(revisions)
    for dots in ("...", ".."):
        left, found, right = revisions.partition(dots)
        if found:
            return left, dots, right
    return revisions, "", ""
