"""Bounds of the engine and of each query."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal

from lakecore.base.limits import GIB, MIB

MAX_STATEMENT_BYTES: Final = 1 * MIB
"""One SQL text."""

MIN_MEMORY_BYTES: Final = 1 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySettings:
    """Bounds that hold for every query unless the call gives its own."""

    memory_limit_bytes: int = 2 * GIB
    """Memory of one query's sorts, joins and aggregates; what needs more is spilled to disk."""

    timeout_s: float | None = None
    """Seconds from the call to the last batch that is handed out; None: no limit."""

    max_rows: int | None = None
    """Rows of a result; further ones are cut off and `QueryResult.truncated` says so."""

    spill_directory: str | os.PathLike[str] | None = None
    """Where queries spill, one folder each, removed with the result; None: the system's."""

    target_partitions: int | None = None
    """Threads of one query; None: one per processor."""

    isolation: Literal["auto", "always", "never"] = "auto"
    """Which queries run in a process of their own, where they can be ended at any moment.

    DataFusion cannot interrupt a join that is busy (apache/datafusion#19358), and a statement
    nested too deeply overflows its stack. Under a time limit ``auto`` isolates joins without
    an equality and functions that make much of little (`repeat`); always very long chains of
    operators, and everything else while a query that was stopped is still busy. ``always``
    suits a server that strangers send queries to.
    """

    idle_processes: int = 1
    """Processes kept for the next isolated query."""
