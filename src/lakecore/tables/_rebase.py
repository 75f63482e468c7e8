"""After a lost race: may the change be committed on the newer base as it was planned?

It may where planning again would find the same: the files that it replaces are still there,
the table is described as it was, and the files that came hold no row of its concern. Then
only the events are staged anew, with the new version and time; the data files stay. So a
large change gets through although others append all the time.

A judge is not asked again: what it was shown is what is committed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.tables._attempt import Attempt
from lakecore.tables._operations import Operation
from lakecore.tables._state import TableState


@runtime_checkable
class Steady(Protocol):
    """An operation that can tell whether files that came after its base concern it."""

    def unaffected(self, attempt: Attempt, added: TableState) -> bool:
        """Whether the plan is the same with the files of `added` more in the base."""
        ...


def still_holds(operation: Operation, attempt: Attempt, newest: TableState) -> bool:
    """Whether what was planned on the attempt's base is what `newest` would give."""
    base = attempt.base
    if base.empty or attempt.schema_changed or not isinstance(operation, Steady):
        return False
    if newest.metadata != base.metadata or newest.protocol != base.protocol:
        return False
    if newest.partition_columns != base.partition_columns or newest.schema != base.schema:
        return False
    present = {file.path for file in newest.files}
    if any(removed.path not in present for removed in attempt.removes):
        return False
    return operation.unaffected(attempt, _added(base, newest))


def _added(base: TableState, newest: TableState) -> TableState:
    """`newest` with only those files that `base` has not."""
    known = pa.array([file.path for file in base.files], pa.string())
    is_known = pc.is_in(newest.actions.column("path").cast(pa.string()), value_set=known)
    return replace(newest, actions=newest.actions.filter(pc.invert(is_known)))
