"""Is the lake sound? What `verify`, `status` and `doctor` find out, and how they say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from lakecore.app._figures import note_verified
from lakecore.app._maintain import maintain_advice
from lakecore.base import LakecoreError, RepairData, Retry, format_timestamp

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.journal import IntegrityReport, Problem
    from lakecore.reconcile import TablesReport

Status = Literal["green", "broken", "inconclusive", "absent"]

_MANY_FILES: Final = 64
"""Small files of the log that could be one: reading them costs more than merging them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question and its answer.

    `status` is ``green``, ``broken``, ``inconclusive``, or ``absent``: nothing is there to
    be checked. `problems` are sentences; `detail` has the figures, JSON-ready.
    """

    status: Status
    summary: str
    problems: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What verifying showed, in three answers that do not stand for each other.

    Attributes:
        integrity: every event is as it was sealed.
        anchored: the log's head is signed, and held outside of the lake.
        completeness: every version has its events, every sealed commit its version.
    """

    integrity: Check
    anchored: Check
    completeness: Check

    @property
    def status(self) -> Status:
        """The worst of the three; what is absent does not count."""
        found = {self.integrity.status, self.anchored.status, self.completeness.status}
        worst: tuple[Status, ...] = ("broken", "inconclusive")
        return next((status for status in worst if status in found), "green")

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        return {"status": self.status, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One probe of `doctor`: what was probed, whether it holds, and what to do if not."""

    name: str
    ok: bool
    text: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """Everything that `doctor` probed."""

    findings: list[Finding]

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready objects."""
        return {"ok": self.ok, **asdict(self)}


def verify(parts: Components, *, full: bool = False, vkeys: Sequence[str] = ()) -> VerifyReport:
    """Recompute the journal, hold all commits of the lake against it; see `Journal.verify`.

    With `full` the data files are hashed, too.
    """
    try:
        known = [*parts.settings.journal.vkeys.values(), *vkeys]
        report = parts.journal.verify(full=full, vkeys=known)
    except (RepairData, Retry) as error:
        integrity = anchored = _untold(error)
    else:
        integrity, anchored = _integrity(report), _anchored(report)
    found = VerifyReport(
        integrity=integrity, anchored=anchored, completeness=_completeness(parts, full=full)
    )
    note_verified(parts.state_dir, parts.clock.now_us(), found.status)
    return found


def _integrity(report: IntegrityReport) -> Check:
    earlier = report.earlier
    before = earlier.events if earlier is not None else 0
    if earlier is None:
        summary = f"{_count(report.events, 'event')} in {_count(report.segments, 'segment')} "
        summary += "recomputed"
    else:
        summary = (
            f"{_count(report.events - before, 'new event')} recomputed; {before:,} were verified "
            f"until {format_timestamp(earlier.at_us)[:19]}Z, and their files look as then"
        )
    if report.unknown:
        summary += f"; {_count(len(report.unknown), 'position')} cannot be judged"
    if report.derived:
        summary += f"; {_count(len(report.derived), 'derived file')} to be rebuilt"
    return Check(
        status=report.status,
        summary=summary,
        problems=[*map(_sentence, report.problems), *report.unknown],
        detail={
            "events": report.events,
            "segments": report.segments,
            "root": report.root,
            "verified_before": before,
            "verified_before_at": None if earlier is None else format_timestamp(earlier.at_us),
            "problem_count": report.problem_count,
            "derived": [
                f"{_sentence(problem)}; derived: `lakecore journal repair` removes it"
                for problem in report.derived
            ],
        },
    )


def _anchored(report: IntegrityReport) -> Check:
    anchors = report.anchors
    if anchors is None or not anchors.checkpoints:
        return Check(
            status="absent",
            summary="no signed checkpoint: nothing outside of the lake holds the log's head",
        )
    if anchors.status == "absent":
        return Check(
            status="absent",
            summary=f"no key to check {_count(anchors.checkpoints, 'signed checkpoint')} by: "
            "--vkey names one, or [journal] vkeys; their roots fit the log",
            detail={"checkpoints": anchors.checkpoints, "unknown_keys": anchors.unknown_keys},
        )
    if anchors.anchored:
        summary = f"events [0, {anchors.anchored:,}) are under a signature"
        if anchors.size > anchors.anchored:
            summary += f", [{anchors.anchored:,}, {anchors.size:,}) not yet"
        if anchors.witnesses:
            summary += f"; cosigned by {', '.join(anchors.witnesses)}"
    elif anchors.unknown_keys:
        summary = "no checkpoint is signed by a key that was given: --vkey names one"
    else:
        summary = "no checkpoint fits the log"
    return Check(
        status=anchors.status,
        summary=summary,
        problems=[*map(_anchor_sentence, anchors.problems), *anchors.unknown],
        detail={
            "anchored": anchors.anchored,
            "size": anchors.size,
            "checkpoints": anchors.checkpoints,
            "witnesses": anchors.witnesses,
            "unknown_keys": anchors.unknown_keys,
        },
    )


def _anchor_sentence(problem: Problem) -> str:
    if problem.field == "size":
        return (
            f"{problem.where}: the log lost events: the checkpoint says {problem.expected}, "
            f"{problem.found}"
        )
    if problem.field == "root":
        return (
            f"{problem.where}: the log is not the one that was signed: root "
            f"{problem.expected} was signed, {problem.found} is recomputed"
        )
    return _sentence(problem)


def _sentence(problem: Problem) -> str:
    return " ".join(
        text
        for text in (
            problem.where,
            f"row {problem.row}" if problem.row is not None else "",
            problem.field or "",
            f"expected {problem.expected}, found {problem.found}",
        )
        if text
    )


def _completeness(parts: Components, *, full: bool) -> Check:
    from lakecore.reconcile import completeness

    try:
        report = completeness(
            parts.store,
            parts.journal,
            parts.state_dir,
            now_us=parts.clock.now_us(),
            full=full,
            is_ahead=parts.ahead(),
        )
    except (RepairData, Retry) as error:
        return _untold(error)
    return Check(
        status=report.status,
        summary=_matches(report),
        problems=[*report.problems, *report.unknown],
        detail=report.to_dict(),
    )


def _matches(report: TablesReport) -> str:
    matches = "matches its events" if report.matched == 1 else "match their events"
    summary = f"{_count(report.matched, 'commit')} {matches}"
    others = {
        "reconciled with other programs": report.reconciled - len(report.gaps),
        "known as a gap only": len(report.gaps),
        "from before an adoption": report.before_adoption,
        "without a digest": report.without_digest,
    }
    summary += "".join(f", {number:,} {what}" for what, number in others.items() if number)
    if report.pending:
        oldest = max(report.pending.values())
        summary += f", {len(report.pending):,} pending (oldest {oldest:.0f} s)"
    if report.files:
        summary += f"; {_count(report.files, 'data file')} hashed"
        if report.files_without_digest:
            summary += f", {report.files_without_digest:,} have no hash to compare with"
    if report.foreign:
        summary += "; `lakecore reconcile` journals what other programs committed"
    return summary


def _untold(error: LakecoreError) -> Check:
    """What is damaged is broken; what does not answer now is not."""
    if isinstance(error, Retry):
        summary = "the store does not answer: look again later"
        return Check(status="inconclusive", summary=summary, problems=[str(error)])
    return Check(
        status="broken", summary="the journal does not read to its end", problems=[str(error)]
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def status(parts: Components) -> dict[str, Any]:
    """What the lake holds and what waits."""
    datasets = parts.catalog.list_datasets()
    views = [parts.tables.open(dataset) for dataset in datasets]
    present = [view for view in views if view is not None]
    journal = parts.journal.stats()
    return {
        "lake": {
            "url": parts.store.url,
            "lake_id": parts.format.lake_id,
            "format": parts.format.format,
        },
        "datasets": len(datasets),
        "rows": sum(view.row_count for view in present),
        "size_bytes": sum(view.size_bytes for view in present),
        "journal": journal,
        "records": parts.records.stats(),
        "buckets": _buckets_of(parts),
        "advice": [
            advice
            for advice in (_compact_advice(journal), maintain_advice(parts, datasets))
            if advice
        ],
    }


def _buckets_of(parts: Components) -> dict[str, str]:
    """Each named bucket and how it is, in words; none where settings name none."""
    from lakecore.app._bucket_face import bucket_states

    if not parts.settings.storage.bucket:
        return {}
    found = {}
    for state in bucket_states(parts):
        said = state.replica["said"] if state.replica else f"{len(state.datasets):,} datasets"
        found[state.name] = f"{state.role}, {state.state}, {state.error or said}"
    return found


def _compact_advice(journal: dict[str, Any]) -> str | None:
    """What a lake that only short commands use never does by itself."""
    small = journal["small_files"]
    if small <= _MANY_FILES:
        return None
    return f"`lakecore journal compact` merges {small:,} small files of the log"


def doctor(parts: Components) -> DoctorReport:
    """Probe what everything else relies on. Writes a few small objects and removes them."""
    return DoctorReport(
        findings=[
            _probe_store(parts),
            *_probe_buckets(parts),
            _probe_leftovers(parts),
            _probe_libraries(),
            _probe_state(parts),
            _probe_sealing(parts),
            _probe_upkeep(parts),
            _probe_records(parts),
        ]
    )


def _probe_store(parts: Components) -> Finding:
    from lakecore.storage import probe_create_only

    name = "the store creates an object only once"
    if parts.format.is_replica:
        return Finding(name=name, ok=True, text="a replica: it is read, and never written here")
    try:
        result = probe_create_only(parts.own_store)
    except LakecoreError as error:
        return Finding(name=name, ok=False, text=str(error), hint=error.hint)
    return Finding(
        name=name,
        ok=result.is_create_only,
        text=f"{result.winners} of 8 concurrent writers won; a second create was "
        f"{'refused' if result.refuses_second else 'accepted'}",
        hint=None
        if result.is_create_only
        else "several writers would lose changes here: use one process, or another store",
    )


def _probe_buckets(parts: Components) -> list[Finding]:
    """Each named bucket: whether it answers, and keeps the promise where it is written."""
    from lakecore.app._bucket_face import bucket_states

    found = []
    for state in bucket_states(parts, check=True)[1:]:
        said = state.error or (state.replica["said"] if state.replica else state.state)
        if state.is_create_only:
            said += ", creates an object only once"
        found.append(
            Finding(
                name=f"the bucket {state.name} ({state.role}) can be used",
                ok=state.ok,
                text=said,
                hint=state.hint,
            )
        )
    return found


def _probe_leftovers(parts: Components) -> Finding:
    name = "unfinished files of dead processes are removed"
    try:
        removed = parts.store.sweep()
    except LakecoreError as error:
        return Finding(name=name, ok=False, text=str(error), hint=error.hint)
    return Finding(name=name, ok=True, text=f"{removed:,} removed that were a day old or more")


def _probe_libraries() -> Finding:
    from lakecore.query import check_versions

    name = "the query engine reads Delta tables"
    try:
        versions = check_versions()
    except LakecoreError as error:
        return Finding(name=name, ok=False, text=str(error), hint=error.hint)
    text = ", ".join(f"{library} {version}" for library, version in versions.items())
    return Finding(name=name, ok=True, text=text)


def _probe_state(parts: Components) -> Finding:
    name = "this machine's state directory can be written"
    probe = parts.state_dir / ".probe"
    try:
        parts.state_dir.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(
            name=name,
            ok=False,
            text=f"{parts.state_dir}: {error.strerror or error}",
            hint="give the directory to the user that runs Lakecore",
        )
    return Finding(name=name, ok=True, text=str(parts.state_dir))


def _probe_sealing(parts: Components) -> Finding:
    name = "what is committed gets sealed"
    try:
        sealed = parts.journal.seal()
        stats = parts.journal.stats()
    except LakecoreError as error:
        return Finding(name=name, ok=False, text=str(error), hint=error.hint)
    unreadable = stats["pending"]["unreadable"]
    waiting = stats["buffer_events"]
    return Finding(
        name=name,
        ok=not unreadable,
        text=f"{sealed:,} events sealed now, {waiting:,} wait, {stats['tree_size']:,} in the tree",
        hint="; ".join(unreadable) or _compact_advice(stats),
    )


def _probe_upkeep(parts: Components) -> Finding:
    name = "tables are kept in good order"
    try:
        advice = maintain_advice(parts, parts.catalog.list_datasets())
    except LakecoreError as error:
        return Finding(name=name, ok=False, text=str(error), hint=error.hint)
    text = "no small files wait to be put together" if advice is None else "small files wait"
    return Finding(name=name, ok=True, text=text, hint=advice)


def _probe_records(parts: Components) -> Finding:
    """Whether the lake's own records get into it."""
    stats = parts.records.stats()
    refused = stats["refused_rows"]
    return Finding(
        name="records get into the lake",
        ok=not refused,
        text=f"{refused:,} are put aside: their tables do not take them"
        if refused
        else f"{stats['waiting_rows']:,} wait for it",
        hint="see the log for the reason; with its cause gone, the next process tries again"
        if refused
        else None,
    )
