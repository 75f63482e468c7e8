"""SHA-256 of many values at once: row *i* of the result belongs to row *i* of the input.

DataFusion's ``sha256`` is two to three times as fast as a loop over hashlib. Two things
about it are not obvious. With more than one partition it returns rows in another order,
so a context here has one, and more speed comes from more threads, each with its own
context. And a context keeps every table that it was given, so each is taken out again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import Bug

if TYPE_CHECKING:
    from datafusion import SessionContext

Hashes = npt.NDArray[np.uint8]
"""Shape (n, 32): one SHA-256 a row."""

HASH_BYTES: Final = 32
_CHUNK_ROWS: Final = 16_384
"""Rows hashed in one call: bounds the prefixed copy."""
_FEW_ROWS: Final = 512
"""Up to here a loop over hashlib is faster than a call to DataFusion."""

_local = threading.local()


def sha256_rows(values: pa.Array | pa.ChunkedArray, prefix: bytes = b"") -> Hashes:
    """SHA-256 of ``prefix + value`` for each value of a binary or string column, in order.

    Raises:
        Bug: a value is null, or DataFusion answers with another number of rows.
    """
    hashes = np.empty((len(values), HASH_BYTES), dtype=np.uint8)
    done = 0
    for chunk in _chunks(values):
        if chunk.null_count:
            raise Bug("a null has no hash", where=f"rows {done} to {done + len(chunk)}")
        hashes[done : done + len(chunk)] = _hash(chunk, prefix)
        done += len(chunk)
    return hashes


def _chunks(values: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    arrays = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    for array in arrays:
        for start in range(0, len(array), _CHUNK_ROWS):
            yield array.slice(start, _CHUNK_ROWS)


def _hash(values: pa.Array, prefix: bytes) -> Hashes:
    if not pa.types.is_binary(values.type):
        values = pc.cast(values, pa.large_binary())
    if len(values) <= _FEW_ROWS:
        digests = [hashlib.sha256(prefix + value.as_buffer()).digest() for value in values]
        return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, HASH_BYTES)
    if prefix:
        first, last = (pa.scalar(part, values.type) for part in (prefix, b""))
        values = pc.binary_join_element_wise(first, values, last)
    return _hash_in_datafusion(values)


def _hash_in_datafusion(values: pa.Array) -> Hashes:
    from datafusion import col
    from datafusion import functions as f

    context = _context()
    batch = pa.record_batch([values], names=["v"])
    context.register_record_batches("rows", [[batch]])
    try:
        answer = context.table("rows").select(f.sha256(col("v")).alias("h")).collect()
    finally:
        context.deregister_table("rows")
    if sum(len(part) for part in answer) != len(values):
        raise Bug("hashes were lost", expected=len(values), found=[len(part) for part in answer])
    hashes = np.concatenate([_as_matrix(part.column(0)) for part in answer])
    for row in (0, len(values) // 2, len(values) - 1):
        if hashes[row].tobytes() != hashlib.sha256(values[row].as_buffer()).digest():
            raise Bug("hashes came back in another order", where=f"row {row}")
    return hashes


def _as_matrix(hashes: pa.Array) -> Hashes:
    data: Any = hashes.buffers()[2]
    start = hashes.offset * HASH_BYTES
    flat = np.frombuffer(data, dtype=np.uint8)[start : start + len(hashes) * HASH_BYTES]
    return flat.reshape(len(hashes), HASH_BYTES)


def _context() -> SessionContext:
    from datafusion import SessionConfig, SessionContext

    context: SessionContext | None = getattr(_local, "context", None)
    if context is None:
        config = SessionConfig().with_target_partitions(1).with_batch_size(_CHUNK_ROWS)
        # There is nothing to optimise in one call of one function: a quarter of a millisecond.
        config = config.set("datafusion.optimizer.max_passes", "0")
        context = _local.context = SessionContext(config)
    return context
