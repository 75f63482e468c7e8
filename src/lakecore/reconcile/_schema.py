"""What a table's metadata says of its columns, and what changed between two versions of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
from pyarrow import types as pat

from lakecore.base import CorruptData

_PHYSICAL: Final = "delta.columnMapping.physicalName"


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table as one `metaData` action has them."""

    metadata: Mapping[str, Any]

    @cached_property
    def arrow(self) -> pa.Schema:
        """The columns, without metadata. Raises `CorruptData`."""
        from deltalake import Schema

        text = str(self.metadata.get("schemaString") or "")
        try:
            schema = pa.schema(Schema.from_json(text).to_arrow())
        except Exception as error:  # whatever the library raises, the schema is none
            raise CorruptData("a table's schema does not read", found=error) from error
        return pa.schema([pa.field(item.name, item.type) for item in schema])

    @cached_property
    def fields(self) -> dict[str, Mapping[str, Any]]:
        """The fields of the schema's JSON, by name."""
        content = json.loads(str(self.metadata.get("schemaString") or '{"fields": []}'))
        return {str(item["name"]): item for item in content["fields"]}

    @property
    def partition_columns(self) -> tuple[str, ...]:
        return tuple(self.metadata.get("partitionColumns") or ())

    @property
    def configuration(self) -> dict[str, str]:
        return dict(self.metadata.get("configuration") or {})

    @cached_property
    def physical_names(self) -> dict[str, str]:
        """What each column is called in data files."""
        return {
            name: str((item.get("metadata") or {}).get(_PHYSICAL, name))
            for name, item in self.fields.items()
        }

    @property
    def maps_nested(self) -> bool:
        """Whether data files have other names inside of columns, too."""
        mapped = any(name != physical for name, physical in self.physical_names.items())
        return mapped and any(pat.is_nested(item.type) for item in self.arrow)


@dataclass(frozen=True, slots=True)
class SchemaEvent:
    """One change of a column or a property: JSON texts, None on the side where it is not."""

    action: str
    field: str
    old: str | None
    new: str | None


def schema_events(old: TableSchema, new: TableSchema) -> Iterator[SchemaEvent]:
    """What changed from one metadata to the next: one event a column or property."""
    columns = {_id_of(item): name for name, item in old.fields.items()}
    renamed: set[str] = set()
    for name, item in new.fields.items():
        before = columns.get(_id_of(item)) if _id_of(item) else None
        if before is not None and before != name and before not in new.fields:
            renamed.add(before)
            yield SchemaEvent("rename_column", before, _text(before), _text(name))
        elif name not in old.fields:
            yield SchemaEvent("add_column", name, None, _text(item["type"]))
        elif item["type"] != old.fields[name]["type"]:
            yield SchemaEvent(
                "change_column", name, _text(old.fields[name]["type"]), _text(item["type"])
            )
        elif item != old.fields[name]:
            yield SchemaEvent("change_column", name, _text(old.fields[name]), _text(item))
    for name, item in old.fields.items():
        if name not in new.fields and name not in renamed:
            yield SchemaEvent("drop_column", name, _text(item["type"]), None)
    yield from _property_events(old, new)


def protocol_event(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> Iterator[SchemaEvent]:
    """The change of what a reader or writer has to know; nothing where it is the same."""
    if new is not None and new != old:
        yield SchemaEvent("set_protocol", "*", None if old is None else _text(old), _text(new))


def _property_events(old: TableSchema, new: TableSchema) -> Iterator[SchemaEvent]:
    sides = [
        schema.configuration
        | {
            name: schema.metadata[name]
            for name in ("name", "description", "partitionColumns")
            if schema.metadata.get(name)
        }
        for schema in (old, new)
    ]
    for name in sorted(sides[0].keys() | sides[1].keys()):
        before, after = (_text(side[name]) if name in side else None for side in sides)
        if before != after:
            yield SchemaEvent("set_property", name[:200], before, after)


def _id_of(item: Mapping[str, Any]) -> object:
    return (item.get("metadata") or {}).get("delta.columnMapping.id")


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
