"""A table source over plain Delta tables and Arrow, for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lakecore.base import NotFound


class DeltaLake:
    """Delta tables in a folder per schema, and anything else by name; counts what it opens."""

    def __init__(self, root: Path, others: Mapping[tuple[str, str], Any] | None = None) -> None:
        self.root = root
        self.others = dict(others or {})
        self.opened: list[tuple[str, str, int | None, datetime | None]] = []

    def write(
        self, name: str, rows: pa.Table, *, schema: str = "main", mode: str = "append"
    ) -> Path:
        place = self.root / schema / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_deltalake(str(place), rows, mode=mode)  # type: ignore[call-overload]  # a literal
        return place

    def schemas(self) -> list[str]:
        return sorted({"main", *(path.name for path in self.root.iterdir()), *self._schemas()})

    def _schemas(self) -> set[str]:
        return {schema for schema, _ in self.others}

    def tables(self, schema: str) -> list[str]:
        place = self.root / schema
        names = {path.name for path in place.iterdir()} if place.is_dir() else set()
        return sorted(names | {name for held, name in self.others if held == schema})

    def table(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> object | None:
        self.opened.append((schema, name, version, time))
        if (schema, name) in self.others:
            other = self.others[schema, name]
            if isinstance(other, Exception):
                raise other
            return other
        place = self.root / schema / name
        if "/" in name or not place.is_dir():
            return None
        newest = DeltaTable(str(place))
        if time is not None:
            return self._at(newest, place, name, time)
        if version is not None and version > newest.version():
            raise NotFound(
                "no such version", expected=f"0 to {newest.version()}", found=version, where=name
            )
        return newest if version is None else DeltaTable(str(place), version=version)

    def _at(self, newest: DeltaTable, place: Path, name: str, time: datetime) -> DeltaTable:
        commits = sorted((c["timestamp"], c["version"]) for c in newest.history())
        found = [number for stamp, number in commits if stamp <= time.timestamp() * 1_000]
        if not found:
            first = datetime.fromtimestamp(commits[0][0] / 1_000, UTC)
            raise NotFound("no version so early", expected=f"{first} or later", where=name)
        return DeltaTable(str(place), version=max(found))


def bytes_of(chunks: Any) -> bytes:
    """A result's chunks as one piece."""
    return b"".join(chunks)


Call = Callable[[], object]
