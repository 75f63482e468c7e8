"""Reading a source to its end, as ingest does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakecore.ingest import IngestOptions, Reject, TypesChanged, open_source


@dataclass(frozen=True)
class Read:
    """What came out of a file."""

    table: pa.Table
    rejects: list[Reject]
    notes: list[str]
    format: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    @property
    def types(self) -> dict[str, str]:
        return {field.name: str(field.type) for field in self.table.schema}


def read(path: Path, target: pa.Schema | None = None, **options: Any) -> Read:
    """All rows and rejects of `path`, started again as often as the source asks for it."""
    source = open_source(path, IngestOptions(temp_dir=path.parent, **options), target=target)
    try:
        while True:
            try:
                table = source.batches().read_all()
            except TypesChanged:
                source.restart()
                continue
            return Read(table, list(source.rejects()), list(source.notes), source.format)
    finally:
        source.close()


def read_text(folder: Path, text: str | bytes, name: str = "file.csv", **options: Any) -> Read:
    """The same for a file that holds `text`."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, **options)
