"""The dataset `system.quarantine`: every record that did not get in, with its reason.

Rows are appended before the data is committed: a crash between the two leaves quarantined
rows of a file that is not in, never a file that is in without its quarantined rows. The
append is remembered under a name made of the file's hash, the dataset and the rejects, so
running the same file again does not write them a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from lakecore.ingest._ports import Catalog, Tables
from lakecore.ingest._reject import Reject

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.catalog import Dataset
    from lakecore.journal import Author

QUARANTINE: Final = "system.quarantine"
_BATCH_ROWS: Final = 1_024


def quarantine_schema() -> pa.Schema:
    """The columns of `system.quarantine`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("mutation_id", pa.string()),
            ("dataset", pa.string()),
            ("file", pa.string()),
            ("file_sha256", pa.string()),
            ("line", pa.int64()),
            ("column", pa.string()),
            ("text", pa.string()),
            ("reason", pa.string()),
            ("time", pa.timestamp("us", "UTC")),
            ("actor", pa.string()),
        ]
    )


def write_quarantine(
    rejects: Iterable[Reject],
    *,
    count: int,
    dataset: Dataset,
    file_sha256: str,
    size_bytes: int,
    mutation_id: str,
    time_us: int,
    author: Author,
    tables: Tables,
    catalog: Catalog,
) -> bool:
    """Append the rejects of one file; False when they are there already."""
    import pyarrow as pa

    from lakecore.tables import IngestNote

    name = _content_name(rejects, dataset.name, file_sha256)
    home = catalog.find(QUARANTINE)
    if home is None:
        home = catalog.register(
            catalog.propose(
                QUARANTINE,
                entity_type="reject",
                system=True,
                description="Records of ingested files that did not get in, and why.",
            ),
            author=author,
        )
    if tables.ingested_version(home, name) is not None:
        return False
    file = next(iter(rejects)).file
    batches = _batches(rejects, dataset.name, file_sha256, mutation_id, time_us, author.actor)
    tables.append(
        home,
        pa.RecordBatchReader.from_batches(quarantine_schema(), batches),
        author=author,
        ingest=IngestNote(file_name=file, sha256=name, size_bytes=size_bytes, rows=count),
    )
    return True


def _content_name(rejects: Iterable[Reject], dataset: str, file_sha256: str) -> str:
    digest = hashlib.sha256(f"quarantine\0{dataset}\0{file_sha256}".encode())
    for reject in rejects:
        digest.update(
            f"\0{reject.line}\0{reject.column}\0{reject.reason}".encode("utf-8", "replace")
        )
    return digest.hexdigest()


def _batches(
    rejects: Iterable[Reject], dataset: str, sha256: str, mutation_id: str, time_us: int, actor: str
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    stream = iter(rejects)
    while group := list(islice(stream, _BATCH_ROWS)):
        rows = len(group)
        yield pa.record_batch(
            [
                [mutation_id] * rows,
                [dataset] * rows,
                [reject.file for reject in group],
                [sha256] * rows,
                [reject.line for reject in group],
                [reject.column for reject in group],
                [reject.text for reject in group],
                [reject.reason for reject in group],
                pa.array([time_us] * rows, pa.timestamp("us", "UTC")),
                [actor] * rows,
            ],
            schema=quarantine_schema(),
        )
