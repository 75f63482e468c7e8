"""Which events are asked for: equal columns and a span of time, over tables and statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput
from lakecore.journal._events.rules import FIELDS

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Events whose columns equal `equals`, at or after `since_us` and before `until_us`."""

    equals: dict[str, Any] = field(default_factory=dict)
    since_us: int | None = None
    until_us: int | None = None

    @classmethod
    def of(
        cls, *, since_us: int | None = None, until_us: int | None = None, **columns: Any
    ) -> EventFilter:
        """A filter on the columns that are not None."""
        equals = {name: value for name, value in columns.items() if value is not None}
        for name, value in equals.items():
            if name not in FIELDS:
                raise InvalidInput("an event has no such field", found=name)
            wanted = int if name in ("seq", "version", "leaf") else str
            if type(value) is not wanted:
                raise InvalidInput(
                    "a filter has the wrong type",
                    expected=wanted.__name__,
                    found=type(value).__name__,
                    where=name,
                )
        return cls(equals, since_us, until_us)

    @property
    def columns(self) -> list[str]:
        """The columns that it looks at."""
        is_timed = self.since_us is not None or self.until_us is not None
        return [*self.equals, *(["timestamp"] if is_timed else [])]

    def overlaps(self, min_us: int, max_us: int) -> bool:
        """Whether events between these times, both included, may match."""
        return (self.since_us is None or max_us >= self.since_us) and (
            self.until_us is None or min_us < self.until_us
        )

    def may_match(self, row_group: Any) -> bool:
        """Whether a Parquet row group may have matches, by its statistics."""
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            wanted = self.equals.get(column.path_in_schema)
            statistics = column.statistics if wanted is not None else None
            if (
                statistics is not None
                and statistics.has_min_max
                and not statistics.min <= wanted <= statistics.max
            ):
                return False
        return True

    def mask(self, table: pa.Table) -> pa.Array | None:
        """True for the rows that match; None when every row does."""
        import pyarrow as pa
        import pyarrow.compute as pc

        masks = [_equal(table.column(name), value) for name, value in self.equals.items()]
        bounds = ((self.since_us, pc.greater_equal), (self.until_us, pc.less))
        for bound, compare in bounds:
            if bound is not None:
                moment = pa.scalar(bound, pa.int64()).cast(pa.timestamp("us", "UTC"))
                masks.append(compare(table.column("timestamp"), moment))
        if not masks:
            return None
        result = masks[0]
        for mask in masks[1:]:
            result = pc.and_(result, mask)
        return pc.fill_null(result, False)

    def apply(self, table: pa.Table) -> pa.Table:
        """The rows that match."""
        mask = self.mask(table)
        return table if mask is None else table.filter(mask)

    def steps(self) -> list[EventFilter]:
        """The same, column by column: what costs least to read comes first."""
        found = [EventFilter({name: value}) for name, value in self.equals.items()]
        if self.since_us is not None or self.until_us is not None:
            found.insert(0, EventFilter({}, self.since_us, self.until_us))
        return found


def _equal(column: pa.ChunkedArray, value: Any) -> pa.ChunkedArray:
    """Where a column has a value; of a dictionary's rows only the numbers are looked at."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return pc.equal(column, value)
    numbers = (
        pc.equal(chunk.indices, pc.index(chunk.dictionary, value).cast(chunk.indices.type))
        for chunk in column.chunks
    )
    return pa.chunked_array(numbers, pa.bool_())
