"""Segments: sealed events as Parquet files that are named by their position.

``journal/log/<first_seq, 20 digits>.parquet`` holds `count` events from `first_seq` on
and never crosses a multiple of 65,536. Its columns are those of `event_schema` and:

- ``leaf_check`` (int32): the first four bytes of the row's leaf hash. The root says
  *that* a row was changed, these four bytes say *which*. (Measured: 4 B an event beside
  4 to 20 B for the event itself; the whole hash would take 32, and none of them compress.)

The footer (Parquet metadata, key ``lakecore.segment``) says what is inside, and the state
of the whole journal after it, so the last footer alone is enough to continue: see
`SegmentFooter`. Its last member, ``checksum``, is the SHA-256 of the file in which these
64 digits are zeros: damage is found wherever it is, also in statistics that queries skip by.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, LakecoreError
from lakecore.base.limits import SEGMENT_EVENTS
from lakecore.journal._commits.commit import check_format
from lakecore.journal._events.event import with_seq
from lakecore.journal._events.rules import FIELDS
from lakecore.tlog import Frontier

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.storage import Store
    from lakecore.tlog import Hashes

FORMAT: Final = 1
FOLDER: Final = "journal/log/"
FOOTER_KEY: Final = b"lakecore.segment"
LEAF_CHECK: Final = "leaf_check"

_NAME: Final = re.compile(re.escape(FOLDER) + r"(\d{20})\.parquet")
_CHECKSUM: Final = re.compile(rb'"checksum":"([0-9a-f]{64})"')
_NO_CHECKSUM: Final = "0" * 64
_ENCODINGS: Final = {
    "seq": "DELTA_BINARY_PACKED",
    "timestamp": "DELTA_BINARY_PACKED",
    "event_id": "DELTA_BYTE_ARRAY",
    "entity_id": "DELTA_BYTE_ARRAY",
    "old_value": "DELTA_LENGTH_BYTE_ARRAY",
    "new_value": "DELTA_LENGTH_BYTE_ARRAY",
    LEAF_CHECK: "PLAIN",
}


@dataclass(frozen=True, slots=True)
class SealedCommit:
    """The part of a commit that is in a segment: `count` of its `total` events.

    The part starts at the segment's row `row` with the commit's event `first_ordinal`.
    `target` is the path of the commit's object, '' for direct events; `digest` is that
    of the whole commit.
    """

    commit_id: str
    target: str
    digest: str
    row: int
    first_ordinal: int
    count: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFooter:
    """What a segment contains, and the journal's state after it.

    Attributes:
        seal_id: the sealing run that made it.
        sealed_at_us: when, by the sealer's clock.
        commits: the commits in it, in order.
        hot: how far each hot log that ever was is sealed, {log_id: offset}.
        tree_size, root, edge: the Merkle tree after its last event; hashes in hex.
        timestamp_us: the smallest and the largest event time in it.
        checksum: of the file; '' before it is written.
    """

    first_seq: int
    count: int
    seal_id: str
    sealed_at_us: int
    commits: tuple[SealedCommit, ...]
    hot: Mapping[str, int]
    tree_size: int
    root: str
    edge: tuple[str, ...]
    timestamp_us: tuple[int, int]
    checksum: str = ""
    format: int = field(default=FORMAT)

    @property
    def path(self) -> str:
        return segment_path(self.first_seq)

    @property
    def next_seq(self) -> int:
        return self.first_seq + self.count

    def frontier(self) -> Frontier:
        """The tree after this segment."""
        return Frontier(self.tree_size, [bytes.fromhex(node) for node in self.edge])

    def to_json(self) -> dict[str, Any]:
        """The footer; `checksum` is its last member."""
        return {
            "format": self.format,
            "first_seq": self.first_seq,
            "count": self.count,
            "seal_id": self.seal_id,
            "sealed_at_us": self.sealed_at_us,
            "commits": [asdict(commit) for commit in self.commits],
            "hot": dict(self.hot),
            "tree_size": self.tree_size,
            "root": self.root,
            "edge": list(self.edge),
            "timestamp_us": list(self.timestamp_us),
            "checksum": self.checksum,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SegmentFooter:
        """Unknown members are left alone. `CorruptData`, `UnsupportedFormat`."""
        try:
            check_format(content, FORMAT, "a segment")
            low, high = content["timestamp_us"]
            footer = cls(
                format=content["format"],
                first_seq=int(content["first_seq"]),
                count=int(content["count"]),
                seal_id=str(content["seal_id"]),
                sealed_at_us=int(content["sealed_at_us"]),
                commits=tuple(_sealed_commit(item) for item in content["commits"]),
                hot={str(name): int(offset) for name, offset in content["hot"].items()},
                tree_size=int(content["tree_size"]),
                root=str(content["root"]),
                edge=tuple(str(node) for node in content["edge"]),
                timestamp_us=(int(low), int(high)),
                checksum=str(content["checksum"]),
            )
            footer.frontier()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptData("a segment's footer lacks a part", found=repr(error)) from error
        return footer


def segment_path(first_seq: int) -> str:
    return f"{FOLDER}{first_seq:020d}.parquet"


def position_of(path: str) -> int | None:
    """The `first_seq` that a segment's path names; None for any other object."""
    match = _NAME.fullmatch(path)
    return int(match[1]) if match else None


def room_at(seq: int) -> int:
    """How many events a segment that starts at `seq` may have at most."""
    return SEGMENT_EVENTS - seq % SEGMENT_EVENTS


def encode_segment(events: pa.Table, hashes: Hashes, footer: SegmentFooter) -> bytes:
    """The bytes of a segment.

    Args:
        events: in the staged schema, `footer.count` rows.
        hashes: their leaf hashes, shape (n, 32).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    checks = np.ascontiguousarray(hashes[:, :4]).view("<i4").ravel()
    field_ = pa.field(LEAF_CHECK, pa.int32(), nullable=False)
    table = with_seq(events, footer.first_seq).append_column(field_, pa.array(checks))
    compression = dict.fromkeys(FIELDS, "zstd") | {LEAF_CHECK: "none"}
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        version="2.6",
        compression=compression,
        use_dictionary=[name for name in FIELDS if name not in _ENCODINGS],
        column_encoding=_ENCODINGS,
        write_page_index=True,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=SEGMENT_EVENTS)
        content = footer.to_json() | {"checksum": _NO_CHECKSUM}
        text = json.dumps(content, separators=(",", ":"))
        writer.add_key_value_metadata({FOOTER_KEY.decode(): text})
    return _with_checksum(sink.getvalue().to_pybytes())


def checksum_of(data: bytes) -> tuple[str, str]:
    """The checksum that a segment's bytes carry, and the one that they have."""
    start = data.rfind(b'"checksum":"')
    match = _CHECKSUM.match(data, start) if start >= 0 else None
    if match is None:
        raise CorruptData("a segment has no checksum")
    low, high = match.span(1)
    digest = hashlib.sha256(data[:low])
    digest.update(_NO_CHECKSUM.encode())
    digest.update(memoryview(data)[high:])
    return match[1].decode(), digest.hexdigest()


def read_footer(store: Store, path: str) -> SegmentFooter:
    """The footer of a segment, without its events.

    Raises:
        CorruptData: the file does not decode, or is not what its name says.
    """
    with open_segment(store, path) as parquet:
        return footer_of(parquet, path)


def footer_of(parquet: Any, path: str) -> SegmentFooter:
    """The footer of an open segment; raises as `read_footer`."""
    with decoding(path):
        footer = SegmentFooter.from_json(json.loads(parquet.metadata.metadata[FOOTER_KEY]))
        if footer.first_seq != position_of(path) or footer.count != parquet.metadata.num_rows:
            raise CorruptData(
                "a segment is not what its name and its rows say",
                expected=f"{parquet.metadata.num_rows} events from {position_of(path)}",
                found=f"{footer.count} events from {footer.first_seq}",
            )
    return footer


@contextmanager
def open_segment(store: Store, path: str, *, verify_pages: bool = False) -> Iterator[Any]:
    """A segment as a `pyarrow.parquet.ParquetFile`; what is raised inside is left alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    local = store.local_path(path)
    with decoding(path):
        # Straight from the disk, where there is one: no Python between Arrow and the file.
        file = store.open(path) if local is None or not local.exists() else pa.OSFile(str(local))
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=verify_pages)
        except BaseException:
            file.close()
            raise
    try:
        yield parquet
    finally:
        file.close()


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Whatever a decoder trips over, the segment is damaged: say which one."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise CorruptData("a segment does not decode", found=error, where=path) from error
    except CorruptData as error:
        if error.where is not None:
            raise
        raise CorruptData(
            error.message, expected=error.expected, found=error.found, where=path
        ) from error
    except LakecoreError:
        raise


def _with_checksum(data: bytes) -> bytes:
    _, found = checksum_of(data)
    at = data.rfind(b'"checksum":"') + len(b'"checksum":"')
    return data[:at] + found.encode() + data[at + 64 :]


def _sealed_commit(content: Mapping[str, Any]) -> SealedCommit:
    return SealedCommit(
        commit_id=str(content["commit_id"]),
        target=str(content["target"]),
        digest=str(content["digest"]),
        row=int(content["row"]),
        first_ordinal=int(content["first_ordinal"]),
        count=int(content["count"]),
        total=int(content["total"]),
    )
