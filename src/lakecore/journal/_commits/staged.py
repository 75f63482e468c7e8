"""Staged files: the events of one attempt to commit, durable before the commit.

``journal/staged/<commit_id>.arrow`` is an Arrow IPC stream (LZ4). Its schema's metadata
is the header, under ``lakecore.staged``: {format, commit_id, target, check}, and for direct
events ``supplied``, see `_events.supplied`. Its last batch is
empty and carries the trailer as custom metadata, under ``lakecore.end``: {count, digest}.
So a reader knows what a file is from its first bytes, and that it is whole from its last.

An upload is atomic, so a torn file is never visible. One that was damaged later is reported
as `CorruptData` with its name, before any event is given that the damage is in: `check` is
the CRC32 of the header, and each batch but the first has that of all bytes before it as
custom metadata, under ``lakecore.sum``. So a batch is given once the next one says that it
is whole. Files of format 1 have neither: their digest is recomputed before they are read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from lakecore.base import (
    AlreadyExists,
    Bug,
    CorruptData,
    InvalidInput,
    LakecoreError,
    UnsupportedFormat,
    uuid7,
)
from lakecore.base.limits import KIB, MIB, SEGMENT_EVENTS
from lakecore.journal._commits.commit import CommitRecord, Mutation, Target, check_format
from lakecore.journal._commits.summed import Summed
from lakecore.journal._events.event import staged_schema, validate_batch
from lakecore.journal._events.hashing import hash_ahead, hash_events
from lakecore.journal._events.rules import STAGED_FIELDS
from lakecore.journal._events.shortage import raise_if_short
from lakecore.journal._events.supplied import Supplied
from lakecore.tlog import Frontier

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.storage import Store
    from lakecore.tlog import Hashes

FORMAT: Final = 2
"""2 = with sums; files of format 1 are read."""
FOLDER: Final = "journal/staged/"
_HEADER: Final = b"lakecore.staged"
_TRAILER: Final = b"lakecore.end"
_SUM: Final = b"lakecore.sum"
_MAX_BATCH_BYTES: Final = 32 * MIB
_HEADER_BYTES: Final = 16 * KIB
_DECODING: Final = (OSError, ValueError, KeyError, TypeError, OverflowError, InvalidInput)
"""What damaged bytes make decoders and the event's rules raise, beside Arrow's own."""
_GATHERED_LEAVES: Final = 1 << 15
"""Leaf hashes that wait to go into the tree at once."""
_SMALL_BYTES: Final = 4 * MIB
"""Files up to this size are fetched whole, once."""


def staged_path(commit_id: str) -> str:
    return f"{FOLDER}{commit_id}.arrow"


@dataclass(frozen=True, slots=True)
class StagedHeader:
    """What the first bytes of a staged file say."""

    commit_id: str
    target: Target
    supplied: Supplied | None = None
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class PreparedEvents:
    """Events that are checked and hashed: what is left is to write them in their order."""

    batches: list[tuple[pa.RecordBatch, Hashes]]


def prepare_events(
    events: pa.Table | pa.RecordBatch,
    *,
    json_is_known: bool = False,
    constant: Collection[str] = (),
) -> PreparedEvents:
    """Check and hash events for `Staging.write`: the costly part, for any number of threads.

    Args:
        json_is_known: the values are of `json_text`, `row_json` and `Author.context_text`,
            and need not be parsed once more.
        constant: names of columns with one value in all rows: it is checked, and written
            into the leaves, once.
    """
    table = validate_batch(events, json_is_known=json_is_known, constant=constant)
    return PreparedEvents(
        [(batch, hash_events(_as_table(batch), constant)) for batch in _batches(table)]
    )


class Staging:
    """Writes the staged file of one attempt to commit; a context manager.

    Streams in batches, so memory is bounded by one of them. Leaving the block without
    `finish` leaves nothing behind; after `finish` the file stays, whatever is raised,
    because from then on only the target object knows whether the commit happened.
    """

    def __init__(
        self,
        store: Store,
        target: Target,
        *,
        commit_id: str | None = None,
        supplied: Supplied | None = None,
    ) -> None:
        self._supplied = supplied
        self.commit_id = commit_id or uuid7()
        self.target = target
        self.path = staged_path(self.commit_id)
        self._store = store
        self._frontier = Frontier.empty()
        self._leaves: list[Hashes] = []
        self._leaf_count = 0
        self._upload: AbstractContextManager[BinaryIO] | None = None
        self._writer: Any = None
        self._summed: Any = None
        self._record: CommitRecord | None = None

    @property
    def event_count(self) -> int:
        """Events written so far."""
        return int(self._frontier.size) + self._leaf_count

    def write(self, events: pa.Table | pa.RecordBatch | PreparedEvents) -> None:
        """Add events, in commit order.

        Raises:
            InvalidInput: an event breaks a rule (see `Event`), or has no id or timestamp.
        """
        if self._record is not None:
            raise Bug("events written after finish", where=self.path)
        prepared = events if isinstance(events, PreparedEvents) else prepare_events(events)
        for batch, hashes in prepared.batches:
            self._leaves.append(hashes)
            self._leaf_count += len(hashes)
            if self._leaf_count >= _GATHERED_LEAVES:
                self._grow()
            self._write_batch(batch, {})

    def finish(self, mutations: Iterable[Mutation]) -> CommitRecord:
        """Make the events durable; return the record that the target object has to carry.

        A commit without events has no staged file.
        """
        self._grow()
        record = CommitRecord(
            commit_id=self.commit_id,
            event_count=self._frontier.size,
            digest=self._frontier.root().hex(),
            mutations=tuple(mutations),
        )
        if self._writer is not None:
            self._close_stream(record)
            self._store_upload(record)
        self._record = record
        return record

    def discard(self) -> None:
        """Remove what was staged: for an attempt that is known to be dead."""
        if self._upload is not None:
            self._abort()
        elif self._writer is not None:
            self._store.delete(self.path)

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._record is not None:
            return
        try:
            self.discard()
        except LakecoreError:
            # What stays is undecided for ever, and harmless; the first error says more.
            if error is None:
                raise

    def _grow(self) -> None:
        """Put the leaves gathered so far into the tree: many at once cost half as much."""
        import numpy as np

        if self._leaves:
            leaves, self._leaves, self._leaf_count = self._leaves, [], 0
            self._frontier.append(np.concatenate(leaves))

    def _open(self) -> Any:
        if self._writer is None:
            import pyarrow as pa

            content: dict[str, Any] = {
                "format": FORMAT,
                "commit_id": self.commit_id,
                "target": self.target.to_json(),
            }
            if self._supplied is not None:
                content["supplied"] = self._supplied.to_json()
            content["check"] = _check_of(content)
            schema = staged_schema().with_metadata({_HEADER: json.dumps(content)})
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            upload = self._store.upload(self.path)
            file = upload.__enter__()
            self._upload = upload
            self._summed = Summed(file)
            sink = pa.PythonFile(self._summed, mode="w")
            self._writer = pa.ipc.new_stream(sink, schema, options=options)
        return self._writer

    def _write_batch(self, batch: pa.RecordBatch, metadata: dict[bytes, str | bytes]) -> None:
        import pyarrow as pa

        # The header is written with the first batch: the second one has the sum of both.
        writer = self._open()
        metadata[_SUM] = self._summed.sum
        writer.write_batch(batch, custom_metadata=pa.KeyValueMetadata(metadata))

    def _close_stream(self, record: CommitRecord) -> None:
        import pyarrow as pa

        trailer = json.dumps({"count": record.event_count, "digest": record.digest})
        empty = pa.RecordBatch.from_pylist([], schema=staged_schema())
        self._write_batch(empty, {_TRAILER: trailer})
        self._writer.close()

    def _store_upload(self, record: CommitRecord) -> None:
        upload, self._upload = self._upload, None
        assert upload is not None  # noqa: S101 - opened with the writer
        try:
            upload.__exit__(None, None, None)
        except AlreadyExists:
            # The name is this attempt's own: a retried put found what its first try stored.
            if StagedReader(self._store, self.path).check() != (record.event_count, record.digest):
                raise

    def _abort(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            reason = _Discarded()
            upload.__exit__(_Discarded, reason, None)


class _Discarded(Exception):
    """Tells an upload to leave nothing."""


class StagedReader:
    """Reads one staged file.

    Args:
        size_bytes: the object's size where it is known: small ones are fetched whole.

    Raises, from every method: `CorruptData` naming the file, `UnsupportedFormat`,
    `NotFound` when it is gone (sealed or dropped meanwhile), and the store's errors.
    """

    def __init__(self, store: Store, path: str, *, size_bytes: int | None = None) -> None:
        self.path = path
        self._store = store
        self._small = size_bytes is not None and size_bytes <= _SMALL_BYTES
        self._data: bytes | None = None
        self._is_checked = False

    def header(self) -> StagedHeader:
        """What the file is, without reading its events."""
        import pyarrow as pa

        data = self._whole() if self._small else self._store.get_range(self.path, 0, _HEADER_BYTES)
        with self._corrupt():
            # Bytes 4 to 8 of a stream: the size of its first message, the schema.
            needed = 8 + int.from_bytes(data[4:8], "little")
            if len(data) < needed <= MIB:
                data = self._store.get_range(self.path, 0, needed)
            return self._parse_header(pa.ipc.read_schema(pa.py_buffer(data[:needed])))

    def batches(self, *, trusted: bool = False) -> Iterator[pa.RecordBatch]:
        """The events in commit order; at the end, the trailer is compared with their count.

        Args:
            trusted: the same reader has checked them before.
        """
        if not (trusted or self._is_checked) and self.header().format == 1:
            self.check()
        yield from self._stream(trusted=trusted)

    def _stream(self, *, trusted: bool) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        count = 0
        held: pa.RecordBatch | None = None
        trailer: dict[str, Any] | None = None
        with self._corrupt(), self._file() as file:
            summed = Summed(file)
            stream = pa.ipc.open_stream(pa.PythonFile(summed, mode="r"))
            is_summed = self._parse_header(stream.schema).format > 1
            while trailer is None:
                found = summed.sum
                try:
                    batch, metadata = stream.read_next_batch_with_custom_metadata()
                except StopIteration:
                    break
                if held is not None:
                    if is_summed and (metadata is None or metadata.get(_SUM) != found):
                        raise CorruptData(
                            "a staged file is not what was written",
                            expected=f"CRC {metadata and metadata.get(_SUM)!r}",
                            found=f"{found!r} before event {count}",
                            where=self.path,
                        )
                    yield held
                if metadata is not None and _TRAILER in metadata:
                    trailer = json.loads(metadata[_TRAILER])
                    break
                if not trusted:
                    # Damaged offsets would otherwise be followed out of the buffer.
                    batch.validate(full=True)
                count += batch.num_rows
                held = batch.replace_schema_metadata(None)
            if trailer is None or trailer["count"] != count:
                raise CorruptData(
                    "a staged file is not whole",
                    expected=trailer and f"{trailer['count']} events",
                    found=f"{count} events",
                    where=self.path,
                )
            self._digest = str(trailer["digest"])

    def check(self, hashes: Callable[[Any], object] | None = None) -> tuple[int, str]:
        """Read all events and compare them with the trailer; return their count and digest.

        Args:
            hashes: called with the leaf hashes of each batch, shape (n, 32).
        """
        frontier = Frontier.empty()
        with self._corrupt():
            for _, found in hash_ahead(map(_as_table, self._stream(trusted=False))):
                frontier.append(found)
                if hashes is not None:
                    hashes(found)
        digest = frontier.root().hex()
        if digest != self._digest:
            raise CorruptData(
                "the events of a staged file do not have its digest",
                expected=self._digest,
                found=digest,
                where=self.path,
            )
        self._is_checked = True
        return frontier.size, digest

    def _whole(self) -> bytes:
        if self._data is None:
            self._data = self._store.get(self.path)
        return self._data

    def _file(self) -> BinaryIO:
        return BytesIO(self._whole()) if self._small else self._store.open(self.path)

    def _parse_header(self, schema: pa.Schema) -> StagedHeader:
        content = json.loads((schema.metadata or {})[_HEADER])
        found = check_format(content, FORMAT, f"the staged file {self.path}")
        if found > 1 and content["check"] != _check_of(content):
            raise CorruptData("the header of a staged file is not what was written")
        if tuple(schema.names) != STAGED_FIELDS:
            raise UnsupportedFormat(
                "a staged file has other columns than this release knows",
                expected=", ".join(STAGED_FIELDS),
                found=", ".join(schema.names),
                where=self.path,
            )
        if not schema.remove_metadata().equals(staged_schema()):
            raise CorruptData("a staged file has columns of other types", found=schema.types)
        return StagedHeader(
            format=found,
            commit_id=str(content["commit_id"]),
            target=Target.from_json(content["target"]),
            supplied=Supplied.from_json(content.get("supplied")),
        )

    @contextmanager
    def _corrupt(self) -> Iterator[None]:
        """Whatever the decoder trips over, the file is damaged: say which one."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, *_DECODING) as error:
            raise_if_short(error, self.path)
            raise CorruptData(
                "a staged file does not decode", found=error, where=self.path
            ) from error
        except CorruptData as error:
            if error.where is not None:
                raise
            raise CorruptData(error.message, found=error.found, where=self.path) from error
        except UnsupportedFormat as error:
            if error.where is not None:
                raise
            raise UnsupportedFormat(
                error.message,
                expected=error.expected,
                found=error.found,
                where=self.path,
                hint=error.hint,
            ) from error


def _check_of(content: dict[str, Any]) -> str:
    """The sum of a header's members, but of itself."""
    rest = {name: value for name, value in content.items() if name != "check"}
    return f"{zlib.crc32(json.dumps(rest, sort_keys=True).encode()):08x}"


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The rows in record batches of at most 65,536 rows and 32 MiB (or one row)."""
    for batch in table.to_batches(max_chunksize=SEGMENT_EVENTS):
        pending = [batch]
        while pending:
            part = pending.pop()
            if part.nbytes <= _MAX_BATCH_BYTES or part.num_rows == 1:
                yield part
            else:
                half = part.num_rows // 2
                pending += [part.slice(half), part.slice(0, half)]


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([batch])
