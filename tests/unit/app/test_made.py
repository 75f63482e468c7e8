"""A part of a lake is made once, whoever asks for it first."""

from __future__ import annotations

import threading
import time

from lakecore.app._made import cached_property


class Parts:
    """Something with a part that takes a while to make, and one that is made of it."""

    def __init__(self) -> None:
        self.made = 0

    @cached_property
    def slow(self) -> object:
        """It counts how often it was made."""
        self.made += 1
        time.sleep(0.05)
        return object()

    @cached_property
    def whole(self) -> tuple[object]:
        """Made of the other."""
        return (self.slow,)


def test_threads_get_the_same_part() -> None:
    """Also those that ask for what is made of it."""
    parts, found = Parts(), []

    def ask(number: int) -> None:
        found.append(parts.whole[0] if number % 2 else parts.slow)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parts.made == 1
    assert len(set(map(id, found))) == 1
    assert isinstance(Parts.slow, cached_property)
