"""Writing a run row group by row group, and checking rows against their places and leaves."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from lakecore.base import CorruptData
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._events.rules import FIELDS, STAGED_FIELDS
from lakecore.journal._log.segment import (
    LEAF_CHECK,
    footer_metadata,
    parquet_writer,
    with_checksum,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.tlog import Hashes


class RunWriter:
    """Writes tables as row groups; `finish` writes the footer with the file's checksum.

    A block that it is used in and that raises leaves the file as it is.

    Args:
        schema: of the file; a table without one of its columns has nulls there.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._sink = _HashingSink(file)
        self._schema = schema
        self._writer: Any = None

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            # Parquet's writer ends its file when it goes, whatever became of that.
            self._sink.discard()
            self._writer.close()

    def write(self, tables: list[pa.Table]) -> None:
        """One more row group."""
        import pyarrow as pa

        empty = self._schema.empty_table()
        table = pa.concat_tables([empty, *tables], promote_options="default").combine_chunks()
        if self._writer is None:
            self._writer = parquet_writer(self._sink, self._schema)
        self._writer.write_table(table.cast(self._schema), row_group_size=table.num_rows)

    def finish(self, footer: Mapping[str, Any]) -> None:
        """Write the end of the file."""
        self._writer.add_key_value_metadata(footer_metadata(footer))
        # The checksum is over what comes before it and after it: the end is held back.
        self._sink.hold()
        self._writer.close()
        self._sink.release()


class _HashingSink(io.RawIOBase):
    """Passes on what is written, hashed, up to `hold`; `release` fills the checksum in."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file: BinaryIO | None = file
        self._digest = hashlib.sha256()
        self._position = 0
        self._held: bytearray | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._position += len(view)
        if self._held is not None:
            self._held += view
        elif self._file is not None:
            self._digest.update(view)
            self._file.write(view)
        return len(view)

    def hold(self) -> None:
        self._held = bytearray()

    def release(self) -> None:
        end, self._held = bytes(self._held or b""), None
        if self._file is not None:
            self._file.write(with_checksum(end, self._digest)[0])

    def discard(self) -> None:
        """Take what is written from now on for nothing."""
        self._file, self._held = None, None

    def close(self) -> None:
        """The file is the caller's."""


def checked_hashes(table: pa.Table, path: str, row: int, first_seq: int) -> Hashes:
    """The leaf hashes of rows that are what their places and leaf checks say.

    Args:
        path, row: where the rows are from, for errors.
        first_seq: the `seq` that the first one should have.

    Raises:
        CorruptData: a row is another one, or was changed.
    """
    import numpy as np

    missing = [name for name in (*FIELDS, LEAF_CHECK) if name not in table.schema.names]
    if missing:
        raise CorruptData("a segment lacks columns", found=", ".join(missing), where=path)
    seq = table.column("seq").to_numpy()
    expected = np.arange(first_seq, first_seq + len(seq))
    if not np.array_equal(seq, expected):
        at = int(np.flatnonzero(seq != expected)[0])
        raise CorruptData(
            "a row has another's place",
            expected=f"seq {expected[at]}",
            found=f"seq {seq[at]}",
            where=f"{path} row {row + at}",
        )
    hashes = hash_events(table.select(["leaf", *STAGED_FIELDS]))
    found = np.ascontiguousarray(hashes[:, :4]).view("<i4").ravel()
    stored = table.column(LEAF_CHECK).to_numpy()
    if not np.array_equal(found, stored):
        at = int(np.flatnonzero(found != stored)[0])
        raise CorruptData(
            "a row is not what was sealed",
            expected=f"a leaf that begins with {_hex(stored[at])}",
            found=_hex(found[at]),
            where=f"{path} row {row + at}",
        )
    return hashes


def _hex(check: int) -> str:
    return int(check).to_bytes(4, "little", signed=True).hex()
