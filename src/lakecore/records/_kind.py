"""A kind of record: which dataset, which columns, how long it is kept. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lakecore.base import InvalidInput

SCHEMA: Final = "system"
EXTRA: Final = "extra"
TIME: Final = pa.timestamp("us", "UTC")
MAX_RETENTION_DAYS: Final = 36_600

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class RecordKind:
    """What the records of one dataset `system.<name>` look like.

    A newer release may add columns, and does not change or remove any.

    Attributes:
        name: without the schema: ``usage``.
        schema: the columns. One of type timestamp[us, UTC] is `time_column`; a row that has no
            time gets that of its append.
        description: one sentence, for the catalog.
        retention_days: a row older than this is removed by maintenance; None: none ever is.
        entity_type: what a row is, for the journal; default the name.
        time_column: when a record happened.
        has_extra: members of a row that are no column are kept as JSON in the text column
            ``extra``; without it they are refused.
        share: how full the machine's spool may be, 1 = full, for more of these to be taken: a
            flood of one kind leaves room for others.
    """

    name: str
    schema: pa.Schema
    description: str
    retention_days: float | None = None
    entity_type: str = ""
    time_column: str = "time"
    has_extra: bool = False
    share: float = 1.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput("not a name of records", found=repr(self.name))
        days = self.retention_days
        if days is not None and not 0 < days <= MAX_RETENTION_DAYS:
            raise InvalidInput(
                "not a retention", expected=f"more than 0, at most {MAX_RETENTION_DAYS} days"
            )
        if len(set(self.schema.names)) != len(self.schema.names):
            raise InvalidInput("a column is there twice", where=self.dataset)
        at = self.schema.get_field_index(self.time_column)
        if at < 0 or self.schema.field(at).type != TIME:
            raise InvalidInput(
                "records have a time",
                expected=f"a column {self.time_column!r} of type {TIME}",
                where=self.dataset,
            )
        if self.has_extra and EXTRA not in self.schema.names:
            schema = self.schema.append(pa.field(EXTRA, pa.string()))
            object.__setattr__(self, "schema", schema)

    @property
    def dataset(self) -> str:
        """The dataset's whole name: ``system.usage``."""
        return f"{SCHEMA}.{self.name}"
