"""Events of a review: told without waiting; whatever the observer does, the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from lakecore.app import _review_events
from lakecore.app._review_events import ReviewEvents
from lakecore.base import TooManyRequests
from lakecore.observer._event import event_row
from lakecore.review import OPEN, FileOutcome, State

OUTCOME = FileOutcome(
    "src/a.py", True, ((State.NEW, "major"), (State.CONFIRMED_FIXED, "minor")), ""
)
FACTS = {"repository": "rules", "run": "r1", "bar": "b"}


class Observer:
    """Keeps events, or does what it is told."""

    def __init__(self, fail: BaseException | None = None) -> None:
        self.kept: list[dict[str, Any]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.fail = fail

    def accept(self, events: Sequence[Any], *, principal: str, is_own: bool = False) -> None:
        self.go_on.wait(20)
        if self.fail is not None:
            raise self.fail
        for event in events:
            self.kept.append(event_row(event, principal=principal, now_us=1, is_own=is_own))


def test_each_file_is_told_once() -> None:
    """What an event says, and that it is one that the observer takes."""
    observer = Observer()
    events = ReviewEvents(lambda: observer, "ada", FACTS)
    events.file(OUTCOME, 1, 2)
    events.file(FileOutcome("src/b\udcff.py", False, why="budget"), 2, 2)
    events.close()
    first, second = observer.kept
    assert (first["source"], first["kind"], first["level"]) == ("lakecore", "review.file", "info")
    assert first["message"] == "src/a.py: 1 open of 2 findings"
    assert '"repository":"rules"' in first["data"].replace(" ", "")
    assert (second["level"], events.lost) == ("warning", 0)
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    "fail", [TooManyRequests("no room", retry_after_s=1), ValueError("odd"), SystemError("odd")]
)
def test_a_failing_observer_costs_its_events(fail: Exception) -> None:
    """Nothing is raised; they are counted."""
    observer = Observer(fail)
    events = ReviewEvents(lambda: observer, "ada", FACTS)
    for number in range(3):
        events.file(OUTCOME, number, 3)
    events.close()
    assert events.lost == 3


def test_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it cannot even be made."""

    def none() -> Observer:
        raise RuntimeError("no observer")

    events = ReviewEvents(none, "ada", FACTS)
    events.file(OUTCOME, 1, 1)
    events.close()
    assert events.lost == 1


def test_one_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """More events than there is room for return at once; so does the end."""
    monkeypatch.setattr(_review_events, "CLOSE_S", 0.05)
    monkeypatch.setattr(_review_events, "MAX_WAITING", 4)
    observer = Observer()
    observer.go_on.clear()
    events = ReviewEvents(lambda: observer, "ada", FACTS)
    for number in range(50):
        events.file(OUTCOME, number, 50)
    events.close()
    assert events.lost >= 40
    observer.go_on.set()


def test_open_is_what_the_loop_calls_open() -> None:
    """The copy is the original."""
    assert {state.value for state in OPEN} == _review_events._OPEN
