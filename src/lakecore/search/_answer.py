"""What a search finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The rows that were found, the best first, and what the index knows by now.

    Attributes:
        covered_version: the version of the dataset that was searched.
        version: the version that the dataset has.
        rows_behind: rows that changed between the two; None: more than are counted.
        is_exact: every vector was compared; else the graph's recall holds: `recall`.
        next_offset: where the next rows begin; None: there are none.
        rows: `_rank` (from 1), `_score` (more is better), `_key`, the key's columns, the indexed
            texts, `_highlight`.
    """

    index: str
    dataset: str
    covered_version: int
    version: int
    rows_behind: int | None
    is_exact: bool
    recall: float | None
    next_offset: int | None
    rows: pa.Table

    @property
    def is_behind(self) -> bool:
        """Whether the dataset changed since it was indexed."""
        return self.version > self.covered_version

    def to_arrow(self) -> pa.Table:
        """The rows as a table."""
        return self.rows

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        rows: list[dict[str, Any]] = self.rows.to_pylist()
        return rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_pylist())

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def facts(self) -> dict[str, Any]:
        """All but the rows, JSON-ready."""
        return {
            "index": self.index,
            "dataset": self.dataset,
            "covered_version": self.covered_version,
            "version": self.version,
            "rows_behind": self.rows_behind,
            "is_behind": self.is_behind,
            "is_exact": self.is_exact,
            "recall": self.recall,
            "next_offset": self.next_offset,
        }
