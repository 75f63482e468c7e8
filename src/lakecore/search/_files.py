"""The files of indexes: put on the store create-only, read back whole or not at all.

A file is believed when its SHA-256 is that of the registry, which is asked whenever a file is
opened: what an index holds is read by mapping it into memory, and a graph with a broken link
would answer wrongly, or not at all. On this machine's disk a file is read where it lies; from
a bucket it is fetched once into the state directory, by its hash, within a bound of bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from lakecore.base import CorruptData, NotFound
from lakecore.base.limits import MIB
from lakecore.search._index import StoredFile
from lakecore.storage import Store

TEXT: Final = "text/"
"""Names of files of the text index begin with it."""

_PIECE_BYTES: Final = 8 * MIB
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Files:
    """Threads may share it; processes may share the folder."""

    def __init__(self, store: Store, folder: Path, max_bytes: int) -> None:
        self._store = store
        self._folder = folder
        self._max_bytes = max_bytes

    def put(self, local: Path, path: str) -> StoredFile:
        """Store a file of this machine under a name of its own; durable at the return."""
        digest, size = hashlib.sha256(), 0
        with local.open("rb") as source, self._store.upload(path) as target:
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
                target.write(piece)
        return StoredFile(path, size, digest.hexdigest())

    def local(self, file: StoredFile) -> Path:
        """Where a whole file is on this machine.

        Raises:
            NotFound: it is gone from the store.
            CorruptData: it is not what was written.
        """
        place = self._store.local_path(file.path)
        if place is not None:
            if not place.is_file():
                raise NotFound(
                    "a file of an index is gone",
                    where=file.path,
                    hint="`lakecore index refresh NAME` makes the index of the dataset again",
                )
            if _sha256(place) != file.sha256:
                raise _corrupt(file)
            return place
        kept = self._folder / file.sha256
        if kept.is_file():
            if _sha256(kept) == file.sha256:
                os.utime(kept)
                return kept
            kept.unlink(missing_ok=True)
        return self._fetch(file, kept)

    def text_folder(self, files: Mapping[str, StoredFile], folder: Path) -> Path:
        """The folder of a text index, made of its files, in place of what is there."""
        making = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        making.mkdir(parents=True)
        try:
            for name, file in files.items():
                if not name.startswith(TEXT):
                    continue
                place = making / _checked(name.removeprefix(TEXT))
                place.parent.mkdir(parents=True, exist_ok=True)
                # A copy: the store's own file must not change, whatever the library does.
                shutil.copyfile(self.local(file), place)
            shutil.rmtree(folder, ignore_errors=True)
            making.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            shutil.rmtree(making, ignore_errors=True)  # somebody else made it meanwhile
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        return folder

    def prune(self) -> None:
        """Remove what was used the longest ago, beyond the bound. Whoever maps it keeps it."""
        if not self._folder.is_dir():
            return
        found = []
        for place in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if place.is_file():
                    state = place.stat()
                    found.append((state.st_mtime_ns, state.st_size, place))
        held = sum(size for _, size, _ in found)
        for _, size, place in sorted(found):
            if held <= self._max_bytes:
                return
            place.unlink(missing_ok=True)
            held -= size

    def _fetch(self, file: StoredFile, kept: Path) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}.part")
        digest, at = hashlib.sha256(), 0
        try:
            with part.open("wb") as target:
                while piece := self._store.get_range(file.path, at, _PIECE_BYTES):
                    at += len(piece)
                    digest.update(piece)
                    target.write(piece)
                    if at >= file.size_bytes:
                        break
            if digest.hexdigest() != file.sha256:
                raise _corrupt(file)
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)
        self.prune()
        if not kept.is_file():  # larger than all that may be kept
            raise NotFound(
                "a file of an index is larger than the cache",
                found=f"{file.size_bytes:,} bytes",
                expected=f"at most {self._max_bytes:,}",
                hint="raise [search] index_cache_bytes",
            )
        return kept


def _checked(name: str) -> str:
    """A name of the registry that stays in its folder, or `CorruptData`."""
    parts = name.split("/")
    if len(parts) > 4 or not all(_NAME.fullmatch(part) and part.strip(".") for part in parts):
        raise CorruptData("not a name of a file of an index", found=repr(name)[:200])
    return name


def _sha256(place: Path) -> str:
    with place.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _corrupt(file: StoredFile) -> CorruptData:
    return CorruptData(
        "a file of an index is not what was written",
        where=file.path,
        expected=f"SHA-256 {file.sha256[:16]}…",
        hint="`lakecore index refresh NAME --rebuild` makes the index again",
    )
