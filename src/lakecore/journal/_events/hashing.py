"""Leaf hashes of tables of events, one or many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.tlog import Hashes

_HASH_THREADS: Final = 2


def hash_events(events: pa.Table, constant: Collection[str] = ()) -> Hashes:
    """The leaf hashes of events, shape (n, 32); `constant` columns have one value in all rows."""
    # Polars makes the lines: only what hashes pays for its import.
    from lakecore.journal._events.leaf import event_hashes

    return event_hashes(events, constant)


def inputs_ahead(tables: Iterator[pa.Table]) -> Iterator[tuple[pa.ChunkedArray, Hashes]]:
    """Each table's leaf inputs and leaf hashes, in order; threads work on the next ones."""

    def work(table: pa.Table) -> tuple[pa.ChunkedArray, Hashes]:
        from lakecore.journal._events.leaf import leaf_inputs
        from lakecore.tlog import sha256_rows

        inputs = leaf_inputs(table)
        return inputs, sha256_rows(inputs)

    with ThreadPoolExecutor(_HASH_THREADS, thread_name_prefix="lakecore-hash") as threads:
        waiting: deque[Future[tuple[pa.ChunkedArray, Hashes]]] = deque()
        for table in tables:
            waiting.append(threads.submit(work, table))
            if len(waiting) > _HASH_THREADS:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def hash_ahead(tables: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, Hashes]]:
    """Each table with its leaf hashes, in order; two threads hash the next ones meanwhile."""
    first = next(tables, None)
    if first is None:
        return
    second = next(tables, None)
    if second is None:
        yield first, hash_events(first)
        return
    with ThreadPoolExecutor(_HASH_THREADS, thread_name_prefix="lakecore-hash") as threads:
        waiting = deque((table, threads.submit(hash_events, table)) for table in (first, second))
        for table in tables:
            waiting.append((table, threads.submit(hash_events, table)))
            done, hashes = waiting.popleft()
            yield done, hashes.result()
        for done, hashes in waiting:
            yield done, hashes.result()
