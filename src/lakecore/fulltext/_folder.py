"""The folder of an index: what it says of itself, made and read so that it is whole or not there.

::

    lakecore-text.json     format, fields, language: written last, so a folder without is no index
    tantivy/               the engine's files
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakecore.base import (
    AlreadyExists,
    CorruptData,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.base.limits import KIB
from lakecore.fulltext._analysis import check_language
from lakecore.fulltext._columns import Columns, check_fields

FORMAT: Final = 1
ABOUT: Final = "lakecore-text.json"
ENGINE: Final = "tantivy"
MAX_ABOUT_BYTES: Final = 64 * KIB

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class About:
    """What an index was created with."""

    fields: tuple[str, ...]
    language: str | None

    @property
    def columns(self) -> Columns:
        """Its columns of the engine."""
        return Columns(self.fields, self.language is not None)

    def to_json(self) -> bytes:
        """As it is stored."""
        stored = {"format": FORMAT, "fields": list(self.fields), "language": self.language}
        return json.dumps(stored, ensure_ascii=True, indent=1).encode() + b"\n"


def prepare_folder(folder: Path) -> Path:
    """The empty folder for the engine; what an interrupted creation left goes.

    Raises:
        AlreadyExists: there is an index, or something else in the folder.
    """
    with disk_errors(folder):
        if (folder / ABOUT).exists():
            raise AlreadyExists("the folder has a text index", where=folder)
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if path.name != ENGINE)
        if [name for name in others if name != f".{ABOUT}"]:
            raise AlreadyExists("the folder is not empty", where=folder, found=others[0])
        shutil.rmtree(folder / ENGINE, ignore_errors=True)
        (folder / ENGINE).mkdir()
    return folder / ENGINE


def write_about(folder: Path, about: About) -> None:
    """The last step of creating: from here on the folder is an index."""
    with disk_errors(folder):
        draft = folder / f".{ABOUT}"
        draft.write_bytes(about.to_json())
        sync(draft)
        draft.rename(folder / ABOUT)
        for path in (folder, *folder.absolute().parents):
            # A folder above may be new as well; those that are not ours to open are not new.
            if not os.access(path, os.R_OK):
                break
            sync(path)


def read_about(folder: Path) -> About:
    """What the folder says of its index.

    Raises:
        NotFound: there is none.
        UnsupportedFormat: of a newer Lakecore.
        CorruptData: it cannot be read.
    """
    path = folder / ABOUT
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ABOUT_BYTES + 1)
    except FileNotFoundError:
        raise NotFound("there is no text index", expected=ABOUT, where=folder) from None
    except OSError as error:
        raise Unavailable("a text index cannot be read", found=error, where=path) from error
    try:
        return _read(json.loads(content))
    except UnsupportedFormat:
        raise
    except (ValueError, RecursionError, LakecoreError) as error:
        raise CorruptData(
            "what a text index says of itself cannot be read",
            found=str(error)[:200],
            where=path,
            hint="build the index anew from its dataset",
        ) from error


def _read(stored: Any) -> About:
    if not isinstance(stored, dict) or not isinstance(stored.get("format"), int):
        raise InvalidInput("no format", expected="an object with a number")
    if stored["format"] != FORMAT:
        raise UnsupportedFormat(
            "a text index of another format",
            expected=FORMAT,
            found=stored["format"],
            hint="use the Lakecore that wrote it, or build the index anew",
        )
    fields, language = stored.get("fields"), stored.get("language")
    if not isinstance(fields, list) or not (language is None or isinstance(language, str)):
        raise InvalidInput("no fields or language", expected="a list and a word")
    check_language(language)
    return About(check_fields(fields), language)


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """What a disk says no to, as errors of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise OutOfSpace("there is no room for the text index", where=where) from error
        if error.errno in _CLOSED:
            raise ReadOnly("the text index cannot be written", where=where) from error
        raise Unavailable("the text index cannot be written", found=error, where=where) from error


def sync(path: Path) -> None:
    """Make a file or a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
