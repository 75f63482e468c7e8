"""A commit's files in a folder, from git's objects alone: what is stored, and nothing that runs.

No checkout: it would run hooks and the programs that attributes and configuration name. Blobs
are written as they are stored, without filters and with the line ends that they have; submodules
stay empty folders, pointers of large files stay pointers. Nothing is written outside the folder:

1. every name is checked: no ``..``, no ``.git``, nothing absolute
2. files are written where nothing is yet, before there is any link that could be followed
3. links come last, and only those whose target goes up no further than the folder itself, and
   then only down: whatever other links are on its way, it stays within. No name goes through a
   link.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import Inconclusive
from lakecore.base.limits import MIB
from lakecore.code._records import TreeEntry, shown

if TYPE_CHECKING:
    from lakecore.code._repository import Repository

MAX_LINK_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportLimits:
    """Bounds of a folder.

    Attributes:
        max_bytes: of all files together.
        max_file_bytes: of one file, which is in memory while it is written.
        max_files: of files, links and submodules.
    """

    max_bytes: int = 512 * MIB
    max_file_bytes: int = 128 * MIB
    max_files: int = 50_000


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `submodules` are empty folders."""

    files: int
    size_bytes: int
    submodules: tuple[str, ...] = ()


def export_tree(
    repository: Repository,
    revision: str,
    folder: Path,
    *,
    carried: Sequence[str] = (),
    carried_from: str = "",
    limits: ExportLimits | None = None,
) -> Exported:
    """Write the files of a commit into an empty folder.

    Args:
        carried: paths of files and folders that are taken from the commit `carried_from`.

    Raises:
        Inconclusive: it is larger than the limits, an object is not to be had, a name could not
            be a file's, or a link leads out of it. What was written until then stays.
    """
    limits = limits or ExportLimits()
    entries = repository.tree(revision)
    if carried:
        own = [entry for entry in entries if not _is_below(entry.path, carried)]
        others = repository.tree(carried_from)
        entries = (*own, *(entry for entry in others if _is_below(entry.path, carried)))
    if len(entries) > limits.max_files:
        raise _cannot("too many files", f"at most {limits.max_files:,}", f"{len(entries):,}")
    size_bytes = sum(entry.size_bytes or 0 for entry in entries)
    if size_bytes > limits.max_bytes:
        raise _cannot("too large", f"at most {limits.max_bytes:,} bytes", f"{size_bytes:,}")
    _check_paths(entries)
    try:
        submodules = _write(repository, entries, folder, limits.max_file_bytes)
    except OSError as error:
        raise _cannot(
            "it cannot be written", "", f"{type(error).__name__}: {error.strerror}"
        ) from (error)
    return Exported(len(entries) - len(submodules), size_bytes, submodules)


def _write(
    repository: Repository, entries: Sequence[TreeEntry], folder: Path, max_file_bytes: int
) -> tuple[str, ...]:
    links: list[tuple[TreeEntry, str]] = []
    submodules = []
    for entry in entries:
        place = folder / entry.path
        if entry.is_submodule:
            submodules.append(entry.path)
            place.mkdir(parents=True, exist_ok=True)
            continue
        data = repository.read_bytes(entry, max_bytes=max_file_bytes)
        if data is None:
            raise _cannot("a file is too large", f"at most {max_file_bytes:,}", entry.path)
        if entry.is_link:
            links.append((entry, _checked_target(entry, data)))
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o755 if entry.mode == "100755" else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(place, flags, mode), "wb") as file:
            file.write(data)
    for entry, target in links:
        place = folder / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    return tuple(submodules)


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in folders)


def _check_paths(entries: Sequence[TreeEntry]) -> None:
    links = {entry.path.casefold() for entry in entries if entry.is_link}
    for entry in entries:
        parts = entry.path.split("/")
        bad = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
        folders = ("/".join(parts[:end]).casefold() for end in range(1, len(parts)))
        if bad or any(folder in links for folder in folders):
            raise _cannot("a name that no file may have", "", shown(entry.path)[:200])


def _checked_target(entry: TreeEntry, data: bytes) -> str:
    """Where a link leads, if that is within the tree; see the module."""
    target = data.decode("utf-8", "surrogateescape")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    leaves = (
        not target
        or len(data) > MAX_LINK_BYTES
        or target.startswith("/")
        or ups > entry.path.count("/")
        or ".." in parts[ups:]
    )
    if leaves:
        found = f"{shown(entry.path)[:200]} → {shown(target)[:200]}"
        raise _cannot("a link that leads out of the tree", "", found)
    return target


def _cannot(why: str, expected: str, found: str) -> Inconclusive:
    return Inconclusive(
        f"the commit cannot be put into a folder: {why}", expected=expected or None, found=found
    )
