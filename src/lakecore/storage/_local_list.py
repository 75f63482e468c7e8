"""Walks of a local store's folders, in the order of the objects' paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from lakecore.storage._paths import TEMP_PREFIX, is_unfinished
from lakecore.storage._port import ObjectInfo


def walk(folder: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """The objects in and under `folder`, whose paths start with `prefix`, above `after`.

    Code points sort as UTF-8 bytes do, hence as object stores do. A folder counts
    with its slash: ``a.b`` comes before ``a/b`` because ``.`` comes before ``/``.
    """
    for name in _names(folder):
        path = prefix + name
        if path <= after and not (name.endswith("/") and after.startswith(path)):
            continue
        if name.endswith("/"):
            yield from walk(folder + name, path, after)
            continue
        try:
            status = os.lstat(folder + name)
        except FileNotFoundError:
            continue  # deleted since the folder was read
        if stat.S_ISREG(status.st_mode):
            yield ObjectInfo(path, status.st_size, status.st_mtime_ns // 1_000)


def has_object(folder: str) -> bool:
    """Whether anything in or under `folder` is an object; looks no further than needed."""
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and not is_unfinished(entry.name):
                    return True
    except FileNotFoundError:
        return False
    return any(has_object(below) for below in folders)


def sweep_folder(folder: str, before_s: float) -> int:
    """Remove our temporary files in and under `folder` that were last written before that."""
    removed = 0
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name.startswith(TEMP_PREFIX):
                    removed += _remove_old(entry, before_s)
    except FileNotFoundError:
        return removed
    return removed + sum(sweep_folder(below, before_s) for below in folders)


def _names(folder: str) -> list[str]:
    """What is in `folder`, sorted; folders with a slash at the end."""
    try:
        with os.scandir(folder) as entries:
            names = [
                f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                for entry in entries
                if not is_unfinished(entry.name) and not entry.is_symlink()
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    names.sort()
    return names


def _remove_old(entry: os.DirEntry[str], before_s: float) -> int:
    try:
        if entry.stat(follow_symlinks=False).st_mtime >= before_s:
            return 0
        os.unlink(entry.path)
    except FileNotFoundError:
        return 0  # it was finished, or somebody else swept it
    return 1
