"""The breaker: one look at a time, open at once, closed by itself."""

from __future__ import annotations

import threading

from lakecore.base import NotFound, Unavailable
from lakecore.storage import Breaker


class Side:
    """What is asked; counts."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked = 0
        self.was_asked = threading.Event()

    def __call__(self) -> None:
        self.asked += 1
        self.was_asked.set()
        if not self.is_up:
            raise Unavailable("away")


def test_it_opens_and_comes_back() -> None:
    """While it is open nobody but its thread asks; when the other side is back, it closes."""
    side, back = Side(), threading.Event()
    breaker = Breaker(side, interval_s=0.02, on_back=back.set)
    try:
        assert breaker.ask()
        assert breaker.error is None
        side.is_up = False
        assert not breaker.ask()
        assert str(breaker.error) == "away"
        assert breaker.trips == 1
        assert breaker.open_s >= 0
        side.is_up = True
        assert back.wait(10)
        while breaker.error is not None:
            side.was_asked.wait(0.01)
        assert breaker.ask()
        assert breaker.trips == 1
    finally:
        breaker.close()


def test_what_keeps_it_from_coming_back_counts() -> None:
    """An answer alone is not enough: whoever uses it has to be ready."""
    side, ready = Side(), threading.Event()

    def on_back() -> None:
        if not ready.is_set():
            raise NotFound("not yet")

    breaker = Breaker(side, interval_s=0.01, on_back=on_back)
    try:
        breaker.trip(Unavailable("away"))
        while side.asked < 3:
            side.was_asked.wait(0.01)
        assert breaker.error is not None
        ready.set()
        while breaker.error is not None:
            side.was_asked.wait(0.01)
    finally:
        breaker.close()


def test_many_ask_once() -> None:
    """Of many that find it away at the same time one looks."""
    gate, side = threading.Event(), Side()
    side.is_up = False

    def slow() -> None:
        gate.wait(10)
        side()

    breaker = Breaker(slow, interval_s=60)
    threads = [threading.Thread(target=breaker.ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert (side.asked, breaker.trips) == (1, 1)
    breaker.close()
    breaker.trip(Unavailable("after the end"))
    assert breaker.trips == 1
