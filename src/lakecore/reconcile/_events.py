"""Events of a version that another program made, as Arrow: whole columns, never a row."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base.limits import MIB
from lakecore.journal import prepare_events, staged_schema

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.journal import PreparedEvents, Staging

_PART_ROWS: Final = 1 << 15
_PART_BYTES: Final = 8 * MIB
"""Rows whose events are built at once: their JSON is several times as large."""
_THREADS: Final = 2
_AHEAD: Final = 4
"""Pieces that are hashed, or wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Events of one shape: `old` and `new` are JSON text, None where that side is not."""

    action: str
    entity_ids: Any
    field: str = "*"
    old: Any = None
    new: Any = None
    entity_type: str | None = None
    context: str = "{}"


class EventWriter:
    """Gives the events of one version their ordinals, and stages them in order.

    Hashing is done by threads meanwhile; a context manager: everything is staged when its
    block ends normally.
    """

    def __init__(
        self,
        staging: Staging,
        dataset: Dataset,
        *,
        version: int,
        actor: str,
        timestamp_us: int,
    ) -> None:
        self._staging = staging
        self._dataset = dataset
        self.count = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lakecore-reconcile")
        self._prepared: deque[Future[PreparedEvents]] = deque()
        self._constant: dict[str, object] = {
            "timestamp": timestamp_us,
            "actor": actor,
            "source": "external",
            "workspace_id": "",
            "dataset": dataset.name,
            "dataset_id": dataset.dataset_id,
            "version": version,
            "mutation_id": staging.commit_id,
        }

    def write(self, piece: Piece) -> None:
        """Stage the events of a piece, after those given before."""
        count = len(piece.entity_ids)
        if not count:
            return
        while len(self._prepared) >= _AHEAD:
            self._staging.write(self._prepared.popleft().result())
        self._prepared.append(self._threads.submit(self._prepare, piece, self.count))
        self.count += count

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._prepared:
                self._staging.write(self._prepared.popleft().result())
        finally:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, piece: Piece, first: int) -> PreparedEvents:
        count = len(piece.entity_ids)
        constant = self._constant | {
            "entity_type": piece.entity_type or self._dataset.entity_type or self._dataset.name,
            "field": piece.field,
            "action": piece.action,
            "context": piece.context,
        }
        ordinals = pa.array(np.arange(first, first + count)).cast(pa.string())
        columns = {
            "event_id": pc.binary_join_element_wise(f"{self._staging.commit_id}:", ordinals, ""),
            "entity_id": piece.entity_ids,
            "old_value": piece.old,
            "new_value": piece.new,
        }
        arrays, repeated = [], []
        for field in staged_schema():
            values = columns.get(field.name)
            if values is None:
                value = pa.scalar(constant.get(field.name), field.type)
                arrays.append(pa.repeat(value, count))
                repeated.append(field.name)
                continue
            if isinstance(values, pa.ChunkedArray):
                values = values.combine_chunks()
            arrays.append(values if values.type == field.type else values.cast(field.type))
        events = pa.table(arrays, schema=staged_schema())
        return prepare_events(events, json_is_known=True, constant=repeated)


def texts(*values: str | None) -> pa.Array:
    """A few values as a text column."""
    return pa.array(values, pa.string())


def context_text(content: Mapping[str, object]) -> str:
    """JSON object text."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def parts_of(rows: pa.Table) -> Iterator[pa.Table]:
    """`rows` in parts small enough to build their events at once."""
    step = _PART_ROWS
    if rows.nbytes > _PART_BYTES:
        step = max(1, min(step, rows.num_rows * _PART_BYTES // rows.nbytes))
    for start in range(0, rows.num_rows, step):
        yield rows.slice(start, step)
