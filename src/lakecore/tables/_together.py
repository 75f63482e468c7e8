"""Which changes that wait for a table go into one commit, and how: upserts of few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from lakecore.tables._group import MAX_ROWS, Member
from lakecore.tables._keys import key_frame, key_names
from lakecore.tables._merge import Merge
from lakecore.tables._types import MutationResult


class Apart(Exception):
    """Some mutations of a group do not get into its commit; `outcomes`: by position, theirs."""

    def __init__(self, outcomes: Mapping[int, MutationResult | Exception]) -> None:
        super().__init__(f"{len(outcomes)} mutations leave their group")
        self.outcomes = outcomes


def how_many(waiting: Sequence[Member]) -> int:
    """How many of those that wait, from the first on, make one group; at least 1.

    They give the same columns of the same dataset, and no key comes twice: the change of a
    row by one would be the base of the other's.
    """
    parts: list[Merge] = []
    rows = 0
    first = waiting[0].request
    for member in waiting:
        operation = _shared(member)
        if operation is None or member.request.dataset != first.dataset:
            break
        rows += operation.input.num_rows
        if rows > MAX_ROWS or (parts and operation.input.schema != parts[0].input.schema):
            break
        parts.append(operation)
    if len(parts) < 2:
        return 1
    return _distinct(parts, first.dataset.key)


def _shared(member: Member) -> Merge | None:
    """The upsert, if it may share a commit."""
    operation, request = member.operation, member.request
    if not isinstance(operation, Merge) or operation.is_replace:
        return None
    if request.dry_run or request.note is not None or request.before_commit is not None:
        return None
    return operation


def _distinct(parts: Sequence[Merge], key: Sequence[str]) -> int:
    """How many of `parts`, from the first on, have no key twice."""
    if any(name not in parts[0].input.schema.names for name in key):
        return 1
    rows = pa.concat_tables([part.input.select(list(key)) for part in parts])
    names = key_names(key)
    keys = key_frame(rows, key).unique(names, keep="first", maintain_order=True)
    if keys.height == rows.num_rows:
        return len(parts)
    seen = keys["row"].to_numpy()
    repeated = int(np.flatnonzero(np.append(seen, -1) != np.arange(len(seen) + 1))[0])
    ends = np.cumsum([part.input.num_rows for part in parts])
    return max(1, int(np.searchsorted(ends, repeated, side="right")))


def faulty(members: Sequence[Member], schema: pa.Schema) -> dict[int, Exception]:
    """The errors of those whose input by itself does not fit a table of that schema."""
    found: dict[int, Exception] = {}
    for position, member in enumerate(members):
        operation = _shared(member)
        try:
            if operation is not None:
                operation.check(schema, member.request.dataset.key)
        except Exception as error:  # whatever it is, it is this member's
            found[position] = error
    return found
