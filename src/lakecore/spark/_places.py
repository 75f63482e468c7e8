"""Where rows are that a query on Spark reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lakecore.base.limits import MIB

MAX_ROWS_BYTES: Final = 64 * MIB
"""Arrow bytes of rows that are sent to the server with a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaPlace:
    """A Delta table as it was at one version."""

    uri: str
    version: int
    schema: pa.Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetPlaces:
    """Parquet files of one schema that do not change, and rows that are in none of them.

    `check` is asked when all rows were read: it raises when they may not have been all.
    """

    uris: tuple[str, ...]
    schema: pa.Schema
    rest: pa.Table | None = None
    check: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPlace:
    """Rows that are sent with the query: at most `MAX_ROWS_BYTES`."""

    rows: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """Of the rows."""
        return self.rows.schema


Place = DeltaPlace | ParquetPlaces | RowsPlace
