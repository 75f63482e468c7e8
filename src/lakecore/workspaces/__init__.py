"""Workspaces: the lake as it is now, and changes on top that nobody else sees until a merge.

    create --> base: a version of every dataset (names alone, no data)
                 |
    change --> `workspaces/<id>/<schema>/<dataset>`: a branch, begun at the first change of
                 |   that dataset: version 0 refers to the base's files, none is copied
                 |
    diff, sql, history  <-- the branches, and the base where nothing was changed
                 |
    merge ----> per dataset one mutation: base -> branch on top of base -> main
    drop

==============  ======================================================================
`_workspace`    what a workspace is: its document, states, names and places (pure)
`_workspaces`   the face: create, look up, branches, diff, drop; pins for maintenance
`_view`         the tables of one workspace: branches where touched, else the base
`_merging`      a merge over several datasets, which goes on where it was killed
`_simulator`    changes tried out in a workspace of their own
`_table`        `system.workspaces`
==============  ======================================================================

Events of a workspace carry its id, are journaled and verified like all others, and main's
history leaves them out; the merge is a change of its own, in the name of who merges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.workspaces._merging import (
        DatasetMerge,
        FoundConflict,
        MergeResult,
        Merging,
        WorkspaceConflicts,
        resolutions_of,
    )
    from lakecore.workspaces._simulator import SqlCheck, WorkspaceSimulator
    from lakecore.workspaces._table import workspaces_table
    from lakecore.workspaces._view import WorkspaceView
    from lakecore.workspaces._workspace import Base, Workspace
    from lakecore.workspaces._workspaces import Workspaces

_HOME = {
    "Base": "_workspace",
    "DatasetMerge": "_merging",
    "FoundConflict": "_merging",
    "MergeResult": "_merging",
    "Merging": "_merging",
    "SqlCheck": "_simulator",
    "Workspace": "_workspace",
    "WorkspaceConflicts": "_merging",
    "WorkspaceSimulator": "_simulator",
    "resolutions_of": "_merging",
    "WorkspaceView": "_view",
    "Workspaces": "_workspaces",
    "workspaces_table": "_table",
}

__all__ = [
    "Base",
    "DatasetMerge",
    "FoundConflict",
    "MergeResult",
    "Merging",
    "SqlCheck",
    "Workspace",
    "WorkspaceConflicts",
    "WorkspaceSimulator",
    "WorkspaceView",
    "Workspaces",
    "resolutions_of",
    "workspaces_table",
]

__getattr__ = lazy_exports(__name__, _HOME)
