"""What upkeep is told, what it needs of others, and what it says it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from lakecore.base.limits import GIB, MIB

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.tables import RowSorter

HOUR_US: Final = 3600 * 1_000_000
DAY_US: Final = 24 * HOUR_US

Outcome = Literal["done", "planned", "skipped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainSettings:
    """How datasets are kept; one that says otherwise for itself is kept as it says.

    Attributes:
        target_bytes: of a file that small ones are put together to; a file below a quarter
            of it is small.
        min_files: as many small files at least are put together.
        step_bytes: of small files that one run puts together, of one dataset.
        checkpoint_versions: a checkpoint is due so many versions after the last one.
        retention_days, retention_versions: a version is kept as long as either says so.
        grace_hours: how long files stay that no kept version needs, since they were written
            and since the table gave them up.
        vacuum_hours: between two vacuums of a dataset that is not named.
    """

    target_bytes: int = 128 * MIB
    min_files: int = 8
    step_bytes: int = 8 * GIB
    checkpoint_versions: int = 50
    retention_days: float = 30.0
    retention_versions: int = 10
    grace_hours: float = 24.0
    vacuum_hours: float = 24.0


class Workspaces(Protocol):
    """What workspaces need, and what they leave behind."""

    def pinned(self) -> Iterable[tuple[str, int]]:
        """(location, version) of every version of a table that somebody builds on."""
        ...

    def finished(self) -> Iterable[str]:
        """Folders below ``workspaces/`` of those that were merged or dropped."""
        ...


class NoWorkspaces:
    """A lake without workspaces."""

    def pinned(self) -> Iterable[tuple[str, int]]:
        return ()

    def finished(self) -> Iterable[str]:
        return ()


class Unjournaled(Protocol):
    """Knows the versions of other programs that the journal does not tell of yet."""

    def __call__(self, dataset: Dataset) -> Iterable[int]:
        """Those versions; their files, and those that they removed, have to stay."""
        ...


class Expiry(Protocol):
    """Knows which rows are kept for a time only: records of the lake itself."""

    def due(self, dataset: Dataset) -> str | None:
        """The SQL condition of the rows that are over; None where there is nothing to do."""
        ...

    def expire(self, dataset: Dataset, condition: str, *, author: Author) -> int:
        """Remove those rows, one change of the table; how many. Raises `Conflict`."""
        ...


class NothingExpires:
    """A lake whose rows are all kept."""

    def due(self, dataset: Dataset) -> str | None:
        return None

    def expire(self, dataset: Dataset, condition: str, *, author: Author) -> int:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: in whose name; `is_asked`: datasets are named, so nothing waits for its time.

    `stop` is called between parts of a step; what it raises ends the run.
    """

    author: Author
    dry_run: bool
    is_asked: bool
    stop: Callable[[], None]
    sorter: RowSorter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of upkeep for one dataset.

    `action` is expire, compact, checkpoint, vacuum or purge. Files and bytes are those of the
    files that the step is about: before it, and what is left of them. `version` is the one
    that it made. `detail` says why something was skipped or failed.
    """

    dataset: str
    action: str
    outcome: Outcome
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    seconds: float = 0.0
    version: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """What one run did, or with `dry_run` would do, in the order of the steps."""

    dry_run: bool
    steps: list[Step] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing failed; what others are at is skipped, which is no failure."""
        return not any(step.outcome == "failed" for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        steps = [asdict(step) for step in self.steps]
        return {"ok": self.ok, "dry_run": self.dry_run, "steps": steps}
