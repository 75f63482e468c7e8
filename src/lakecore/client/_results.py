"""From the gateway's JSON to the classes that the lake itself answers with. No I/O.

Members that this version does not know are passed over, so that a newer gateway can be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.auth import Key, NewKey, Principal, Scopes
from lakecore.base import Unavailable
from lakecore.catalog import Dataset, State
from lakecore.journal import Event

if TYPE_CHECKING:
    from lakecore.changes import ChangeResult, Pending
    from lakecore.ingest import IngestResult
    from lakecore.maintain import MaintenanceReport
    from lakecore.reconcile import ReconcileReport
    from lakecore.workspaces import MergeResult, Workspace

_DESCRIBED: Final = {
    *("name", "dataset_id", "key", "entity_type", "contract", "protected", "owner"),
    *("description", "location", "version"),
}


def event(told: Mapping[str, Any]) -> Event:
    """One event."""
    moment = told.get("timestamp")
    given = _known(Event, told)
    return Event(**{**given, "timestamp": datetime.fromisoformat(moment) if moment else None})


def change(told: Mapping[str, Any]) -> ChangeResult:
    """What a change did, or why it waits."""
    from lakecore.changes import ChangeResult

    given = _known(ChangeResult, told)
    given["changes"] = tuple(given.get("changes") or ())
    given.setdefault("commit_id", None)
    return ChangeResult(**given)


def ingested(told: Mapping[str, Any]) -> IngestResult:
    """What became of one file."""
    from lakecore.ingest import FilePreview, IngestResult

    given = _known(IngestResult, told)
    preview = given.get("preview")
    if preview is not None:
        parts = _known(FilePreview, preview)
        given["preview"] = FilePreview(
            **{name: tuple(tuple(row) for row in rows) for name, rows in parts.items()}
        )
    return IngestResult(**{**given, "notes": tuple(given.get("notes") or ())})


def pending(told: Mapping[str, Any]) -> Pending:
    """A change that waits or waited. Its arguments, which may be rows, are not told."""
    from lakecore.changes import Pending

    body = {name: value for name, value in told.items() if name not in ("id", "diff")}
    body["mutation_id"] = told["id"]
    body["author"] = {"actor": told["actor"], "reason": told.get("reason") or ""}
    body["decision"] = {
        "tier": told.get("tier"),
        "reasons": [{"message": text} for text in told.get("reasons") or ()],
        "approval": told.get("approval") or {},
    }
    return Pending(told["id"], body)


def dataset(told: Mapping[str, Any]) -> Dataset:
    """One entry of the catalog."""
    given = _known(Dataset, told)
    given.pop("version", None)  # of the table, in a description
    given["key"] = tuple(told.get("key") or ())
    given["state"] = State(told.get("state", State.ACTIVE))
    if (before := told.get("renamed_from")) is not None:
        given["renamed_from"] = tuple(before)
    return Dataset(**{"location": "", **given})


def described(told: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset with its table, as the lake describes it: without the rest of its entry."""
    rest = {member.name for member in fields(Dataset)} - _DESCRIBED
    return {name: value for name, value in told.items() if name not in rest}


def maintained(told: Mapping[str, Any]) -> MaintenanceReport:
    """What upkeep did."""
    from lakecore.maintain import MaintenanceReport, Step

    steps = [Step(**_known(Step, one)) for one in told["steps"]]
    return MaintenanceReport(dry_run=told["dry_run"], steps=steps)


def workspace(told: Mapping[str, Any]) -> Workspace:
    """A workspace's state; of its base, the versions."""
    from lakecore.workspaces import Base, Workspace

    base = {
        name: Base(name=name, dataset_id="", location="", version=version)
        for name, version in (told.get("base") or {}).items()
    }
    return Workspace(**{**_known(Workspace, told), "base": base})


def merged(told: Mapping[str, Any]) -> MergeResult:
    """What came of a merge."""
    from lakecore.workspaces import DatasetMerge, MergeResult

    datasets = tuple(DatasetMerge(**_known(DatasetMerge, one)) for one in told["datasets"])
    return MergeResult(
        workspace=told["workspace"],
        state=told["state"],
        datasets=datasets,
        late=tuple(told.get("late") or ()),
    )


def reconciled(told: Mapping[str, Any]) -> ReconcileReport:
    """What was journaled of what others committed."""
    from lakecore.reconcile import ReconciledVersion, ReconcileReport

    versions = [ReconciledVersion(**_known(ReconciledVersion, one)) for one in told["versions"]]
    return ReconcileReport(versions=versions, problems=list(told["problems"]))


def key(told: Mapping[str, Any]) -> Key:
    """A key without its hash, which a gateway does not tell."""
    principal = Principal(
        name=told["principal"],
        kind=told["kind"],
        roles=tuple(told["roles"]),
        trust=told["trust"],
        scopes=Scopes.parse(told["scopes"]),
        key_id=told["id"],
    )
    return Key(**{**_known(Key, told), "principal": principal, "secret_sha256": ""})


def new_key(told: Mapping[str, Any]) -> NewKey:
    """A key that was just made, with its text."""
    return NewKey(key(told), told["key"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question of `verify` and its answer: as the lake's own."""

    status: str
    summary: str
    problems: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What verifying showed: as the lake's own report.

    Attributes:
        integrity: every event is as it was sealed.
        anchored: the log's head is signed, and held outside of the lake.
        completeness: every version has its events, every sealed commit its version.
    """

    status: str
    integrity: Check
    anchored: Check
    completeness: Check

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Verified:
        """From the gateway's JSON."""
        parts = {
            name: Check(**_known(Check, told[name]))
            for name in ("integrity", "anchored", "completeness")
        }
        return cls(status=told["status"], **parts)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        from dataclasses import asdict

        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the rules said of a context: `Decision` as far as it can be told in JSON."""

    told: Mapping[str, Any]

    @property
    def action(self) -> str:
        """allow, warn, require_approval or deny."""
        return str(self.told["action"])

    @property
    def allowed(self) -> bool:
        """Whether the change may go on now: nothing refuses it or asks for an approval."""
        return self.action in ("allow", "warn")

    @property
    def fired(self) -> tuple[Mapping[str, Any], ...]:
        """What the rules that fired said: `rule`, `action`, `message`, `because`."""
        return tuple(one for one in self.told["outcomes"] if one["fired"])

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON."""
        return dict(self.told)


def _known(kind: type[Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The members that the class has.

    Raises:
        Unavailable: it is no object: whoever answered is no gateway.
    """
    if not isinstance(told, Mapping):
        raise Unavailable("the answer is of another form: is this a gateway?")
    names = {member.name for member in fields(kind)}
    return {name: value for name, value in told.items() if name in names}
