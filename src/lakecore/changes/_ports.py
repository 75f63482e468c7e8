"""What changes need of the tables, of the catalog, and of workspaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakecore.base.limits import GIB
from lakecore.tables import DatasetRef, MutationResult

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.catalog import Catalog
    from lakecore.changes._pending import Pendings
    from lakecore.changes._principal import Principals
    from lakecore.journal import Author, Journal
    from lakecore.storage import Store
    from lakecore.tables import Tables

Derive = Callable[[str, Any, Mapping[str, Any]], Mapping[str, Any]]
"""Arguments of a call (method, dataset, its other arguments) that are found out, not asked for:
what the journal says of a mutation that is reverted. They are not kept but derived anew."""


def nothing_derived(call: str, dataset: Any, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """For calls whose arguments are all asked for."""
    return {}


Apply = Callable[[DatasetRef, "Author"], MutationResult]
"""Makes the change that is simulated in another dataset, in an author's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What came of a change in a workspace.

    `checks` are JSON objects with at least `name`, `passed` and `text`. A workspace that is
    named stays until the change is decided.
    """

    passed: bool
    workspace: str | None = None
    checks: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "workspace": self.workspace,
            "checks": [dict(check) for check in self.checks],
        }


class Simulator(Protocol):
    """Tries changes out in workspaces."""

    def simulate(
        self, dataset: DatasetRef, apply: Apply, *, author: Author, mutation_id: str
    ) -> Simulation:
        """Apply the change to a copy of `dataset` in a workspace, and run the checks there.

        What `apply` raises is a check that did not pass, unless it is to be tried again.
        """
        ...

    def discard(self, workspace: str) -> None:
        """Drop a workspace of `simulate`; nothing happens when it is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings:
    """Bounds of what waits for an approval."""

    pending_days: float = 7.0
    pending_bytes: int = 1 * GIB
    """Arrow bytes of the input rows of one change, and of its diff."""

    pending_max: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeParts:
    """What making changes and approving them both stand on."""

    tables: Tables
    pendings: Pendings
    principals: Principals
    catalog: Catalog
    journal: Journal
    store: Store
    clock: Clock
    settings: ChangeSettings = field(default_factory=ChangeSettings)
    simulator: Simulator | None = None
    derive: Derive = nothing_derived


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeResult(MutationResult):
    """What a change did, or why it waits: a `MutationResult` with the decision.

    `tier` is what it came to. A change with `held` waits under its `mutation_id`; `decision`
    is JSON (see `Decided`), {} where nothing had to be decided.
    """

    decision: Mapping[str, Any] = field(default_factory=dict)


TIERS: Final = ("auto", "dry_run", "sim", "preview")
"""What may be asked for. A preview is a dry run that nothing is kept of."""
