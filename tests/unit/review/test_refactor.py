"""Signals that a file should be made anew, each with its reason."""

from __future__ import annotations

from typing import Any

from lakecore.review import (
    FileMemory,
    Finding,
    Memory,
    Pair,
    Point,
    RefactorSignal,
    State,
    Tracked,
    refactor_signals,
)


def tracked(path: str, id_: str, severity: str = "critical", state: State = State.NEW) -> Tracked:
    finding = Finding("correctness", path, "f", "x == y + 1", "wrong", severity, 1, 1)
    return Tracked(id_, finding, state)


def memory_of(**files: list[Tracked]) -> Memory:
    memory = Memory(iteration=4)
    for name, listed in files.items():
        memory.files[name] = FileMemory(name, tracked={one.id: one for one in listed})
    return memory


def row(
    path: str, finding: str, iteration: int, state: str = "new", symbol: str = "f"
) -> dict[str, Any]:
    return {
        "path": path,
        "symbol": symbol,
        "finding_id": finding,
        "iteration": iteration,
        "state": state,
    }


def kinds(found: list[RefactorSignal]) -> list[tuple[str, str]]:
    return [(one.kind, one.path) for one in found]


def test_churn_times_severity() -> None:
    """Changed as often as usual at least, with severe findings open; the product orders."""
    memory = memory_of(
        hot=[tracked("hot", "1")],
        hotter=[tracked("hotter", "2"), tracked("hotter", "3")],
        calm=[tracked("calm", "4")],
        mild=[tracked("mild", "5", "minor")],
        mended=[tracked("mended", "6", state=State.CONFIRMED_FIXED)],
    )
    churn = {"hot": 10, "hotter": 8, "calm": 2, "mild": 5, "mended": 5}
    found = refactor_signals(memory, [], churn)
    assert kinds(found) == [("churn", "hotter"), ("churn", "hot")]
    assert (found[0].value, found[0].n) == (8 * 16, 8)
    assert "2 severe findings open" in found[0].reason


def test_findings_that_keep_coming_in_one_symbol() -> None:
    """Three of them in two iterations; all in one, or in several symbols, are none."""
    memory = memory_of(a=[], b=[], c=[])
    rows = [
        *(row("a", f"a{n}", n) for n in (1, 2, 3)),
        *(row("b", f"b{n}", 1) for n in (1, 2, 3)),
        *(row("c", f"c{n}", n, symbol=f"s{n}") for n in (1, 2, 3)),
        *(row("c", "same", n) for n in (1, 2, 3)),
        *(row("gone", f"g{n}", n) for n in (1, 2, 3)),
    ]
    [one] = refactor_signals(memory, rows, {})
    assert (one.kind, one.path, one.symbol, one.n) == ("returning", "a", "f", 3)
    assert one.reason == "3 findings were new in it, in iterations 1, 2, 3"


def test_orbiting_and_looping_files_have_their_signal() -> None:
    """The class of the reviews, with its reason."""
    memory = memory_of(orbit=[tracked("orbit", "1")], loop=[tracked("loop", "2")], still=[])
    same = frozenset(("x", "y"))
    memory.pairs = [Pair(5, 5, same, same)] * 6
    memory.files["orbit"].points = [
        Point(5, frozenset((f"n{at}a", f"n{at}b")), 8.0, confirmed=at) for at in range(5)
    ]
    stuck = frozenset(("2",))
    memory.files["loop"].points = [Point(5, stuck, 8.0, stuck, stuck)] * 5
    memory.files["still"].points = [Point(5, same, 8.0)] * 5
    found = {one.kind: one for one in refactor_signals(memory, [], {})}
    assert found.keys() == {"orbiting", "looping"}
    assert (found["orbiting"].path, found["looping"].path) == ("orbit", "loop")
    assert "times more news" in found["orbiting"].reason


def test_fixes_that_came_undone() -> None:
    """Each time counts."""
    memory = memory_of(a=[])
    rows = [
        row("a", "1", 2, "reopened"),
        row("a", "1", 4, "reopened"),
        row("a", "2", 4, "reopened"),
    ]
    [one] = refactor_signals(memory, rows, {})
    assert (one.kind, one.value, one.reason) == (
        "reopened",
        3.0,
        "2 fixes that were confirmed came undone",
    )
    assert one.to_body()["source"] == "system.findings"


def test_nothing() -> None:
    """No reviews, no signals."""
    assert refactor_signals(Memory(), [], {"a": 99}) == []
