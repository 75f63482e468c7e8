"""`system.journal`: all events as a table that engines read with conditions pushed down.

On this machine's disk the engine reads the Parquet files itself, and knows their footers from
the query before. (Measured on 10M events in 33 files, 2 busy cores, medians: an actor in a
minute 31 to 40 ms, grouped by actor 0.09 to 0.16 s, the last 100 by `seq` 50 ms, an entity
0.3 s, counted 10 ms. The first query of a process reads the footers: 0.4 s more with the
imports. Of a minute 6 ms find the rows, and 11 ms decode the other 16 columns.) In a bucket it
reads a pyarrow dataset over the store: of each file `seq` and time are known, so most are
never opened.

Compaction may put a stub, without rows, in the place of a file, long after it made the run
that has them. A query that is still running then fails with `Unavailable` rather than
missing rows, unless it holds the file itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from lakecore.base import NotFound, Unavailable
from lakecore.storage import RangeReader

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    import pyarrow.fs as fs

    from lakecore.journal import Journal, SealedFile
    from lakecore.query import Guarded
    from lakecore.storage import Store


def journal_table(store: Store, journal: Journal) -> Any:
    """The events as of now, sealed and unsealed, as a `TableSource` may return them."""
    from lakecore.journal import scan_schema
    from lakecore.query import ParquetFiles

    if journal.has_archives:
        return journal.scan()  # engines do not find their way to archives
    files, unsealed = journal.files()
    schema = scan_schema()
    rest = unsealed.select(schema.names).cast(schema)
    if not files:
        return rest
    places = [store.local_path(file.path) for file in files]
    local = [place for place in places if place is not None]
    if len(local) == len(files):
        return ParquetFiles(paths=local, sort_by=["seq"], schema=schema, rest=rest)
    return _remote(store, files, rest)


def _remote(store: Store, files: list[SealedFile], rest: Any) -> Guarded:
    import pyarrow.dataset as ds
    import pyarrow.fs as fs

    from lakecore.query import Guarded

    sizes = sizes_of(store, files)
    filesystem = fs.PyFileSystem(_handler(store, sizes))
    parquet = ds.ParquetFileFormat(default_fragment_scan_options=_scan_options())
    fragments = [
        parquet.make_fragment(file.path, filesystem, partition_expression=_known(file))
        for file in files
    ]
    sealed = ds.FileSystemDataset(fragments, rest.schema, parquet, filesystem)
    table = ds.dataset([sealed, ds.dataset(rest)]) if rest.num_rows else sealed
    return Guarded(table=table, check=unchanged(store, files, sizes))


def _scan_options() -> Any:
    import pyarrow.dataset as ds

    # Ranges of a file's columns that are near each other are one request.
    return ds.ParquetFragmentScanOptions(pre_buffer=True)


def _known(file: SealedFile) -> ds.Expression:
    """What is true of every row of a file: whoever asks for others need not open it."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    seq, time = ds.field("seq"), ds.field("timestamp")
    low, high = (
        pa.scalar(at, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        for at in (file.min_us, file.max_us)
    )
    within = (seq >= file.first_seq) & (seq < file.end_seq)
    return cast("ds.Expression", within & (time >= low) & (time <= high))


def sizes_of(store: Store, files: list[SealedFile]) -> dict[str, int]:
    """The size of each file: one listing a thousand objects, instead of a question each."""
    wanted = {file.path for file in files}
    sizes: dict[str, int] = {}
    for folder in sorted({path.rpartition("/")[0] + "/" for path in wanted}):
        for info in store.list_objects(folder):
            if info.path in wanted:
                sizes[info.path] = info.size_bytes
    missing = sorted(wanted - sizes.keys())
    if missing:
        raise NotFound("a file of the journal is missing", where=missing[0])
    return sizes


def unchanged(store: Store, files: list[SealedFile], sizes: dict[str, int]) -> Callable[[], None]:
    def check() -> None:
        if sizes_of(store, files) != sizes:
            raise Unavailable(
                "the journal was compacted while the query read it", hint="run the query again"
            )

    return check


def _handler(store: Store, sizes: dict[str, int]) -> fs.FileSystemHandler:
    import pyarrow as pa
    import pyarrow.fs as fs

    class Handler(fs.FileSystemHandler):  # type: ignore[misc]  # a base class without types
        """The files of one table, to be read; nothing else is there."""

        def get_type_name(self) -> str:
            return "lakecore"

        def normalize_path(self, path: str) -> str:
            return path

        def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
            return [self._info(path) for path in paths]

        def _info(self, path: str) -> fs.FileInfo:
            if path in sizes:
                return fs.FileInfo(path, fs.FileType.File, size=sizes[path])
            return fs.FileInfo(path, fs.FileType.NotFound)

        def open_input_file(self, path: str) -> pa.PythonFile:
            read = partial(store.get_range, path)  # every read is one request
            return pa.PythonFile(RangeReader(read, sizes[path]), mode="r")

        open_input_stream = open_input_file

        def __eq__(self, other: object) -> bool:
            return self is other

        __hash__ = None  # type: ignore[assignment]  # as its base class

        def _refuse(self, *_: object) -> Any:
            raise io.UnsupportedOperation("the files of a table are only read")

        get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refuse
        delete_root_dir_contents = delete_file = move = copy_file = _refuse
        open_output_stream = open_append_stream = _refuse

    return Handler()
