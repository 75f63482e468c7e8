"""What ingest needs of the tables and the catalog: small Protocols, satisfied by both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.tables import IngestNote, MutationResult


class Catalog(Protocol):
    """Finds and registers datasets."""

    def find(self, name: str) -> Dataset | None: ...

    def propose(
        self,
        name: str,
        *,
        key: Sequence[str] = (),
        entity_type: str | None = None,
        contract: str = "evolve",
        description: str = "",
        system: bool = False,
        bucket: str = "",
    ) -> Dataset: ...

    def register(
        self, dataset: Dataset, *, author: Author, mutation_id: str | None = None
    ) -> Dataset: ...


class Change(Protocol):
    """`append`, `upsert` and `replace` of the tables.

    The stream is read once; `before_commit` is called when everything is staged, and if
    it raises nothing is changed.
    """

    def __call__(
        self,
        dataset: Dataset,
        batches: pa.RecordBatchReader,
        *,
        author: Author,
        mutation_id: str | None = None,
        schema_change: Any = None,
        ingest: IngestNote | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
    ) -> MutationResult: ...


class Tables(Protocol):
    """Changes datasets; knows which files they hold."""

    def open(self, dataset: Dataset) -> Any: ...

    def ingested_version(self, dataset: Dataset, sha256: str) -> int | None: ...

    @property
    def append(self) -> Change: ...

    @property
    def upsert(self) -> Change: ...

    @property
    def replace(self) -> Change: ...
