"""Two faces of a lake, asked the same: one opened, one behind a gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakecore.base import LakecoreError
from lakecore.journal import Event

CSV = "tailnum,seats,built\nN1,55,2001-02-03\nN2,182,1999-12-31\nN3,,\n"


@dataclass
class Faces:
    """Two lakes that nothing was done to: one opened, one behind a gateway."""

    opened: Any
    client: Any
    folder: Path

    def both(self, do: Callable[[Any], Any]) -> Any:
        """What both say, once it is the same; their errors, too."""
        first, second = (_tried(do, face) for face in (self.opened, self.client))
        assert second == first
        return first


def _tried(do: Callable[[Any], Any], face: Any) -> Any:
    try:
        return do(face)
    except LakecoreError as error:
        parts = error.to_dict()
        # By a key it is the key that is told to be refused; hints name ways of one's own.
        return type(error), {name: parts.get(name) for name in ("message", "expected", "found")}


def planes(faces: Faces) -> None:
    """A dataset with three rows, from a file."""
    path = faces.folder / "planes.csv"
    path.write_text(CSV)

    def load(face: Any) -> Any:
        (result,) = face.ingest(path, dataset="planes", key="tailnum", entity_type="plane")
        told = ("file", "format", "rows", "inserted", "rejected", "version", "sha256", "held")
        return {name: getattr(result, name) for name in told}, type(result)

    told, _ = faces.both(load)
    assert (told["inserted"], told["version"]) == (3, 0)


def result(made: Any) -> dict[str, Any]:
    """A change's result without what is another one in each lake."""
    names = ("dataset", "version", "inserted", "updated", "deleted", "unchanged", "missing")
    names += ("conflicts", "events", "dry_run", "tier", "held", "committed")
    return {name: getattr(made, name) for name in names} | {"type": type(made)}


def told(event: Event) -> dict[str, Any]:
    """An event without what is another one in each lake."""
    own = ("seq", "event_id", "timestamp", "dataset_id", "mutation_id", "context")
    return {name: value for name, value in event.to_dict().items() if name not in own}


def table(face: Any, sql: str = "select * from planes order by tailnum", *args: Any) -> pa.Table:
    """Rows of a query with their types."""
    found: pa.Table = face.sql(sql, *args).to_arrow()
    return found


def table_of(found: Any) -> list[dict[str, Any]]:
    """Rows in an order."""
    return sorted(found.to_pylist(), key=lambda row: str(row["tailnum"]))
