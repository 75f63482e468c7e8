"""What was not looked at is never green."""

from __future__ import annotations

import pytest

from lakecore.review import OPEN, State
from lakecore.review._gate import FileOutcome, gate

CLEAN = FileOutcome("a.py", is_whole=True)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(
    ("severity", "holds"), [("critical", True), ("major", True), ("minor", False)]
)
def test_open_findings_hold_it_back(state: State, severity: str, holds: bool) -> None:
    """By state and severity, as the table says."""
    found = gate([CLEAN, FileOutcome("b.py", is_whole=True, findings=[(state, severity)])])
    assert found.exit_code == (1 if holds and state in OPEN else 0)
    assert found.blocking == (("b.py",) if found.exit_code else ())


def test_a_claimed_fix_is_still_open() -> None:
    """A claim does not pass the gate."""
    claimed = FileOutcome("b.py", is_whole=True, findings=[(State.CLAIMED_FIXED, "major")])
    assert gate([claimed]).exit_code == 1


@pytest.mark.parametrize("files", [[], [CLEAN, FileOutcome("b.py", False, why="clipped")]])
def test_no_review_is_not_known(files: list[FileOutcome]) -> None:
    """Nothing reviewed, or not whole: 3."""
    assert gate(files).exit_code == 3


def test_findings_weigh_more_than_what_is_not_known() -> None:
    """A finding fails even an incomplete review."""
    bad = FileOutcome("c.py", is_whole=False, findings=[(State.NEW, "critical")], why="asleep")
    assert gate([bad]).exit_code == 1
