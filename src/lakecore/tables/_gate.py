"""What a change has to get past before it is committed: declared here, decided elsewhere.

One judge sees one attempt. It is shown what is known beforehand (`ChangeFacts`), then the
rows that really change, as they are found, then the whole (`Plan`); its ruling stands
between the plan and the commit. A refusal is raised, from wherever it is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal import Author
    from lakecore.tables._types import DatasetRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts:
    """What is known of a change before it is planned.

    `op` is one of insert, upsert, update, delete, replace, restore, revert, schema, merge,
    ingest, adopt; or clone: a branch's first version, which changes nothing. `base_version`
    is -1, and `schema` without columns, for a dataset without data. `base_rows` is None where
    the log does not say. `grant` is what the caller passed through, for instance an approval.
    """

    dataset: DatasetRef
    op: str
    author: Author
    mutation_id: str
    base_version: int
    base_rows: int | None
    schema: pa.Schema
    dry_run: bool
    grant: object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is known of a change once it is planned.

    `fields` counts the events. `bytes` is the old and new value text of all of them; of an
    unkeyed dataset the Arrow bytes of the rows. `schema_changes` name action and column
    (``add_column seats``); `schema` is that of the version to be.

    `digest` gives, in hex, the multiset hash of the exact change: of (entity_type,
    entity_id, field, action, old, new), in any order, whatever the version, the time and
    the mutation's id. Only a sink, or a judge with `wants_digest`, makes one.
    """

    inserted: int
    updated: int
    deleted: int
    fields: int
    bytes: int
    base_rows: int
    schema_changes: tuple[str, ...]
    schema: pa.Schema
    digest: Callable[[], str]


class Ruling(Enum):
    """What becomes of a planned change."""

    COMMIT = "commit"
    HOLD = "hold"
    """Stop here: nothing is committed, nothing is left behind."""


class Judge(Protocol):
    """Judges one attempt at one change.

    `columns`: those of before and after that `rows` needs; None for all, empty for none:
    then `rows` is not called. A column that the table lacks is left out. `wants_changed`:
    whether `rows` is given the names of each row's changed columns. `wants_digest`: whether
    `Plan.digest` is needed.
    """

    @property
    def columns(self) -> frozenset[str] | None: ...
    @property
    def wants_changed(self) -> bool: ...
    @property
    def wants_digest(self) -> bool: ...

    def rows(
        self, before: pa.Table | None, after: pa.Table | None, changed: pa.ListArray | None
    ) -> None:
        """Some rows that really change: row i of `before` becomes row i of `after`.

        `before` is None for rows that are inserted, `after` for rows that are deleted;
        `changed`, list<string>, is given with both sides only. Called by several threads at
        a time. Replacing an unkeyed dataset deletes all its rows and inserts the others.
        May raise: the attempt is over then.
        """
        ...

    def decide(self, plan: Plan) -> Ruling:
        """Called once, after all rows. Raises `Refused`, with reasons, to end it."""
        ...

    def context(self) -> Mapping[str, object]:
        """What the commit says about the decision, as JSON; called after `decide`.

        It becomes member ``decision`` of the mutation's context; its text ``tier`` is the
        result's too.
        """
        ...


class Gate(Protocol):
    """Gives every attempt its judge. Several threads may ask at a time."""

    def judge(self, facts: ChangeFacts) -> Judge | None:
        """The judge of one attempt, anew for each; None: exempt. May raise `Refused`."""
        ...


class DiffSink(Protocol):
    """Takes the exact change: tables with `DIFF_COLUMNS`, all text, in commit order.

    Values are JSON text, null where a side does not exist. A row of an unkeyed dataset has
    no entity_id: field ``*``, the whole row on its sides.
    """

    def write(self, rows: pa.Table) -> None:
        """The next changes."""
        ...

    def restart(self) -> None:
        """What was written is void: somebody else was first, the change is planned again."""
        ...


DIFF_COLUMNS = ("entity_type", "entity_id", "field", "action", "old_value", "new_value")
