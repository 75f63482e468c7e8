"""What goes into a change and what comes out of it: small values without behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from lakecore.base import limits

if TYPE_CHECKING:
    from lakecore.journal import Staging, Target

SchemaChange = Literal["evolve", "freeze"]

MAX_SAMPLE_CHANGES: Final = 20
"""Changes that a result shows; its counts are exact."""


class DatasetRef(Protocol):
    """What a change needs to know of a dataset; the catalog's `Dataset` has it."""

    @property
    def name(self) -> str: ...
    @property
    def dataset_id(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def entity_type(self) -> str: ...
    @property
    def contract(self) -> str: ...


class StagingJournal(Protocol):
    """What a change needs of the journal; `lakecore.journal.Journal` has it."""

    def stage(self, target: Target) -> Staging:
        """A staged file for the events of one attempt at creating `target`."""
        ...

    def committed(self, commit_id: str) -> None:
        """The attempt's object is durable: its events may be sealed."""
        ...


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL expression over the row's columns, where a plain value would be taken literally.

    >>> Sql("seats + 1").text
    'seats + 1'
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestNote:
    """The file that rows came from: journaled as one `ingest` event, and remembered by `sha256`.

    `rows` is informative only: the event carries the number of rows that were committed.
    """

    file_name: str
    sha256: str
    size_bytes: int
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A number that the commit leaves under a name, so that nothing is appended twice.

    The change is committed on a version whose number under `name` is `after` (0: none yet), and
    leaves `number` there. So who sends numbered parts can read from the table which of them are
    in (`Tables.number_of`), whatever became of the process that sent them.
    """

    name: str
    after: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationResult:
    """What one mutation did, or with `dry_run` would do.

    `commit_id` and `version` are None when nothing was committed: a dry run, or nothing to
    change. `unchanged` counts rows that were given or matched and are already so, `missing`
    keys that no row has, `conflicts` rows and fields that a revert passed over. `changes`
    shows at most `MAX_SAMPLE_CHANGES` of them as mappings with `action`, `entity_id`,
    `field`, `old_value`, `new_value` (JSON text or None).

    `tier` is what the gate ruled by. `held`: the gate stopped the change; nothing is
    committed. `digest` is that of the exact change, where it was asked for (`Plan`).
    """

    mutation_id: str
    commit_id: str | None
    dataset: str
    version: int | None
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    missing: int = 0
    conflicts: int = 0
    events: int = 0
    dry_run: bool = False
    changes: tuple[Mapping[str, Any], ...] = ()
    tier: str = "auto"
    held: bool = False
    digest: str | None = None

    @property
    def committed(self) -> bool:
        """True when the table has a new version because of this."""
        return self.commit_id is not None


def _no_step(name: str) -> None:
    """The default hook: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """How tables are written; every size has a bound.

    `on_step` is called with the name of each step as it is reached (`planned`, `staged`,
    `rebased`, `committing`, `committed`, `acknowledged`): a place for tests to stop a process.
    """

    compression: str = "zstd"
    compression_level: int = 1
    file_bytes: int = 128 * limits.MIB
    file_rows: int = 1 << 20
    row_group_rows: int = 1 << 16
    row_group_bytes: int = 64 * limits.MIB
    chunk_rows: int = 1 << 15
    chunk_bytes: int = 16 * limits.MIB
    """A piece of a stream, between reading, writing and journaling; about eight are in flight."""
    input_bytes: int = 512 * limits.MIB
    """Arrow bytes of rows that `upsert` and a keyed `replace` hold; more is refused."""
    keys_in_memory: int = 1 << 20
    """Of more new rows than this, hashes of the keys are spilled to disk and compared."""
    temp_dir: Path | None = None
    """Where keys are spilled; the system's temporary directory when None."""
    checkpoint_versions: int = 50
    max_retries: int = limits.MAX_COMMIT_RETRIES
    retry_wait_s: float = 0.01
    """The first wait after a lost race, doubled up to a second, with jitter."""
    on_step: Callable[[str], None] = field(default=_no_step, repr=False)
