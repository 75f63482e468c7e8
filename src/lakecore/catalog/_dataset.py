"""What the catalog knows of a dataset, and the rules for its parts: no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from lakecore.base import CorruptData, InvalidInput
from lakecore.base.limits import MAX_NAME_BYTES
from lakecore.storage import bucket_of

MAIN: Final = "main"
SYSTEM: Final = "system"
CONTRACTS: Final = ("evolve", "freeze", "quarantine")
"""What an ingest may do to a schema: add columns, nothing, or send what differs to quarantine."""

MAX_RETENTION_DAYS: Final = 36_600
MAX_RETENTION_VERSIONS: Final = 1_000_000_000

_OPTIONAL: Final = (
    *("adopted_version", "retention_days", "retention_versions", "purged_us"),
    *("checks", "moves", "former", "moving_to"),
)
"""Members that a document has only where they say something."""
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_TABLES = "tables"


class State(StrEnum):
    """Where a dataset is in its life."""

    ACTIVE = "active"
    DROPPED = "dropped"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerPlace:
    """Where a table was before it was moved.

    Attributes:
        version: the last one that was committed there: the fence.
        purge_after_us: from then on its data files may go; `purged_us`: when they went.
    """

    location: str
    version: int
    purge_after_us: int
    purged_us: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FormerPlace:
        known = {member.name for member in fields(cls)}
        return cls(**{name: value for name, value in body.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset as of one version of its catalog document.

    Attributes:
        name: ``planes`` (schema main) or ``schema.name``.
        dataset_id: the Delta table's id, a UUID; never used again.
        location: the table's folder, relative to the lake.
        key: the columns that identify a row; empty for an unkeyed dataset.
        entity_type: what a row is, for the journal; default the name.
        contract: one of `CONTRACTS`.
        protected: refuses `drop` while set.
        created_us, dropped_us, purge_after_us: microseconds since the epoch, UTC.
        renamed_to: where the name went, in state renamed.
        renamed_from: the name and document version that this one continues.
        adopted_version: of a table that was adopted, the first version that is journaled.
        retention_days, retention_versions: how long, and how many, versions are kept at
            least; None for the lake's setting.
        purged_us: when its files were given up after the grace of a drop.
        checks: name to SQL that must find no row, asked where a change is tried out.
        moves: how often its table was moved to another place; a fence in the table's log with
            a greater number says that this entry is from before the last move.
        former: where the table was before, oldest first: `FormerPlace` as JSON.
        moving_to: where it is being copied to; it is read and written at `location` until then.
        version: of the catalog document.
    """

    name: str
    dataset_id: str
    location: str
    key: tuple[str, ...] = ()
    entity_type: str = ""
    contract: str = "evolve"
    state: State = State.ACTIVE
    protected: bool = False
    owner: str = ""
    description: str = ""
    created_us: int = 0
    dropped_us: int | None = None
    purge_after_us: int | None = None
    renamed_to: str | None = None
    renamed_from: tuple[str, int] | None = None
    adopted_version: int | None = None
    retention_days: float | None = None
    retention_versions: int | None = None
    purged_us: int | None = None
    checks: Mapping[str, str] | None = None
    moves: int | None = None
    former: tuple[Mapping[str, Any], ...] | None = None
    moving_to: str | None = None
    version: int = -1

    @property
    def schema_name(self) -> str:
        return split_name(self.name)[0]

    @property
    def active(self) -> bool:
        return self.state is State.ACTIVE

    @property
    def bucket(self) -> str:
        """The name of the bucket that its table is in; '' for the lake's own store."""
        return bucket_of(self.location)

    @property
    def former_places(self) -> list[FormerPlace]:
        """Where the table was before, oldest first."""
        return [FormerPlace.from_json(place) for place in self.former or ()]

    @property
    def next_place(self) -> str:
        """A folder that only this dataset's next move uses, below ``tables/``."""
        schema, rest = split_name(self.name)
        return f"{_TABLES}/{schema}/{rest}.m{(self.moves or 0) + 1}-{self.dataset_id[:8]}"

    def to_body(self) -> dict[str, Any]:
        """The JSON object that the catalog document holds; everything but name and version."""
        body = asdict(self)
        del body["name"], body["version"]
        body["key"] = list(self.key)
        body["former"] = list(self.former) if self.former else None
        body["renamed_from"] = list(self.renamed_from) if self.renamed_from else None
        for member in _OPTIONAL:
            if body[member] is None:
                del body[member]
        return body

    @classmethod
    def from_body(cls, name: str, version: int, body: Mapping[str, Any]) -> Dataset:
        """The dataset in a document. Fields of newer versions are passed over, not lost:

        `merge_body` writes them back.
        """
        known = {member.name for member in fields(cls)} - {"name", "version"}
        parts = {name: value for name, value in body.items() if name in known}
        try:
            parts["key"] = tuple(parts["key"])
            parts["state"] = State(parts["state"])
            if parts.get("former"):
                parts["former"] = tuple(parts["former"])
            if parts.get("renamed_from"):
                parts["renamed_from"] = tuple(parts["renamed_from"])
            return cls(name=name, version=version, **parts)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptData(
                "a catalog document lacks a part", where=f"datasets/{name}", found=repr(error)
            ) from error

    def merge_body(self, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """The next body: ours over `before`, whose unknown fields survive."""
        others = {name: value for name, value in (before or {}).items() if name not in _OPTIONAL}
        return {**others, **self.to_body()}

    def with_changes(self, **changes: Any) -> Dataset:
        return replace(self, **changes)


def check_dataset_name(name: str, *, system: bool = False) -> str:
    """The name in its one spelling (``main.planes`` is ``planes``), or `InvalidInput`.

    Names are lower-case SQL identifiers so that they never need quotes; the schema
    ``system`` is Lakecore's own.
    """
    parts = name.split(".")
    if parts[0] == MAIN and len(parts) == 2:
        parts = parts[1:]
    good = len(parts) in (1, 2) and all(_IDENTIFIER.fullmatch(part) for part in parts)
    if not good or len(name.encode()) > MAX_NAME_BYTES:
        suggestion = re.sub(r"[^a-z0-9_.]+", "_", name.lower()).strip("_.")[:MAX_NAME_BYTES]
        if suggestion and not re.match(r"[a-z_]", suggestion):
            suggestion = f"_{suggestion}"
        raise InvalidInput(
            "not a dataset name",
            expected="letters a-z, digits and '_', optionally after a schema and a dot",
            found=repr(name),
            hint=f"for example {suggestion!r}" if suggestion else None,
        )
    if parts[0] in (SYSTEM, "information_schema") and len(parts) == 2 and not system:
        raise InvalidInput(
            f"the schema {parts[0]!r} is Lakecore's own", found=name, hint="choose another schema"
        )
    return ".".join(parts)


def split_name(name: str) -> tuple[str, str]:
    """(schema, name without it).

    >>> split_name("planes"), split_name("hr.staff")
    (('main', 'planes'), ('hr', 'staff'))
    """
    schema, dot, rest = name.partition(".")
    return (schema, rest) if dot else (MAIN, name)


def location_of(name: str, generation: int) -> str:
    """The folder of a dataset's table; a name that is used again gets a new folder."""
    schema, rest = split_name(name)
    suffix = f".{generation}" if generation else ""
    return f"{_TABLES}/{schema}/{rest}{suffix}"


def check_key(key: Sequence[str]) -> tuple[str, ...]:
    """Key columns: names, none twice."""
    if isinstance(key, str):
        key = (key,)
    if any(not isinstance(column, str) or not column for column in key):
        raise InvalidInput("a key is a list of column names", found=list(key))
    if len(set(key)) != len(key):
        raise InvalidInput("a key names a column twice", found=list(key))
    return tuple(key)


def check_retention(name: str, value: object) -> None:
    """A retention in days, or in versions, or None. Raises `InvalidInput`."""
    days = name == "retention_days"
    low, high = (0, MAX_RETENTION_DAYS) if days else (1, MAX_RETENTION_VERSIONS)
    kinds = (int, float) if days else (int,)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise InvalidInput(
            "not a retention",
            expected=f"{low} to {high:,}, or None for the lake's setting",
            found=repr(value),
            where=name,
        )


def check_contract(contract: str) -> str:
    if contract not in CONTRACTS:
        raise InvalidInput("unknown contract", expected=" | ".join(CONTRACTS), found=contract)
    return contract


def check_checks(checks: Mapping[str, str]) -> Mapping[str, str]:
    """Names, and SQL of each."""
    if not isinstance(checks, Mapping) or not all(
        isinstance(part, str) and part for item in checks.items() for part in item
    ):
        raise InvalidInput("checks are names, and SQL of each", found=repr(checks)[:200])
    return checks
