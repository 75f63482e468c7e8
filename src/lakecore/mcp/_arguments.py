"""The arguments of the tools, as pydantic models: what a client is told, and what is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lakecore.base import InvalidInput
from lakecore.mcp._limits import MAX_QUERY_S, PROPOSED_ROWS, QUERY_S

_M = TypeVar("_M", bound=BaseModel)
_SHOWN_ERRORS = 5
_MAX_SQL_CHARACTERS = 100_000
_MAX_TEXT_CHARACTERS = 10_000

Dataset = Annotated[
    str, Field(min_length=1, max_length=256, description="A dataset's name, as `datasets` has it.")
]
Text = Annotated[str, Field(max_length=_MAX_TEXT_CHARACTERS)]
Key = Annotated[
    Any,
    Field(
        description="The key's value; of several key columns a list or an object of their values."
    ),
]


class Arguments(BaseModel):
    """An object with known members only."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Arguments):
    """No arguments."""


class OfDataset(Arguments):
    """One dataset."""

    dataset: Dataset


class More(Arguments):
    """The next page."""

    cursor: Annotated[str, Field(max_length=64, description="From the answer before.")]


class Sql(Arguments):
    """One read-only statement."""

    sql: Annotated[
        str, Field(max_length=_MAX_SQL_CHARACTERS, description="One SELECT, or DESCRIBE or SHOW.")
    ]
    params: Annotated[
        dict[str, Any] | list[Any] | None,
        Field(description="Values of $name as an object, or of $1, $2 as a list."),
    ] = None
    timeout_s: Annotated[float, Field(gt=0, le=MAX_QUERY_S)] = QUERY_S


class Search(Arguments):
    """A text in an index."""

    index: Annotated[
        str, Field(min_length=1, max_length=128, description="As `select * from system.indexes`.")
    ]
    text: Annotated[str, Field(min_length=1, max_length=4_096)]
    limit: Annotated[int, Field(ge=1, le=1_000)] = 10
    where: Annotated[
        str | None,
        Field(max_length=16_384, description="A condition in SQL over the dataset's columns."),
    ] = None


class History(Arguments):
    """One row of a dataset."""

    dataset: Dataset
    key: Key
    field: Annotated[
        str | None, Field(max_length=256, description="Only what concerns this column.")
    ] = None


class Blame(Arguments):
    """One row of a dataset."""

    dataset: Dataset
    key: Key


class Pending(Arguments):
    """One change that waits, or without an id all."""

    id: Annotated[str | None, Field(max_length=256)] = None


class Verify(Arguments):
    """How much is verified."""

    full: Annotated[
        bool, Field(description="Also what was verified before; takes long in a large lake.")
    ] = False


class Proposal(Arguments):
    """One change of a dataset's rows."""

    dataset: Dataset
    op: Literal["insert", "upsert", "update", "delete"]
    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1_000,
            description="Why, in a sentence: it is kept with the change for ever.",
        ),
    ]
    rows: Annotated[
        list[dict[str, Any]] | None,
        Field(max_length=PROPOSED_ROWS, description="For insert and upsert: rows as objects."),
    ] = None
    set: Annotated[
        dict[str, Any] | None, Field(description="For update: the new value of each column.")
    ] = None
    where: Annotated[
        Text | None,
        Field(description="For update and delete: an SQL condition over the dataset's columns."),
    ] = None
    keys: Annotated[
        list[Any] | None,
        Field(max_length=PROPOSED_ROWS, description="For update and delete: the keys of the rows."),
    ] = None
    all: Annotated[
        bool,
        Field(description="For update and delete: every row; without it that is refused."),
    ] = False
    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="The same proposal again under the same key is the same change.",
        ),
    ] = None

    def call(self) -> tuple[list[Any], dict[str, Any]]:
        """Arguments of the lake's method, and nothing that it would pass over in silence.

        Raises:
            InvalidInput: something is missing, or belongs to another operation.
        """
        takes = {
            "insert": {"rows"},
            "upsert": {"rows"},
            "update": {"set", "where", "keys", "all"},
            "delete": {"where", "keys", "all"},
        }[self.op]
        strange = sorted((self.model_fields_set & {"rows", "set", "where", "keys", "all"}) - takes)
        if strange:
            raise InvalidInput(
                f"{self.op} does not take this",
                expected=", ".join(sorted(takes)),
                found=", ".join(strange),
            )
        needed = {"insert": "rows", "upsert": "rows", "update": "set"}.get(self.op)
        if needed is not None and not getattr(self, needed):
            raise InvalidInput(f"{self.op} needs {needed}")
        given = [self.rows] if "rows" in takes else []
        return given, {name: getattr(self, name) for name in takes - {"rows"}}


def read_arguments(model: type[_M], given: Mapping[str, Any] | None) -> _M:
    """The arguments of a call.

    Raises:
        InvalidInput: they are not as the tool's schema says.
    """
    try:
        return model.model_validate(dict(given or {}))
    except ValidationError as error:
        raise _not_right(error.errors(include_url=False)) from None


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model as JSON Schema, for clients."""
    schema = model.model_json_schema()
    schema.pop("title", None)
    schema.pop("description", None)
    for member in schema.get("properties", {}).values():
        member.pop("title", None)
    return schema


def _not_right(errors: Sequence[Mapping[str, Any]]) -> InvalidInput:
    shown = errors[:_SHOWN_ERRORS]
    more = f"; and {len(errors) - len(shown)} more" if len(errors) > len(shown) else ""
    return InvalidInput(
        "the arguments are not as the tool takes them",
        where=", ".join(".".join(map(str, one["loc"])) for one in shown if one["loc"]) or None,
        expected="; ".join(str(one["msg"]) for one in shown) + more,
        hint="the tool's schema says what it takes",
    )
