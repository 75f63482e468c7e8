"""The folder of an index: what it says of itself, and that it is whole."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lakecore.base import AlreadyExists, CorruptData, InvalidInput, NotFound, UnsupportedFormat
from lakecore.fulltext._columns import Columns

FORMAT: Final = 1
ABOUT: Final = "lakecore-text.json"
ENGINE: Final = "tantivy"


@dataclass(frozen=True, slots=True)
class About:
    """What an index was created with."""

    fields: tuple[str, ...]
    language: str | None

    @property
    def columns(self) -> Columns:
        """Its columns of the engine."""
        return Columns(self.fields, self.language is not None)


def create_folder(folder: Path, about: About) -> Path:
    """Make the folder of a new index."""
    if (folder / ABOUT).exists():
        raise AlreadyExists("the folder has a text index", where=folder)
    (folder / ENGINE).mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, "fields": about.fields, "language": about.language})
    path = folder / ABOUT
    path.write_text(text + "\n")
    sync(path)
    sync(folder)
    return folder


def read_about(folder: Path) -> About:
    """What the folder says of its index."""
    try:
        stored = json.loads((folder / ABOUT).read_bytes())
        if stored["format"] != FORMAT:
            raise UnsupportedFormat(
                "a text index of another format", expected=FORMAT, found=stored["format"]
            )
        return About(tuple(stored["fields"]), stored["language"])
    except FileNotFoundError:
        raise NotFound("there is no text index", where=folder) from None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData("a text index cannot be read", where=folder / ABOUT) from error


def sync(path: Path) -> None:
    """Make a file or a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["ABOUT", "ENGINE", "About", "InvalidInput", "create_folder", "read_about", "sync"]
