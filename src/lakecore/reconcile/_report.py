"""What reconciling did, and what holding tables against the journal showed: plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["changes", "unchanged", "batch", "gap", "adopt", "journaled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciledVersion:
    """One version that another program made, and what of it is in the journal now.

    Attributes:
        kind: ``changes``: field by field, or as row sets for a dataset without a key;
            ``unchanged``: no row is another one; ``batch``: row sets, because keys do not
            tell; ``gap``: nothing but that it was there; ``adopt``: the first version of an
            adopted table; ``journaled``: another machine had it at the same time.
        why: of a batch or gap, what kept it from being derived.
        contradiction: its files said that no row changed, and rows did.
    """

    dataset: str
    version: int
    engine: str
    operation: str
    kind: Kind
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    events: int = 0
    why: str = ""
    contradiction: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What `reconcile` journaled; `problems` are sentences about what it had to leave."""

    versions: list[ReconciledVersion] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(slots=True)
class TablesReport:
    """Every version of every table and document held against the journal.

    Attributes:
        matched: versions of ours whose events are sealed, with the same digest.
        reconciled: versions of other programs that were journaled afterwards.
        gaps: of those, what they changed could not be told any more, {path: why}.
        before_adoption: versions that are older than a table's adoption.
        without_digest: matched versions from before commits had a digest.
        pending: committed and not yet sealed, {path: age in seconds}.
        foreign: made by another program, and not journaled.
        undecided: staged for a version that does not exist (yet).
        dead: staged for a version that became another's.
        purged: sealed versions of datasets whose grace after a drop is over.
        files: data files that were hashed; `files_without_digest` have none to compare with.
        problems: sentences, each with its place; what is foreign is among them.
        unknown: sentences about what could not be told.
        verified_before: versions that looked as when this machine verified them.
    """

    matched: int = 0
    reconciled: int = 0
    gaps: dict[str, str] = field(default_factory=dict)
    before_adoption: int = 0
    without_digest: int = 0
    pending: dict[str, float] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    purged: int = 0
    files: int = 0
    files_without_digest: int = 0
    problems: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    verified_before: int = 0

    @property
    def status(self) -> Literal["green", "broken", "inconclusive"]:
        if self.problems:
            return "broken"
        return "inconclusive" if self.unknown else "green"

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON-ready objects, without the sentences."""
        content = asdict(self)
        del content["problems"], content["unknown"]
        return content
