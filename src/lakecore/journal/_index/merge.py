"""Merged postings of 2^20 and 2^24 events, from the files below them, as a stream.

All sources have their buckets in the order of the keys. So the keys are taken in
`_STEPS` equal ranges: of each, every source gives its buckets in one read, the postings
are put together, sorted, and written. Memory is a step's share of the postings: of 2^24
about 262,144 at a time (2 MiB, and a few times that while they are sorted), whatever the
number of entities; only the table of bucket offsets is kept until the end (8 bytes for
128 keys: 1 MiB at the most).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from lakecore.base import AlreadyExists
from lakecore.journal._index import arrays, layout
from lakecore.journal._index.files import IndexFile
from lakecore.journal._index.layout import MAGIC, Trailer
from lakecore.journal._index.names import Name

if TYPE_CHECKING:
    from typing import BinaryIO

    from lakecore.storage import Store

_STEPS: Final = 64
_STEP_BITS: Final = 6


def merge_postings(store: Store, name: Name, sources: Sequence[IndexFile], root: bytes) -> None:
    """Write the postings `name` from files that cover it without a gap.

    Raises:
        CorruptData: a source is damaged; nothing is written.
    """
    try:
        with store.upload(name.path) as file, _steps(store, name, sources) as steps:
            _write(file, name, sources, root, steps)
    except AlreadyExists:
        # The same events give the same postings: another machine was first.
        return


@contextmanager
def _steps(
    store: Store, name: Name, sources: Sequence[IndexFile]
) -> Iterator[Iterator[list[list[bytes]]]]:
    """The buckets of every source, step by step.

    On a remote store each is a round trip: those of a step are read at once, and those of the
    next step while this one is worked on. So a merge of 16 files waits 64 times, not 1,024.
    """
    if store.local_path(name.path) is not None:
        yield ([_buckets(source, step) for source in sources] for step in range(_STEPS))
        return
    with ThreadPoolExecutor(len(sources), thread_name_prefix="lakecore-merge") as readers:

        def ask(step: int) -> list[Future[list[bytes]]]:
            return [readers.submit(_buckets, source, step) for source in sources]

        def ahead() -> Iterator[list[list[bytes]]]:
            asked = ask(0)
            for step in range(_STEPS):
                found = [future.result() for future in asked]
                asked = ask(step + 1) if step + 1 < _STEPS else []
                yield found

        try:
            yield ahead()
        finally:
            readers.shutdown(cancel_futures=True)


def _buckets(source: IndexFile, step: int) -> list[bytes]:
    return source.buckets(_numbers(source, step))


def _numbers(source: IndexFile, step: int) -> range:
    shift = source.trailer.bucket_bits - _STEP_BITS
    return range(step << shift, (step + 1) << shift)


def _write(
    file: BinaryIO,
    name: Name,
    sources: Sequence[IndexFile],
    root: bytes,
    steps: Iterator[list[list[bytes]]],
) -> None:
    # The number of keys is not known before the end: that of the largest source, times the
    # number of sources, is right within a factor of them, and costs at most larger tables.
    bits = max(source.trailer.bucket_bits for source in sources)
    bits = min(bits + max(0, len(sources).bit_length() - 2), layout.KEY_BITS - 8)
    file.write(MAGIC)
    at = len(MAGIC)
    offsets = [at]
    for step, read in enumerate(steps):
        postings, heavy = _step(name, sources, step, read)
        buckets = range(step << (bits - _STEP_BITS), (step + 1) << (bits - _STEP_BITS))
        for data in arrays.encode_buckets(postings, heavy, bits, 4, buckets):
            file.write(data)
            at += len(data)
            offsets.append(at)
    file.write(struct.pack(f"<{len(offsets)}Q", *offsets))
    trailer = Trailer(layout.POSTINGS, name.first, name.end, 0, at, bits, root)
    file.write(trailer.encode())


def _step(
    name: Name, sources: Sequence[IndexFile], step: int, read: list[list[bytes]]
) -> tuple[arrays.Integers, arrays.Integers]:
    """(postings, heavy keys) of the keys of one step, sorted."""
    found = []
    heavy = []
    for source, buckets in zip(sources, read, strict=True):
        bits, width = source.trailer.bucket_bits, source.trailer.width
        moved = np.uint64(source.name.first - name.first)
        for number, data in zip(_numbers(source, step), buckets, strict=True):
            postings, too_many = arrays.decode_bucket(data, number, bits, width)
            found.append(postings + moved)
            heavy.append(too_many)
    postings = np.concatenate(found)
    postings.sort()
    keys, counts = np.unique(postings >> np.uint64(layout.SEQ_BITS), return_counts=True)
    many = np.unique(np.concatenate([*heavy, keys[counts > layout.HEAVY_ROWS]]))
    if len(many):
        is_light = ~np.isin(keys, many)
        postings = postings[np.repeat(is_light, counts)]
    return postings, many
