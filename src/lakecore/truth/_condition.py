"""What a rule asks of a context: the conditions, and their JSON form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lakecore.truth._path import Path


@dataclass(frozen=True, slots=True)
class Always:
    """Holds for every context."""

    def to_dict(self) -> dict[str, Any]:
        return {"always": True}


@dataclass(frozen=True, slots=True)
class FieldEquals:
    """Holds where the value at `path` is `value`, a JSON value; kinds are never mixed."""

    path: Path
    value: Any

    def to_dict(self) -> dict[str, Any]:
        return {"field_equals": {"path": str(self.path), "value": self.value}}


@dataclass(frozen=True, slots=True)
class FieldEmpty:
    """Holds where there is nothing at `path`: missing, null, or without content."""

    path: Path

    def to_dict(self) -> dict[str, Any]:
        return {"field_empty": {"path": str(self.path)}}


@dataclass(frozen=True, slots=True)
class FieldGreater:
    """Holds where the value at `path` is greater than `value`, a number or a text."""

    path: Path
    value: Any

    def to_dict(self) -> dict[str, Any]:
        return {"field_greater": {"path": str(self.path), "value": self.value}}


@dataclass(frozen=True, slots=True)
class All:
    """Holds where each part does. A part that does not hold outweighs one that fails."""

    parts: tuple[Condition, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"all": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where one part does. A part that holds outweighs one that fails."""

    parts: tuple[Condition, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"any": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: Condition

    def to_dict(self) -> dict[str, Any]:
        return {"not": self.part.to_dict()}


@dataclass(frozen=True, slots=True)
class Cel:
    """Holds where an expression of the Common Expression Language is true."""

    expression: str

    def to_dict(self) -> dict[str, Any]:
        return {"cel": self.expression}


Condition = Always | FieldEquals | FieldEmpty | FieldGreater | All | AnyOf | Not | Cel
FieldCondition = FieldEquals | FieldEmpty | FieldGreater


def walk(condition: Condition) -> Iterator[Condition]:
    """The condition and all inside of it, the outer ones first."""
    yield condition
    if isinstance(condition, All | AnyOf):
        for part in condition.parts:
            yield from walk(part)
    elif isinstance(condition, Not):
        yield from walk(condition.part)
