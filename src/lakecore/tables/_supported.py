"""Which tables Lakecore writes: those whose every feature it keeps."""

from __future__ import annotations

from typing import Final

from lakecore.base import Conflict, CorruptData, UnsupportedFormat
from lakecore.tables._delta_log import NTZ_FEATURE
from lakecore.tables._places import is_outside
from lakecore.tables._state import TableState
from lakecore.tables._types import DatasetRef

_WRITER_FEATURES: Final = {NTZ_FEATURE, "appendOnly", "invariants"}
_REFUSED_OPTIONS: Final = {
    "delta.enableChangeDataFeed": "true",
    "delta.enableDeletionVectors": "true",
    "delta.enableRowTracking": "true",
    "delta.columnMapping.mode": "id name",
}


def check_writable(state: TableState, dataset: DatasetRef, *, removes: bool) -> None:
    """Refuse a table with features that a change of ours would break or ignore.

    Raises:
        UnsupportedFormat: deletion vectors, change data feed, column mapping, partitions,
            constraints, generated columns, or `removes` on an append-only table.
        CorruptData: the log is another table's.
    """
    if state.empty:
        return
    found = _unsupported(state, dataset.location, removes)
    if found:
        raise UnsupportedFormat(
            "this table has features that Lakecore does not write",
            found=found,
            where=dataset.name,
            hint="change it with the engine that made it, or copy it into a new dataset",
        )
    if state.metadata.table_id != dataset.dataset_id:
        raise CorruptData(
            "another table lies at the dataset's place",
            expected=f"table id {dataset.dataset_id}",
            found=state.metadata.table_id,
            where=dataset.location,
        )


def check_not_moved(state: TableState, dataset: DatasetRef) -> None:
    """Refuse to change a table at a place that it has left, or is leaving.

    The log says by which move it leaves, the catalog's entry how many moves are done. As the
    fence is a version like any other, who commits before it is copied with the rest, and who
    wants to commit behind it reads it first.

    Raises:
        Conflict: the entry is older than the fence.
    """
    if state.moved > (getattr(dataset, "moves", None) or 0):
        raise Conflict(
            "the dataset is being moved to another bucket",
            where=dataset.name,
            found=f"move {state.moved} from {dataset.location}",
            hint="try again; if whoever moves it died, `lakecore bucket move` goes on with it "
            "or, with --cancel, leaves it where it is",
        )


def _unsupported(state: TableState, location: str, removes: bool) -> str:
    configuration = state.metadata.configuration
    found = sorted(set(state.protocol["writerFeatures"]) - _WRITER_FEATURES)
    if state.protocol["minWriterVersion"] not in (1, 2, 7):
        found.append(f"writer version {state.protocol['minWriterVersion']}")
    for option, refused in _REFUSED_OPTIONS.items():
        if configuration.get(option, "").lower() in refused.split():
            found.append(f"{option}={configuration[option]}")
    found.extend(name for name in configuration if name.startswith("delta.constraints."))
    if removes and configuration.get("delta.appendOnly", "").lower() == "true":
        found.append("delta.appendOnly=true")
    if state.partition_columns:
        found.append("partition columns")
    for field in state.schema:
        marks = [mark for mark in (field.metadata or {}) if mark.startswith(b"delta.")]
        found.extend(f"{mark.decode()} of column {field.name!r}" for mark in marks)
    outside = (file.path for file in state.files if is_outside(location, file.path))
    found.extend(f"a file outside of the table ({path})" for path in outside)
    return ", ".join(found)
