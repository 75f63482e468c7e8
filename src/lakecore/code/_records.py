"""What git says, as values; no I/O. Paths are text in which any byte survives.

A path that is no UTF-8 has surrogates (`os.fsdecode`'s way), so that it can be given back to
git; `shown` makes it fit to print.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from lakecore.base import CorruptData

COMMIT_FORMAT: Final = "%H%x00%P%x00%an%x00%ae%x00%ct%x00%B%x00"
_COMMIT_FIELDS: Final = 6
_SUBMODULE_MODE: Final = "160000"
_LINK_MODE: Final = "120000"


class ChangeKind(Enum):
    """What happened to a file."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    RETYPED = "retyped"


_KINDS: Final = {
    "A": ChangeKind.ADDED,
    "D": ChangeKind.REMOVED,
    "M": ChangeKind.MODIFIED,
    "R": ChangeKind.RENAMED,
    "C": ChangeKind.COPIED,
    "T": ChangeKind.RETYPED,
}


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a commit: `old_path` and `path` differ for what was renamed.

    A removed file has its former path in both. `similarity` is git's, 0 to 100.
    """

    kind: ChangeKind
    path: str
    old_path: str
    old_mode: str
    mode: str
    old_blob: str
    blob: str
    similarity: int = 0

    @property
    def is_submodule(self) -> bool:
        return _SUBMODULE_MODE in (self.old_mode, self.mode)

    @property
    def is_link(self) -> bool:
        return _LINK_MODE in (self.old_mode, self.mode)

    @property
    def content_changed(self) -> bool:
        """Not only its name or mode."""
        return self.old_blob != self.blob


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit and the files that it changes, a merge against its first parent.

    Attributes:
        time_s: when it was committed, seconds since 1970.
        clipped: message or list of files was longer than the bounds, and is cut.
        boundary: a shallow clone ends here: its parents are not known.
    """

    sha: str
    parents: tuple[str, ...]
    author: str
    email: str
    time_s: int
    message: str
    files: tuple[FileChange, ...] = ()
    clipped: bool = False
    boundary: bool = False

    @property
    def subject(self) -> str:
        return self.message.split("\n", 1)[0].strip()


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that were replaced; line numbers count from 1, a start is the first line touched.

    Where nothing was removed, `old_start` is the line after which the new ones stand, as in a
    unified diff; the same for `new_start` where nothing was added.
    """

    old_start: int
    new_start: int
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """A changed file with its hunks; `binary` ones have none."""

    change: FileChange
    hunks: tuple[Hunk, ...] = ()
    binary: bool = False

    @property
    def opaque(self) -> bool:
        """Something changed that no hunk shows."""
        return self.binary or self.change.is_submodule


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences between two commits; `clipped` when there are more than were read."""

    files: tuple[FileDiff, ...] = ()
    clipped: bool = False

    @property
    def added_lines(self) -> int:
        return sum(len(hunk.added) for file in self.files for hunk in file.hunks)

    @property
    def removed_lines(self) -> int:
        return sum(len(hunk.removed) for file in self.files for hunk in file.hunks)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file of a commit's tree; `size_bytes` is None for a submodule, or if it is lost."""

    path: str
    mode: str
    blob: str
    size_bytes: int | None

    @property
    def is_submodule(self) -> bool:
        return self.mode == _SUBMODULE_MODE

    @property
    def is_link(self) -> bool:
        return self.mode == _LINK_MODE


def to_path(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """A path that can be printed and encoded: bytes that are no UTF-8 as ``\\xNN``.

    >>> shown("caf\\udce9.py")
    'caf\\\\xe9.py'
    """
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def read_commits(
    tokens: Iterable[tuple[bytes, bool]], *, max_files: int, shallow: frozenset[str]
) -> Iterator[Commit]:
    """Commits out of ``git log -z --raw --format=COMMIT_FORMAT``, one at a time."""
    parts = iter(tokens)
    header: list[bytes] | None = None
    files: list[FileChange] = []
    clipped = False
    for part, whole in parts:
        token = part.lstrip(b"\n")
        if not token:
            continue
        if token.startswith(b":"):
            change = _read_change(token, parts)
            if len(files) < max_files:
                files.append(change)
            else:
                clipped = True
            continue
        if header is not None:
            yield _make_commit(header, files, clipped, shallow)
        header, files, clipped = [token], [], not whole
        for _ in range(_COMMIT_FIELDS - 1):
            field_text, field_whole = next(parts, (b"", True))
            header.append(field_text)
            clipped = clipped or not field_whole
    if header is not None:
        yield _make_commit(header, files, clipped, shallow)


def _make_commit(
    header: list[bytes], files: list[FileChange], clipped: bool, shallow: frozenset[str]
) -> Commit:
    sha, parents, author, email, time_s, message = header
    name = sha.strip().decode("ascii", "replace")
    return Commit(
        sha=name,
        parents=tuple(parents.decode("ascii", "replace").split()),
        author=_text(author),
        email=_text(email),
        time_s=int(time_s or 0),
        message=_text(message).replace("\r\n", "\n").rstrip("\n"),
        files=tuple(files),
        clipped=clipped,
        boundary=name in shallow,
    )


def _read_change(token: bytes, rest: Iterator[tuple[bytes, bool]]) -> FileChange:
    """A line of ``--raw -z``: modes, blobs and status, then one path or two."""
    try:
        old_mode, mode, old_blob, blob, status = token[1:].decode("ascii").split(" ")
        kind = _KINDS[status[0]]
        paths = [to_path(next(rest)[0])]
        if kind in (ChangeKind.RENAMED, ChangeKind.COPIED):
            paths.append(to_path(next(rest)[0]))
    except (ValueError, KeyError, StopIteration) as error:
        raise CorruptData("git's list of files is not understood", found=token[:200]) from error
    return FileChange(
        kind=kind,
        path=paths[-1],
        old_path=paths[0],
        old_mode=old_mode,
        mode=mode,
        old_blob=old_blob,
        blob=blob,
        similarity=int(status[1:] or 0),
    )


def read_diff(output: bytes, *, whole: bool) -> Diff:
    """Out of ``git diff-tree -z --raw -p -U0``: the list of files, then their patches in order.

    The patches are matched to the files by their order, never by the paths in their headers,
    and hunks are read by the number of lines that they announce, so that no content is taken
    for a header.
    """
    changes, start = _read_change_list(output)
    if start is None:
        return Diff(tuple(FileDiff(change) for change in changes), clipped=not whole)
    sections = list(_sections(output[start:]))
    files = []
    clipped = not whole
    index = 0
    for change in changes:
        wanted = 2 if change.kind is ChangeKind.RETYPED else 1
        part = sections[index : index + wanted]
        index += wanted
        cut = not whole and index >= len(sections)
        if len(part) < wanted or cut:
            clipped = True
            break
        hunks = tuple(hunk for section in part for hunk in section.hunks)
        files.append(FileDiff(change, hunks, any(section.binary for section in part)))
    return Diff(tuple(files), clipped=clipped)


def _read_change_list(output: bytes) -> tuple[list[FileChange], int | None]:
    """The changes in front, and where the patches begin."""
    changes: list[FileChange] = []
    position = 0
    while output[position : position + 1] == b":":
        tokens = []
        for _ in range(3):
            end = output.find(b"\0", position)
            if end < 0:
                return changes, None
            tokens.append(output[position:end])
            position = end + 1
            if len(tokens) == 2 and tokens[0].rsplit(b" ", 1)[-1][:1] not in (b"R", b"C"):
                break
        changes.append(_read_change(tokens[0], iter([(part, True) for part in tokens[1:]])))
    if output[position : position + 1] == b"\0":
        position += 1
    return changes, position if position < len(output) else None


@dataclass(slots=True)
class _Section:
    hunks: list[Hunk] = field(default_factory=list)
    binary: bool = False


def _sections(patch: bytes) -> Iterator[_Section]:
    lines = patch.split(b"\n")
    section: _Section | None = None
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if line.startswith(b"diff --git "):
            if section is not None:
                yield section
            section = _Section()
        elif section is None:
            continue
        elif line.startswith((b"Binary files ", b"GIT binary patch")):
            section.binary = True
        elif line.startswith(b"@@ "):
            hunk, index = _read_hunk(line, lines, index)
            section.hunks.append(hunk)
    if section is not None:
        yield section


def _read_hunk(header: bytes, lines: list[bytes], index: int) -> tuple[Hunk, int]:
    _, old, new, _ = header.split(b" ", 3)
    old_start, old_count = _span(old)
    new_start, new_count = _span(new)
    removed: list[str] = []
    added: list[str] = []
    while index < len(lines) and (len(removed) < old_count or len(added) < new_count):
        line = lines[index]
        index += 1
        if line.startswith(b"-"):
            removed.append(_text(line[1:]))
        elif line.startswith(b"+"):
            added.append(_text(line[1:]))
        elif not line.startswith(b"\\"):
            break
    return Hunk(old_start, new_start, tuple(removed), tuple(added)), index


def _span(text: bytes) -> tuple[int, int]:
    start, _, count = text[1:].partition(b",")
    return int(start), int(count) if count else 1


def read_tree(output: bytes) -> Iterator[TreeEntry]:
    """Out of ``git ls-tree -r -z -l``."""
    for record in output.split(b"\0"):
        if not record:
            continue
        facts, _, path = record.partition(b"\t")
        mode, _kind, blob, size = facts.decode("ascii").split()
        # git says "BAD" where it has no such object; whoever reads it is told.
        yield TreeEntry(to_path(path), mode, blob, int(size) if size.isdigit() else None)
