"""One attempt before its judge: rows as they are found, the exact change, the ruling.

Without a judge or a sink nothing is gathered here, and every change passes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakecore.base import Bug, InvalidInput
from lakecore.journal import MultisetHash, multiset_hash, row_json
from lakecore.tables._events import Change
from lakecore.tables._gate import ChangeFacts, DiffSink, Gate, Plan, Ruling

if TYPE_CHECKING:
    Mask = np.ndarray[Any, np.dtype[np.bool_]]
    Positions = np.ndarray[Any, np.dtype[np.intp]]


class Review:
    """What one attempt at one mutation shows its judge, and how it ends.

    `shows_rows`: the judge looks at rows. `exact`: the exact change is gathered, for its
    digest and for the sink.
    """

    def __init__(self, gate: Gate | None, facts: ChangeFacts, sink: DiffSink | None) -> None:
        judge = gate.judge(facts) if gate is not None else None
        self._judge = judge
        self._columns = judge.columns if judge is not None else frozenset()
        self._names_changed = judge is not None and judge.wants_changed
        self._sink = sink
        self._hash = MultisetHash()
        self._lock = threading.Lock()
        self._ruling: Ruling | None = None
        self._refused = False
        self.shows_rows = self._columns is None or bool(self._columns)
        wants_digest = judge is not None and judge.wants_digest
        self.exact = sink is not None or wants_digest

    # -- rows -----------------------------------------------------------------------------

    def show(
        self,
        before: pa.Table | None,
        after: pa.Table | None,
        mask: pa.BooleanArray | None = None,
    ) -> None:
        """Show the judge rows that are inserted or deleted; with `mask`, those it marks."""
        before, after = self._seen(before), self._seen(after)
        if mask is not None:
            before, after = (side and side.filter(mask) for side in (before, after))
        self._show(before, after, None)

    def show_updates(
        self,
        before: pa.Table,
        after: pa.Table,
        positions: Positions,
        any_change: Mask,
        masks: Mapping[str, Mask],
    ) -> None:
        """Show the judge the rows at `positions` that changed, of a chunk before and after.

        `masks` says for each column which of `positions` changed in it, `any_change` in any.
        """
        where = pa.array(positions[any_change])
        changed = _changed_names(any_change, masks) if self._names_changed else None
        before, after = self._selected(before), self._selected(after)
        self._show(before.take(where), after.take(where), changed)

    def _show(
        self, before: pa.Table | None, after: pa.Table | None, changed: pa.ListArray | None
    ) -> None:
        if self._judge is None:
            raise Bug("rows for no judge")
        if not any(side is not None and side.num_rows for side in (before, after)):
            return
        try:
            self._judge.rows(before, after, changed)
        except BaseException:
            # Nothing that is raised beside may be lost on its way to the ruling.
            self._refused = True
            raise

    def _seen(self, rows: pa.Table | None) -> pa.Table | None:
        return None if rows is None else self._selected(rows)

    def _selected(self, rows: pa.Table) -> pa.Table:
        columns = self._columns
        if columns is None:
            return rows
        return rows.select([name for name in rows.schema.names if name in columns])

    # -- the exact change -----------------------------------------------------------------

    def digest_rows(self, rows: pa.Table) -> None:
        """Add some of the exact change to its digest. Any number of threads, in any order."""
        found = multiset_hash(rows)
        with self._lock:
            self._hash.merge(found)

    def write(self, rows: pa.Table) -> None:
        """Give the sink the next of the exact change."""
        if self._sink is not None:
            self._sink.write(rows)

    def restart(self) -> None:
        """What was written to the sink is void."""
        if self._sink is not None:
            self._sink.restart()

    def digest(self) -> str:
        """The digest of the exact change, once all of it was given. See `Plan`."""
        if not self.exact:
            raise Bug("the digest of a change that nobody asked for")
        return self._hash.hex()

    # -- the ruling -----------------------------------------------------------------------

    def decide(self, plan: Callable[[], Plan]) -> Ruling:
        """The judge's ruling; raises its refusal. Without a judge: commit."""
        if self._refused:
            raise Bug("a change that was refused is decided on")
        if self._judge is None:
            self._ruling = Ruling.COMMIT
        else:
            self._ruling = self._judge.decide(plan())
        return self._ruling

    @property
    def columns(self) -> frozenset[str] | None:
        """The columns that the judge looks at; None for all."""
        return self._columns

    @property
    def judged(self) -> bool:
        """Whether there is a judge."""
        return self._judge is not None

    @property
    def refused(self) -> bool:
        """Whether the judge raised while it was shown rows."""
        return self._refused

    @property
    def held(self) -> bool:
        """Whether the judge stopped the change."""
        return self._ruling is Ruling.HOLD

    @property
    def tier(self) -> str:
        """What the judge ruled by, if it says so."""
        tier = self._judge.context().get("tier") if self._judge and self._ruling else None
        return tier if isinstance(tier, str) else "auto"

    @property
    def passed(self) -> bool:
        """Whether the change may be committed: nothing else may say so."""
        return self._ruling is Ruling.COMMIT and not self._refused

    def context(self) -> dict[str, object]:
        """``{"decision": …}``, {} when nobody decided. Raises `InvalidInput`: it is not JSON."""
        if self._judge is None or self._ruling is None:
            return {}
        decision = dict(self._judge.context())
        try:
            json.dumps(decision, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidInput("a decision's context is not JSON", found=error) from error
        return {"decision": decision} if decision else {}


def _changed_names(any_change: Mask, masks: Mapping[str, Mask]) -> pa.ListArray:
    """The names of the changed columns of every changed row, as list<string>."""
    table = np.stack([mask[any_change] for mask in masks.values()], axis=1)
    offsets = np.zeros(len(table) + 1, np.int32)
    np.cumsum(table.sum(axis=1), out=offsets[1:])
    names = pa.array(list(masks), pa.string()).take(pa.array(np.nonzero(table)[1]))
    return pa.ListArray.from_arrays(pa.array(offsets), names)


def row_change(before: pa.Table | None, after: pa.Table | None) -> Change:
    """Whole rows of an unkeyed dataset: part of the exact change, but no events."""
    action = "insert" if before is None else "delete" if after is None else "update"
    rows = before if before is not None else after
    if rows is None:
        raise Bug("a change of no rows")
    return Change(
        action=action,
        entity_ids=pa.repeat(pa.scalar(""), rows.num_rows),
        old=None if before is None else row_json(before),
        new=None if after is None else row_json(after),
        journaled=False,
    )
