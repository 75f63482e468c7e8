"""`system.workspaces`: one row a workspace, with what it touched and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from lakecore.workspaces._workspace import Workspace

_TIME: Final = pa.timestamp("us", tz="UTC")
_SCHEMA: Final = pa.schema(
    [
        ("name", pa.string()),
        ("workspace_id", pa.string()),
        ("state", pa.string()),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("datasets", pa.int64()),
        ("touched", pa.list_(pa.string())),
        ("merged", pa.map_(pa.string(), pa.int64())),
        ("created", _TIME),
        ("closed", _TIME),
    ]
)


def workspaces_table(found: Iterable[tuple[Workspace, Iterable[str]]]) -> pa.Table:
    """Workspaces, each with the names of the datasets that have a branch."""
    rows = [
        {
            "name": workspace.name,
            "workspace_id": workspace.workspace_id,
            "state": workspace.state,
            "actor": workspace.actor,
            "reason": workspace.reason,
            "datasets": len(workspace.base),
            "touched": sorted(touched),
            "merged": sorted((workspace.merged or {}).items()),
            "created": workspace.created_us,
            "closed": workspace.closed_us,
        }
        for workspace, touched in found
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
