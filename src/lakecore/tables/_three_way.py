"""Two sets of changes to the same rows put together: what is left to do, what is in conflict.

*Ours* is what a branch changed since its base, *theirs* what the table changed since then.
Both did the same: nothing to do. They differ in one cell, one of them deleted a row that the
other changed, or both inserted a key with other values: a conflict, unless it was resolved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from lakecore.base import Conflict
from lakecore.journal import changed, json_text, row_json
from lakecore.tables._keys import entity_ids, key_frame, key_names

if TYPE_CHECKING:
    Mask = np.ndarray[Any, np.dtype[np.bool_]]
    Rows = np.ndarray[Any, np.dtype[np.intp]]

Side = Literal["ours", "theirs"]
SIDES: Final = ("ours", "theirs")
WHOLE: Final = "*"
MAX_KEPT_CONFLICTS: Final = 1_000
_MAX_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class CellConflict:
    """One cell, or with field ``*`` a whole row, that both sides changed; values are JSON text.

    None: the row is not there, on that side.
    """

    entity_id: str
    field: str
    base: str | None
    ours: str | None
    theirs: str | None


class MergeConflicts(Conflict):
    """A branch and its table changed the same cells; `conflicts` has the first of `count`."""

    def __init__(self, dataset: str, conflicts: Sequence[CellConflict], count: int) -> None:
        self.dataset = dataset
        self.conflicts = tuple(conflicts)
        self.count = count
        named = [
            f"{one.entity_id or 'a row'} {one.field}: {_short(one.base)} became "
            f"{_short(one.ours)} here and {_short(one.theirs)} there"
            for one in conflicts[:_MAX_NAMED]
        ]
        more = count - len(named)
        super().__init__(
            "both sides changed the same",
            where=dataset,
            found="; ".join(named) + (f"; and {more:,} more" if more > 0 else ""),
            hint="say for each row and field which side counts, or for all of them",
        )


@dataclass(slots=True)
class Resolutions:
    """What counts where both sides changed the same.

    Args:
        default: the side for all that is not named; None: that is a conflict.
        cells: (entity_id, field) to a side; field ``*`` is all of the row.
    """

    default: Side | None = None
    cells: Mapping[tuple[str, str], Side] = field(default_factory=dict)
    count: int = 0
    first: list[CellConflict] = field(default_factory=list)

    def ours(self, name: str, ids: pa.Array, sides: Sequence[pa.Array | None]) -> Mask:
        """Which of these conflicts ours wins; those that nobody resolved are kept.

        `sides` are the texts of base, ours and theirs; None where no row has one.
        """
        found = np.full(len(ids), self.default == "ours", dtype=np.bool_)
        if not self.cells and self.default is not None:
            return found
        texts = [[None] * len(ids) if side is None else side.to_pylist() for side in sides]
        for row, entity in enumerate(ids.to_pylist()):
            choice = self.cells.get((entity, name)) or self.cells.get((entity, WHOLE))
            choice = choice or self.default
            found[row] = choice == "ours"
            if choice is None:
                self.count += 1
                if len(self.first) < MAX_KEPT_CONFLICTS:
                    values = [side[row] for side in texts]
                    self.first.append(CellConflict(entity, name, *values))
        return found

    def check(self, dataset: str) -> None:
        """Raises `MergeConflicts` when something was not resolved."""
        if self.count:
            raise MergeConflicts(dataset, self.first, self.count)


@dataclass(slots=True)
class RowSet:
    """What one side did: rows that went, that came, and that changed, before and after."""

    deleted: pa.Table
    inserted: pa.Table
    before: pa.Table
    after: pa.Table


@dataclass(slots=True)
class Merged:
    """What is left to do: keys to delete, rows to insert, cells of rows to set (`masks`)."""

    deleted: pa.Table
    inserted: pa.Table
    updated: pa.Table
    masks: dict[str, Mask]


def three_way(
    ours: RowSet,
    theirs: RowSet,
    key: Sequence[str],
    new_columns: frozenset[str],
    resolutions: Resolutions,
) -> Merged:
    """Put `ours` on top of `theirs`. All tables have one schema.

    Args:
        new_columns: those that only our side has.
    """
    return _ThreeWay(ours, theirs, list(key), new_columns, resolutions).run()


class _ThreeWay:
    def __init__(
        self,
        ours: RowSet,
        theirs: RowSet,
        key: list[str],
        new_columns: frozenset[str],
        resolutions: Resolutions,
    ) -> None:
        self._ours = ours
        self._theirs = theirs
        self._key = key
        self._new_columns = new_columns
        self._resolutions = resolutions
        self._names = [name for name in ours.after.schema.names if name not in key]
        self._masks = {
            name: _changed(ours.before.column(name), ours.after.column(name))
            for name in self._names
        }
        self._delete = np.ones(ours.deleted.num_rows, dtype=np.bool_)
        self._insert = np.ones(ours.inserted.num_rows, dtype=np.bool_)
        self._update = np.ones(ours.after.num_rows, dtype=np.bool_)
        self._back: list[pa.Table] = []
        self._onto: list[tuple[pa.Table, dict[str, Mask]]] = []

    def run(self) -> Merged:
        ours, theirs = self._ours, self._theirs
        self._both_changed(*self._meet(ours.after, theirs.after))
        self._changed_and_deleted(*self._meet(ours.after, theirs.deleted))
        self._deleted_and_changed(*self._meet(ours.deleted, theirs.after))
        self._delete[self._meet(ours.deleted, theirs.deleted)[0]] = False
        self._both_inserted(*self._meet(ours.inserted, theirs.inserted))
        updated, masks = self._updates()
        return Merged(
            deleted=ours.deleted.filter(pa.array(self._delete)).select(self._key),
            inserted=pa.concat_tables([ours.inserted.filter(pa.array(self._insert)), *self._back]),
            updated=updated,
            masks=masks,
        )

    def _both_changed(self, mine: Rows, other: Rows) -> None:
        if not len(mine):
            return
        ours, theirs = self._ours, self._theirs
        for name in self._names:
            they = _changed(_taken(theirs.before, name, other), _taken(theirs.after, name, other))
            both = self._masks[name][mine] & they
            differs = both & _changed(
                _taken(ours.after, name, mine), _taken(theirs.after, name, other)
            )
            wins = np.zeros(len(mine), dtype=np.bool_)
            if differs.any():
                rows, others = mine[differs], other[differs]
                wins[differs] = self._resolutions.ours(
                    name,
                    self._ids(ours.after, rows),
                    [
                        _texts(ours.before, name, rows),
                        _texts(ours.after, name, rows),
                        _texts(theirs.after, name, others),
                    ],
                )
            self._masks[name][mine[both & ~wins]] = False

    def _changed_and_deleted(self, mine: Rows, _: Rows) -> None:
        if not len(mine):
            return
        ours = self._ours
        sides = [_rows(ours.before, mine), _rows(ours.after, mine), None]
        wins = self._resolutions.ours(WHOLE, self._ids(ours.after, mine), sides)
        self._update[mine] = False
        self._back.append(ours.after.take(pa.array(mine[wins])))

    def _deleted_and_changed(self, mine: Rows, other: Rows) -> None:
        if not len(mine):
            return
        ours, theirs = self._ours, self._theirs
        sides = [_rows(ours.deleted, mine), None, _rows(theirs.after, other)]
        wins = self._resolutions.ours(WHOLE, self._ids(ours.deleted, mine), sides)
        self._delete[mine[~wins]] = False

    def _both_inserted(self, mine: Rows, other: Rows) -> None:
        if not len(mine):
            return
        ours, theirs = self._ours, self._theirs
        self._insert[mine] = False
        masks: dict[str, Mask] = {}
        for name in self._names:
            differs = _changed(
                _taken(theirs.inserted, name, other), _taken(ours.inserted, name, mine)
            )
            masks[name] = differs
            if name in self._new_columns or not differs.any():
                continue
            rows, others = mine[differs], other[differs]
            masks[name] = differs.copy()
            masks[name][differs] = self._resolutions.ours(
                name,
                self._ids(ours.inserted, rows),
                [None, _texts(ours.inserted, name, rows), _texts(theirs.inserted, name, others)],
            )
        self._onto.append((ours.inserted.take(pa.array(mine)), masks))

    def _updates(self) -> tuple[pa.Table, dict[str, Mask]]:
        parts = [(self._ours.after, {n: self._masks[n] & self._update for n in self._names})]
        parts += self._onto
        rows = pa.concat_tables([part for part, _ in parts])
        masks = {name: np.concatenate([mask[name] for _, mask in parts]) for name in self._names}
        wanted = np.zeros(rows.num_rows, dtype=np.bool_)
        for mask in masks.values():
            wanted |= mask
        if wanted.all():
            return rows, masks
        return rows.filter(pa.array(wanted)), {n: mask[wanted] for n, mask in masks.items()}

    def _meet(self, mine: pa.Table, other: pa.Table) -> tuple[Rows, Rows]:
        """Positions of the rows of both that have the same key."""
        if not mine.num_rows or not other.num_rows:
            nothing = np.zeros(0, dtype=np.intp)
            return nothing, nothing
        names = key_names(self._key)
        both = key_frame(mine, self._key).join(
            key_frame(other, self._key), on=names, how="inner", suffix="_in", nulls_equal=True
        )
        both = both.sort("row")
        rows = both["row"].to_numpy().astype(np.intp)
        return rows, both["row_in"].to_numpy().astype(np.intp)

    def _ids(self, rows: pa.Table, positions: Rows) -> pa.Array:
        return _flat(entity_ids(rows.select(self._key).take(pa.array(positions)), self._key))


def _changed(old: pa.ChunkedArray, new: pa.ChunkedArray) -> Mask:
    return np.array(changed(old, new), dtype=np.bool_)


def _taken(rows: pa.Table, name: str, positions: Rows) -> pa.ChunkedArray:
    return rows.column(name).take(pa.array(positions))


def _texts(rows: pa.Table, name: str, positions: Rows) -> pa.Array:
    return _flat(json_text(_taken(rows, name, positions)))


def _rows(rows: pa.Table, positions: Rows) -> pa.Array:
    return _flat(row_json(rows.take(pa.array(positions))))


def _flat(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _short(text: str | None) -> str:
    return "absent" if text is None else text if len(text) <= 40 else f"{text[:39]}…"
