"""What every source has: names, hash, notes, rejects, and a scratch directory to remove."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lakecore.ingest._files import FileScan
from lakecore.ingest._options import IngestOptions
from lakecore.ingest._reject import Reject, RejectLog

if TYPE_CHECKING:
    import pyarrow as pa


class TypesChanged(Exception):
    """The stream's schema turned out too narrow: `restart` the source and read again."""


class SourceBase:
    """Common state; a reader adds `schema` and `batches`."""

    format: str
    schema: pa.Schema

    def __init__(
        self, path: Path, name: str, options: IngestOptions, *, scan: FileScan, scratch: Path
    ) -> None:
        self.path = path
        self.name = name
        self.options = options
        self.size_bytes = scan.size_bytes
        self.sha256 = scan.sha256
        self.notes: list[str] = []
        self.needs_restart = False
        self.scratch = scratch
        self.log = RejectLog(
            limit=options.max_rejects, file=name, temp_dir=scratch, strict=options.strict
        )

    @property
    def reject_count(self) -> int:
        return self.log.count

    def rejects(self) -> Iterator[Reject]:
        """The rejected records; complete once `batches` is exhausted."""
        return iter(self.log)

    def restart(self) -> None:
        """Begin again, with the types that the first reading asked for."""
        self.needs_restart = False
        self.log.clear()

    def close(self) -> None:
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
