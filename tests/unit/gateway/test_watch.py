"""Answers that go on end with their keys, and when nobody can tell whether those are good."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from lakecore.auth import Principal
from lakecore.base import LakecoreError, Unauthenticated, Unavailable
from lakecore.gateway import _watch
from lakecore.gateway._guard import Caller
from lakecore.gateway._watch import Watch
from lakecore.gateway._workers import Workers


class Book:
    """Keys, some of which have ended, and how often each was asked for."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.asked: list[str] = []

    def authenticate(self, text: str | None, *, address: str | None = None) -> Principal:
        raise Unauthenticated("not asked here")

    def at_once(self, text: str | None) -> Principal | None:
        return None

    def recheck(self, principal: Principal) -> None:
        assert principal.key_id is not None
        self.asked.append(principal.key_id)
        if principal.key_id in self.errors:
            raise self.errors[principal.key_id]


def caller(key_id: str) -> Caller:
    """Somebody with a key."""
    rooms: Any = None
    return Caller(rooms, replace(Principal.local("ada"), key_id=key_id), "r")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_watch, "LOOK_S", 0.02)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unauthenticated("ended"), Unauthenticated),
        (Unavailable("the store does not answer"), Unavailable),
        (ValueError("a bug"), LakecoreError),
    ],
)
def test_what_a_key_began_ends_with_it(error: Exception, kind: type[LakecoreError]) -> None:
    """All of it, soon; what another key began goes on; a key is asked for once a look."""
    book, workers = Book(), Workers(1, 0)

    async def story() -> None:
        watch, ended = Watch(book, workers), []
        with (
            watch.holding(caller("one"), lambda: ended.append(1)) as first,
            watch.holding(caller("one"), lambda: ended.append(2)) as second,
            watch.holding(caller("two"), lambda: ended.append(3)) as other,
        ):
            await asyncio.sleep(0.1)
            assert ended == []
            first.check()
            book.errors["one"] = error
            began_s = time.monotonic()
            while len(ended) < 2 and time.monotonic() - began_s < 5:
                await asyncio.sleep(0.01)
            assert sorted(ended) == [1, 2]
            for held in (first, second):
                with pytest.raises(kind):
                    held.check()
            other.check()
        assert book.asked.count("one") <= book.asked.count("two") + 1
        await asyncio.sleep(0.1)
        looks = len(book.asked)
        await asyncio.sleep(0.1)
        assert len(book.asked) == looks  # nothing is held: nobody looks
        with watch.holding(caller("two"), lambda: None):
            await asyncio.sleep(0.1)
        assert len(book.asked) > looks

    asyncio.run(story())
    workers.close()


def test_where_no_key_is_asked_for_nothing_is_watched() -> None:
    """On loopback, without keys."""
    workers = Workers(1, 0)

    async def story() -> None:
        with Watch(None, workers).holding(caller("one"), lambda: None) as held:
            await asyncio.sleep(0.05)
            held.check()

    asyncio.run(story())
    workers.close()
