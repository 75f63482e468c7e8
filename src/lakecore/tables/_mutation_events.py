"""The events of one mutation, read back to be undone: what became of each of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    import polars as pl

_COLUMNS: Final = ("entity_id", "field", "action", "old_value", "new_value")
SCHEMA_ACTIONS: Final = (
    "add_column",
    "rename_column",
    "drop_column",
    "widen_column",
    "change_column",
)


@dataclass(slots=True)
class MutationEvents:
    """A mutation's events of rows, as they come; `whole` and `cells` are what they amount to.

    `complete` is False when they are more than `limit_bytes`: the rest is counted only.
    """

    limit_bytes: int
    complete: bool = True
    rows: int = 0
    schema_changes: list[str] = field(default_factory=list)
    """Columns that were renamed, dropped or widened: not undone by rows."""
    _held: list[pa.Table] = field(default_factory=list)
    _size_bytes: int = 0

    @classmethod
    def read(cls, events: Iterable[pa.Table | pa.RecordBatch], limit_bytes: int) -> MutationEvents:
        """From tables with `entity_id`, field, action, `old_value`, `new_value`, in order."""
        found = cls(limit_bytes)
        for part in events:
            found._take(part)
        return found

    def _take(self, part: pa.Table | pa.RecordBatch) -> None:
        lacking = [name for name in _COLUMNS if part.schema.get_field_index(name) < 0]
        if lacking:
            raise InvalidInput("not events of a mutation", expected=", ".join(_COLUMNS))
        rows = pa.table([part.column(name).cast(pa.string()) for name in _COLUMNS], names=_COLUMNS)
        if not rows.num_rows:
            return
        of_schema = pc.is_in(rows.column("action"), pa.array(SCHEMA_ACTIONS))
        gone = pc.and_(of_schema, pc.not_equal(rows.column("action"), "add_column"))
        self.schema_changes.extend(rows.filter(gone).column("field").to_pylist())
        rows = rows.filter(pc.and_(pc.invert(of_schema), _of_rows(rows)))
        self.rows += rows.num_rows
        self._size_bytes += rows.nbytes
        if self._size_bytes > self.limit_bytes:
            self.complete = False
            self._held = []
        if self.complete:
            self._held.append(rows)

    def whole(self) -> pl.DataFrame:
        """Rows that came, went, or both: `entity_id`, before, after; null where it was not."""
        import polars as pl

        rows = self._frame().filter(pl.col("field") == "*")
        sides = {
            "before": rows.filter(pl.col("old_value").is_not_null()).select(
                "entity_id", "old_value"
            ),
            "after": rows.filter(pl.col("new_value").is_not_null()).select(
                "entity_id", "new_value"
            ),
        }
        before = sides["before"].unique("entity_id", keep="first", maintain_order=True)
        after = sides["after"].unique("entity_id", keep="last", maintain_order=True)
        both = before.join(after, on="entity_id", how="full", coalesce=True)
        return both.rename({"old_value": "before", "new_value": "after"}).sort("entity_id")

    def cells(self) -> pl.DataFrame:
        """Fields that changed: `entity_id`, field, old, new."""
        import polars as pl

        rows = self._frame().filter(pl.col("field") != "*")
        return rows.group_by("entity_id", "field", maintain_order=True).agg(
            pl.col("old_value").first().alias("old"), pl.col("new_value").last().alias("new")
        )

    def _frame(self) -> pl.DataFrame:
        import polars as pl

        if not self._held:
            return pl.DataFrame({name: pl.Series([], dtype=pl.String) for name in _COLUMNS})
        found = pl.from_arrow(pa.concat_tables(self._held))
        if not isinstance(found, pl.DataFrame):
            raise InvalidInput("not events of a mutation", found=type(found).__name__)
        return found


def _of_rows(events: pa.Table) -> pa.ChunkedArray:
    """Not the closing event of a batch: its sides are no rows."""
    is_field = pc.not_equal(events.column("field"), "*")
    sides = [
        pc.fill_null(pc.starts_with(events.column(name), "{"), False)
        for name in ("old_value", "new_value")
    ]
    return pc.or_(is_field, pc.or_(*sides))
