"""The tables as an ingest sees them: every file is a change like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.catalog import Dataset
    from lakecore.changes._changes import Changes
    from lakecore.changes._ports import ChangeResult
    from lakecore.journal import Author
    from lakecore.tables import IngestNote, Tables


@dataclass(frozen=True, slots=True)
class IngestTables:
    """`append`, `upsert` and `replace` by the rules, at one tier; looking goes to the tables."""

    changes: Changes
    tables: Tables
    tier: str = "auto"

    def open(self, dataset: Dataset) -> Any:
        """The dataset as it is now."""
        return self.tables.open(dataset)

    def ingested_version(self, dataset: Dataset, sha256: str) -> int | None:
        """The version that a file was committed as."""
        return self.tables.ingested_version(dataset, sha256)

    def append(
        self, dataset: Dataset, batches: pa.RecordBatchReader, **options: Any
    ) -> ChangeResult:
        """See `Tables.append`."""
        return self._make("append", dataset, batches, **options)

    def upsert(
        self, dataset: Dataset, batches: pa.RecordBatchReader, **options: Any
    ) -> ChangeResult:
        """See `Tables.upsert`."""
        return self._make("upsert", dataset, batches, **options)

    def replace(
        self, dataset: Dataset, batches: pa.RecordBatchReader, **options: Any
    ) -> ChangeResult:
        """See `Tables.replace`."""
        return self._make("replace", dataset, batches, **options)

    def _make(
        self,
        call: str,
        dataset: Dataset,
        batches: pa.RecordBatchReader,
        *,
        author: Author,
        mutation_id: str | None = None,
        schema_change: Any = None,
        ingest: IngestNote | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
    ) -> ChangeResult:
        return self.changes.make(
            call,
            dataset,
            batches,
            author=author,
            tier="preview" if dry_run else self.tier,
            mutation_id=mutation_id,
            ingest=ingest,
            before_commit=before_commit,
            schema_change=schema_change,
        )
