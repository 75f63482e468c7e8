"""What the loop knows of a repository under one bar: its rows, replayed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lakecore.review._finding import SEVERE, WEIGHTS, Finding
from lakecore.review._noise import Noise, Pair, noise_of
from lakecore.review._rows import AGAIN, BLIND, REVIEW
from lakecore.review._score import confirmed_score
from lakecore.review._signal import Point, Signal, classify
from lakecore.review._state import OPEN, Sign, State, next_state
from lakecore.review._trust import TrustProfile


@dataclass(frozen=True, slots=True)
class Tracked:
    """A finding over iterations, as it was last seen.

    Attributes:
        id: its fingerprint when it was first seen; it keeps it whatever happens to its place.
        until: when an ignore ends.
    """

    id: str
    finding: Finding
    state: State
    model: str = ""
    family: str = ""
    reason: str = ""
    who: str = ""
    until: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it counts against its file."""
        return self.state in OPEN


@dataclass(slots=True)
class FileMemory:
    """One file: its findings by id, and its reviews that counted."""

    path: str
    blob: str = ""
    revision: str = ""
    baseline: float | None = None
    tracked: dict[str, Tracked] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)

    @property
    def confirmed_score(self) -> float | None:
        """None before the first review that could be read."""
        if self.baseline is None:
            return None
        listed = [(one.state, one.finding.severity) for one in self.tracked.values()]
        return confirmed_score(self.baseline, listed)

    @property
    def open_weight(self) -> float:
        """Of the open findings, by severity."""
        return float(
            sum(WEIGHTS[one.finding.severity] for one in self.tracked.values() if one.is_open)
        )

    @property
    def severe_open(self) -> list[str]:
        """Identities of the severe ones that are open."""
        return sorted(
            one.id
            for one in self.tracked.values()
            if one.is_open and one.finding.severity in SEVERE
        )

    @property
    def confirmed_count(self) -> int:
        """Fixes that are confirmed."""
        return sum(one.state is State.CONFIRMED_FIXED for one in self.tracked.values())


@dataclass(slots=True)
class Memory:
    """A repository under one bar.

    Attributes:
        iteration: of the last run; 0 before the first.
        files: by the path that they have now.
        pairs: of A/A reviews.
    """

    iteration: int = 0
    revision: str = ""
    files: dict[str, FileMemory] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)

    def file(self, path: str) -> FileMemory:
        """What is known of a file; nothing yet, if it is new."""
        return self.files.setdefault(path, FileMemory(path))

    def rename(self, old: str, new: str) -> None:
        """The file has another path from here on, and keeps its findings."""
        known = self.files.pop(old, None)
        if known is None or new in self.files:
            return
        known.path = new
        for id_, one in known.tracked.items():
            known.tracked[id_] = replace(one, finding=replace(one.finding, path=new))
        self.files[new] = known

    @property
    def noise(self) -> Noise | None:
        """The floor under this bar; None while too little was measured."""
        return noise_of(self.pairs)

    def signals(self) -> dict[str, Signal]:
        """The class of every file that was reviewed."""
        noise = self.noise
        return {
            path: classify(known.points, noise)
            for path, known in sorted(self.files.items())
            if known.points
        }


def replay(
    reviews: Iterable[Mapping[str, Any]],
    findings: Iterable[Mapping[str, Any]],
    bar: str,
    *,
    now: datetime,
) -> Memory:
    """What rows say; those of other bars are left out.

    Args:
        now: what is ignored until before then counts again.
    """
    memory = Memory()
    signs: dict[int, list[Mapping[str, Any]]] = {}
    rows: dict[int, list[Mapping[str, Any]]] = {}
    batches: set[str] = set()
    for row in reviews:
        if row["bar"] == bar:
            rows.setdefault(row["iteration"], []).append(row)
            batches.add(f"{row['run_id']} {row['batch']}")
    for row in findings:
        # A batch that no review names is what a killed process left.
        if row["bar"] == bar and (not row["batch"] or f"{row['run_id']} {row['batch']}" in batches):
            signs.setdefault(row["iteration"], []).append(row)
            rows.setdefault(row["iteration"], [])
    for number in sorted(rows):
        _replay_iteration(memory, sorted(rows[number], key=_time), signs.get(number, ()))
    for known in memory.files.values():
        for id_, one in known.tracked.items():
            if one.state is State.IGNORED and one.until is not None and one.until <= now:
                known.tracked[id_] = replace(one, state=next_state(one.state, Sign.LAPSED))
    return memory


def _replay_iteration(
    memory: Memory, reviews: Iterable[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]
) -> None:
    listed = list(reviews)
    for row in listed:
        memory.iteration, memory.revision = row["iteration"], row["revision"]
        if row["renamed_from"]:
            memory.rename(row["renamed_from"], row["path"])
    for row in sorted(findings, key=_time):
        tracked = tracked_of(row)
        memory.file(tracked.finding.path).tracked[tracked.id] = tracked
    firsts: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in listed:
        if row["outcome"] != "ok" or row["score"] is None:
            continue
        if row["purpose"] == REVIEW:
            firsts[row["run_id"], row["path"]] = row
            remember(memory.file(row["path"]), row)
        elif row["purpose"] == AGAIN and (row["run_id"], row["path"]) in firsts:
            memory.pairs.append(pair_of(firsts[row["run_id"], row["path"]], row))


def remember(known: FileMemory, row: Mapping[str, Any]) -> None:
    """Take a review that counts into what is known of its file."""
    point = Point(
        float(row["score"]),
        frozenset(row["found"] or ()),
        float(row["open_weight"]),
        frozenset(row["severe_open"] or ()),
        frozenset(row["touched"] or ()),
        int(row["confirmed_count"]),
    )
    if known.baseline is None:
        known.baseline = point.score
    if known.points and not row["is_changed"]:
        # The same text again is no movement: the last word on it stands.
        known.points[-1] = replace(point, touched=known.points[-1].touched)
    else:
        known.points.append(point)
    known.blob, known.revision = row["blob"], row["revision"]


def pair_of(first: Mapping[str, Any], second: Mapping[str, Any]) -> Pair:
    """Two reviews of one text."""
    return Pair(
        float(first["score"]),
        float(second["score"]),
        frozenset(first["found"] or ()),
        frozenset(second["found"] or ()),
    )


def tracked_of(row: Mapping[str, Any]) -> Tracked:
    """A row of `system.findings`."""
    finding = Finding(
        row["category"],
        row["path"],
        row["symbol"],
        row["quote"],
        row["claim"],
        row["severity"],
        row["line"],
        row["end_line"],
        row["confidence"],
        row["ordinal"],
    )
    return Tracked(
        row["finding_id"],
        finding,
        State(row["state"]),
        row["model"],
        row["family"],
        row["reason"] or "",
        row["who"] or "",
        row["until"],
    )


def trust_of(
    reviews: Iterable[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]
) -> list[TrustProfile]:
    """What became of every model's findings, over all bars; a finding is judged once."""
    counts: dict[str, dict[str, int]] = {}

    def add(model: str, name: str, count: int = 1) -> None:
        if model and count:
            of = counts.setdefault(model, {})
            of[name] = of.get(name, 0) + count

    batches: set[str] = set()
    for row in reviews:
        batches.add(f"{row['run_id']} {row['batch']}")
        add(row["model"], "grounded", row["grounded"] or 0)
        add(row["model"], "ungrounded", row["ungrounded"] or 0)
        if row["purpose"] == BLIND and row["control_found"] is not None:
            add(row["model"], "control_hits" if row["control_found"] else "control_misses")
    judged: set[tuple[str, str, str, str]] = set()
    for row in findings:
        if row["batch"] and f"{row['run_id']} {row['batch']}" not in batches:
            continue  # a killed process left it
        name = _judgement(row)
        # A fix that was undone and made again says no more of the finding than the first time.
        one = (row["repository"], row["bar"], row["finding_id"], name)
        if name and one not in judged:
            judged.add(one)
            add(row["model"], name)
    return [TrustProfile(model, **of) for model, of in sorted(counts.items())]


def _judgement(row: Mapping[str, Any]) -> str:
    if row["sign"] == Sign.CONFIRMED:
        return "confirmed"
    is_wrong = row["sign"] == Sign.IGNORE and (row["reason"] or "").startswith("wrong")
    return "refuted" if is_wrong else ""


def _time(row: Mapping[str, Any]) -> datetime:
    moment: datetime = row["time"]
    return moment
