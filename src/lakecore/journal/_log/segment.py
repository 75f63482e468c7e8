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

Compaction (`compact`) puts the events of many segments into a run, ``journal/merged/``: a file
of the same form, see `runs`. A segment whose events are there is replaced by its *stub*: no
rows, the same footer, and a member ``moved`` that names the run. So a name is never free.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, LakecoreError
from lakecore.base.limits import MIB, SEGMENT_EVENTS
from lakecore.journal._commits.commit import check_format
from lakecore.journal._events.event import with_seq
from lakecore.journal._events.shortage import raise_if_short
from lakecore.journal._events.supplied import Supplied
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
_RUN_NAME: Final = re.compile(r"journal/merged/(\d{20})-(\d\d)\.parquet")
_CHECKSUM_MEMBER: Final = b'"checksum":"'
_CHECKSUM: Final = re.compile(rb'"checksum":"([0-9a-f]{64})"')
_NO_CHECKSUM: Final = "0" * 64
_READ_BYTES: Final = 4 * MIB
_TAIL_BYTES: Final = 8
"""The end of a Parquet file: the length of its metadata, and ``PAR1``."""
_DICTIONARY: Final = frozenset({"PLAIN", "RLE", "PLAIN_DICTIONARY", "RLE_DICTIONARY"})
"""Encodings of pages that Arrow reads into a dictionary; of others it raises."""
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


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the events of a stub are.

    Attributes:
        path: the file that has them now.
        archive: the name of the archive that the file is in; '' when it is in this lake.
        checksum: of the file that the stub replaced.
    """

    path: str
    archive: str = ""
    checksum: str = ""

    def to_json(self) -> dict[str, str]:
        named = {"archive": self.archive, "path": self.path, "checksum": self.checksum}
        return {name: text for name, text in named.items() if text}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Moved:
        return cls(
            str(content["path"]), str(content.get("archive", "")), str(content.get("checksum", ""))
        )


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
        supplied: which of its events have an id that a caller supplied; None = none.
        duplicate_ids: how many of all events up to its end have a supplied id that another
            event had before.
        pieces: of a run, how many events each file has that it merges.
        marked: of a run, (first_seq, count, sealed_at_us) of the segments that it merges
            and that have `supplied`, which stays in their stubs.
        moved: of a stub, where its events are.
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
    supplied: Supplied | None = None
    duplicate_ids: int = 0
    pieces: tuple[int, ...] = ()
    marked: tuple[tuple[int, int, int], ...] = ()
    moved: Moved | None = None
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

    @property
    def is_archived(self) -> bool:
        """Whether it is of a stub whose events have left the lake."""
        return self.moved is not None and bool(self.moved.archive)

    @property
    def first_checksum(self) -> str:
        """The checksum of the file as it was made, before a stub replaced it."""
        return self.moved.checksum if self.moved else self.checksum

    def to_json(self) -> dict[str, Any]:
        """The footer; `checksum` is its last member."""
        extra: dict[str, Any] = {"pieces": list(self.pieces)} if self.pieces else {}
        if self.marked:
            extra["marked"] = [list(item) for item in self.marked]
        if self.moved is not None:
            extra["moved"] = self.moved.to_json()
        if self.supplied is not None:
            extra["supplied"] = self.supplied.to_json()
        if self.duplicate_ids:
            extra["duplicate_ids"] = self.duplicate_ids
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
            **extra,
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
                supplied=Supplied.from_json(content.get("supplied")),
                duplicate_ids=int(content.get("duplicate_ids", 0)),
                pieces=tuple(int(count) for count in content.get("pieces", ())),
                marked=tuple((int(a), int(b), int(c)) for a, b, c in content.get("marked", ())),
                moved=Moved.from_json(content["moved"]) if "moved" in content else None,
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


def run_of(path: str) -> tuple[int, int] | None:
    """(`first_seq`, level) that a run's path names; None for any other object."""
    match = _RUN_NAME.fullmatch(path)
    return (int(match[1]), int(match[2])) if match else None


def encode_segment(events: pa.Table, hashes: Hashes, footer: SegmentFooter) -> bytes:
    """The bytes of a segment.

    Args:
        events: in the staged schema, `footer.count` rows.
        hashes: their leaf hashes, shape (n, 32).
    """
    import numpy as np
    import pyarrow as pa

    checks = np.ascontiguousarray(hashes[:, :4]).view("<i4").ravel()
    field_ = pa.field(LEAF_CHECK, pa.int32(), nullable=False)
    table = with_seq(events, footer.first_seq).append_column(field_, pa.array(checks))
    return encode_table(table, footer.to_json())


def encode_table(table: pa.Table, footer: Mapping[str, Any]) -> bytes:
    """The bytes of a file of the log, of rows with all their columns and the footer's JSON."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with parquet_writer(sink, table.schema) as writer:
        writer.write_table(table, row_group_size=SEGMENT_EVENTS)
        writer.add_key_value_metadata(footer_metadata(footer))
    return _with_checksum(sink.getvalue().to_pybytes())


def parquet_writer(sink: Any, schema: pa.Schema) -> Any:
    """The `pyarrow.parquet.ParquetWriter` of all files of the log."""
    import pyarrow.parquet as pq

    # Columns of a later release are kept, compressed as text is.
    compression = dict.fromkeys(schema.names, "zstd") | {LEAF_CHECK: "none"}
    return pq.ParquetWriter(
        sink,
        schema,
        version="2.6",
        compression=compression,
        use_dictionary=[name for name in schema.names if name not in _ENCODINGS],
        column_encoding=_ENCODINGS,
        write_page_index=True,
        write_page_checksum=True,
        store_schema=False,
    )


def footer_metadata(footer: Mapping[str, Any]) -> dict[str, str]:
    """What a file's metadata holds before its checksum is known: zeros in its place."""
    content = {name: part for name, part in footer.items() if name != "checksum"}
    text = json.dumps(content | {"checksum": _NO_CHECKSUM}, separators=(",", ":"))
    return {FOOTER_KEY.decode(): text}


def checksum_of(data: bytes) -> tuple[str, str]:
    """The checksum that a segment's bytes carry, and the one that they have."""
    low, high = _checksum_span(data)
    digest = hashlib.sha256(data[:low])
    digest.update(_NO_CHECKSUM.encode())
    digest.update(memoryview(data)[high:])
    return data[low:high].decode(), digest.hexdigest()


def stored_checksum(store: Store, path: str) -> tuple[str, str]:
    """As `checksum_of`, of a file of any size, which is read piece by piece.

    Raises:
        CorruptData: it is no Parquet file, or has no checksum.
    """
    with decoding(path), store.open(path) as file:
        file.seek(-_TAIL_BYTES, os.SEEK_END)
        size = file.tell() + _TAIL_BYTES
        length = int.from_bytes(file.read(4), "little") + _TAIL_BYTES
        start = max(0, size - length)
        file.seek(0)
        digest = hashlib.sha256()
        while rest := start - file.tell():
            data = file.read(min(rest, _READ_BYTES))
            if not data:
                raise CorruptData("a segment ends before its footer")
            digest.update(data)
        return with_checksum(file.read(), digest)[1:]


def with_checksum(metadata: bytes, before: Any) -> tuple[bytes, str, str]:
    """A file's last part with the checksum filled in; the one it had; and the one it has.

    Args:
        before: the SHA-256 so far, of everything before that part.
    """
    low, high = _checksum_span(metadata)
    before.update(metadata[:low])
    before.update(_NO_CHECKSUM.encode())
    before.update(metadata[high:])
    found = str(before.hexdigest())
    return metadata[:low] + found.encode() + metadata[high:], metadata[low:high].decode(), found


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
        footer = SegmentFooter.from_json(raw_footer(parquet))
        rows = parquet.metadata.num_rows
        run = run_of(path)
        first = position_of(path) if run is None else run[0]
        count = footer.count if run is None else 1 << run[1]
        is_stub = footer.moved is not None and not rows
        if footer.first_seq != first or footer.count != (count if is_stub else rows):
            raise CorruptData(
                "a segment is not what its name and its rows say",
                expected=f"{count if is_stub else rows} events from {first}",
                found=f"{footer.count} events from {footer.first_seq}",
            )
    return footer


def raw_footer(parquet: Any) -> dict[str, Any]:
    """The footer's JSON of an open segment, with whatever a later release put there."""
    content = json.loads(parquet.metadata.metadata[FOOTER_KEY])
    if not isinstance(content, dict):
        raise CorruptData("a segment's footer is no JSON object")
    return content


@contextmanager
def open_segment(
    store: Store, path: str, *, verify_pages: bool = False, encoded: Collection[str] = ()
) -> Iterator[Any]:
    """A segment as a `pyarrow.parquet.ParquetFile`; what is raised inside is left alone.

    Args:
        encoded: columns that are read as dictionaries, where the file has them so.
    """
    try:
        file, parquet = _open_once(store, path, verify_pages, encoded)
    except CorruptData:
        # Of a remote store, size and footer are read apart: it may become a stub in between.
        if store.local_path(path) is not None:
            raise
        file, parquet = _open_once(store, path, verify_pages, encoded)
    try:
        yield parquet
    finally:
        file.close()


def _open_once(
    store: Store, path: str, verify_pages: bool, encoded: Collection[str]
) -> tuple[Any, Any]:
    """An object and the Parquet file in it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    local = store.local_path(path)
    with decoding(path):
        # Straight from the disk, where there is one: no Python between Arrow and the file.
        file = store.open(path) if local is None or not local.exists() else pa.OSFile(str(local))
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=verify_pages)
            if names := _dictionaries(parquet.metadata, encoded):
                parquet = pq.ParquetFile(
                    file,
                    metadata=parquet.metadata,
                    read_dictionary=names,
                    page_checksum_verification=verify_pages,
                )
            return file, parquet
        except BaseException:
            file.close()
            raise


def _dictionaries(metadata: Any, wanted: Collection[str]) -> list[str]:
    """Those of some columns that are nothing but dictionary encoded texts in the whole file."""
    names = [
        (index, name)
        for index, name in enumerate(metadata.schema.names)
        if name in wanted and metadata.schema.column(index).physical_type == "BYTE_ARRAY"
    ]
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [
        name
        for index, name in names
        if all(_DICTIONARY.issuperset(group.column(index).encodings) for group in groups)
    ]


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Whatever a decoder trips over, the segment is damaged: say which one."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise_if_short(error, path)
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
    return with_checksum(data, hashlib.sha256())[0]


def _checksum_span(data: bytes) -> tuple[int, int]:
    """Where the 64 digits are."""
    start = data.rfind(_CHECKSUM_MEMBER)
    match = _CHECKSUM.match(data, start) if start >= 0 else None
    if match is None:
        raise CorruptData("a segment has no checksum")
    return match.span(1)


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
