"""What `Lake` offers of upkeep: runs on demand and by itself, and what it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput
from lakecore.journal import Author

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.maintain import Background, Maintainer, MaintenanceReport
    from lakecore.tables import RowSorter

SOURCE: Final = "maintain"
HOUR_US: Final = 3600 * 1_000_000
BACKGROUND_ACTOR: Final = "lakecore"
"""In whose name upkeep runs that nobody asked for."""


class MaintainFace:
    """Files put together, and removed when they are not kept any more."""

    _parts: Components
    _author: Callable[[str | None, str, str], Author]

    def maintain(
        self,
        datasets: Sequence[str] | str | None = None,
        *,
        dry_run: bool = False,
        actor: str | None = None,
        reason: str = "",
        engine: str = "datafusion",
    ) -> MaintenanceReport:
        """Do what is due: compaction, checkpoints, vacuum, purge of what was dropped.

        No row changes; of the lake's own records, those that are over go. A step that fails,
        or loses to a change, does not stop the others: the report says so.

        Args:
            datasets: only these, and these at once: without names, one is vacuumed once a day.
            dry_run: say what would be done, and do nothing.
            engine: ``spark`` has the rows of a compaction read and sorted there; the files are
                written, checked and committed here all the same.

        Raises:
            NotFound: there is no dataset of such a name.
        """
        names = [datasets] if isinstance(datasets, str) else datasets
        author = self._author(actor, SOURCE, reason)
        sorter = sorter_of(self._parts, engine)
        return self._parts.maintainer.run(names, author=author, dry_run=dry_run, sorter=sorter)


def sorter_of(parts: Components, engine: str) -> RowSorter | None:
    """Who reads and sorts rows in place of this process; None: nobody."""
    if engine == "datafusion":
        return None
    if engine != "spark":
        raise InvalidInput("no such engine", expected="datafusion or spark", found=engine)
    from lakecore.app._spark import sorter

    return sorter(parts)


class _WorkspacePort:
    """What upkeep asks about workspaces, answered when it asks."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts

    def pinned(self) -> Iterable[tuple[str, int]]:
        """Versions that open workspaces build on."""
        for location, versions in self._parts.workspaces.pins().items():
            for version in versions:
                yield location, version

    def finished(self) -> Iterable[str]:
        """Folders of workspaces that were over before the grace of files."""
        grace_us = int(self._parts.settings.lake.vacuum_grace_hours * HOUR_US)
        until_us = self._parts.clock.now_us() - grace_us
        folders = self._parts.workspaces.closed_folders()
        return [folder.path for folder in folders if folder.closed_us <= until_us]


def make_maintainer(parts: Components) -> Maintainer:
    """The maintainer of a lake, as its settings say."""
    from lakecore.app._records import make_expiry
    from lakecore.maintain import Maintainer, MaintainSettings
    from lakecore.tables import Upkeep

    lake = parts.settings.lake

    def unjournaled(dataset: Dataset) -> Iterable[int]:
        with parts.journal.ledger() as ledger:
            return list(parts.reconciler.foreign(dataset, ledger))

    return Maintainer(
        parts.store,
        parts.journal,
        parts.catalog,
        Upkeep(parts.tables),
        clock=parts.clock,
        unjournaled=unjournaled,
        settings=MaintainSettings(
            target_bytes=lake.target_file_bytes,
            retention_days=lake.retention_days,
            retention_versions=lake.retention_versions,
            grace_hours=lake.vacuum_grace_hours,
        ),
        workspaces=_WorkspacePort(parts),
        expiry=make_expiry(parts),
    )


def make_background(parts: Components) -> Background:
    """Upkeep by itself; it begins when something was changed and the interval is over."""
    from lakecore.maintain import Background

    def run(stop: Callable[[], None]) -> object:
        author = Author(actor=BACKGROUND_ACTOR, source=SOURCE)
        return parts.maintainer.run(author=author, stop=stop)

    return Background(run, interval_s=parts.settings.lake.maintain_interval_s)


def maintain_advice(parts: Components, datasets: Sequence[Dataset]) -> str | None:
    """What a lake that only short commands use never does by itself."""
    found = [count for dataset in datasets if (count := parts.maintainer.small_files(dataset))]
    if not found:
        return None
    many = f"{len(found):,} dataset" + ("" if len(found) == 1 else "s")
    return f"`lakecore maintain` puts {sum(found):,} small data files of {many} together"
