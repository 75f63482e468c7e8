"""The difference of two versions of a table as a stream: read only, nothing is journaled."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lakecore.storage import Store
from lakecore.tables._difference import Side, differing, row_changes
from lakecore.tables._logged import check_key_then
from lakecore.tables._row_events import row_builders, schema_events
from lakecore.tables._state import TableState
from lakecore.tables._types import DatasetRef, TableSettings


def difference(
    store: Store,
    dataset: DatasetRef,
    old: TableState,
    new: TableState,
    settings: TableSettings,
) -> Iterator[pa.Table]:
    """What turns `old` into `new`, with `DIFF_COLUMNS`; only files that differ are read."""
    for state in (old, new):
        check_key_then(state, dataset)
    entity_type = dataset.entity_type or dataset.name
    first, last = schema_events(dataset, old.schema, new.schema)
    for change in first:
        yield change.exact(entity_type)
    sides = differing(Side(old.schema, old.files), Side(new.schema, new.files))
    for found in row_changes(store, dataset.location, dataset.key, sides, settings):
        for build, arguments in row_builders(found, dataset.key):
            change = build(*arguments)
            if len(change):
                yield change.exact(entity_type)
    for change in last:
        yield change.exact(entity_type)
