"""Where a file should be made anew rather than mended again: signals, each with its reason. Pure.

==============  ======================================================================
churn           changed often, and severe findings are open in it
returning       findings keep coming in one symbol, iteration after iteration
orbiting        what is mended makes room for others (`_signal`: ORBITING)
looping         edits touch a severe finding, and it stays (`_signal`: LOOPING)
reopened        what was confirmed to be fixed came back
==============  ======================================================================

A signal is no verdict: it says where to look first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from lakecore.review._memory import Memory
from lakecore.review._signal import SignalClass
from lakecore.review._state import State

MIN_CHURN: Final = 3
MIN_RETURNING: Final = 3
MIN_ITERATIONS: Final = 2
MAX_SIGNALS: Final = 500
SOURCES: Final = {
    "churn": "git log, system.findings",
    "returning": "system.findings",
    "orbiting": "system.reviews",
    "looping": "system.reviews",
    "reopened": "system.findings",
}


@dataclass(frozen=True, slots=True)
class RefactorSignal:
    """A place, and why.

    Attributes:
        value: what it is ordered by, among signals of its kind.
        n: how many things it rests on.
        source: where the figures come from.
    """

    kind: str
    path: str
    symbol: str
    value: float
    n: int
    reason: str
    source: str

    def to_body(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def refactor_signals(
    memory: Memory,
    findings: Iterable[Mapping[str, Any]],
    churn: Mapping[str, int],
) -> list[RefactorSignal]:
    """Signals of a repository under a bar: the kinds in turn, each with its strongest first.

    Args:
        findings: rows of `system.findings` under that bar.
        churn: commits by path, of as many as were looked at.
    """
    listed = list(findings)
    by_kind = [
        _churn(memory, churn),
        _returning(memory, listed),
        _classes(memory),
        _reopened(memory, listed),
    ]
    for signals in by_kind:
        signals.sort(key=lambda one: (-one.value, one.path, one.symbol))
    return [one for signals in by_kind for one in signals][:MAX_SIGNALS]


def _churn(memory: Memory, churn: Mapping[str, int]) -> list[RefactorSignal]:
    counts = [churn.get(path, 0) for path in memory.files]
    usual = median(counts) if counts else 0
    found = []
    for path, known in memory.files.items():
        times, weight = churn.get(path, 0), known.open_weight
        severe = len(known.severe_open)
        # Changed less than others, or nothing severe open: no reason to begin there.
        if times < max(MIN_CHURN, usual) or not severe:
            continue
        reason = (
            f"changed in {times} commits (usual here: {usual:g}), {severe} severe findings open"
        )
        found.append(_signal("churn", path, "", times * weight, times, reason))
    return found


def _returning(memory: Memory, rows: list[Mapping[str, Any]]) -> list[RefactorSignal]:
    """Findings born in one symbol in several iterations."""
    born: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        if row["symbol"] and row["state"] == State.NEW:
            born[row["path"], row["symbol"]].setdefault(row["finding_id"], row["iteration"])
    found = []
    for (path, symbol), ids in born.items():
        iterations = sorted(set(ids.values()))
        if path not in memory.files:  # renamed or gone since
            continue
        if len(ids) < MIN_RETURNING or len(iterations) < MIN_ITERATIONS:
            continue
        told = ", ".join(map(str, iterations[:8]))
        reason = f"{len(ids)} findings were new in it, in iterations {told}"
        value = float(len(ids) * len(iterations))
        found.append(_signal("returning", path, symbol, value, len(ids), reason))
    return found


def _classes(memory: Memory) -> list[RefactorSignal]:
    kinds = {SignalClass.ORBITING: "orbiting", SignalClass.LOOPING: "looping"}
    return [
        _signal(
            kinds[signal.name],
            path,
            "",
            memory.files[path].open_weight,
            len(memory.files[path].points),
            signal.reason,
        )
        for path, signal in memory.signals().items()
        if signal.name in kinds
    ]


def _reopened(memory: Memory, rows: list[Mapping[str, Any]]) -> list[RefactorSignal]:
    times: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for row in rows:
        if row["state"] == State.REOPENED:
            times[row["path"]].add((row["finding_id"], row["iteration"]))
    return [
        _signal(
            "reopened",
            path,
            "",
            float(len(told)),
            len(told),
            f"{len({id_ for id_, _ in told})} fixes that were confirmed came undone",
        )
        for path, told in times.items()
        if path in memory.files
    ]


def _signal(kind: str, path: str, symbol: str, value: float, n: int, reason: str) -> RefactorSignal:
    return RefactorSignal(kind, path, symbol, value, n, reason, SOURCES[kind])
