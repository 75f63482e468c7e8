"""The store that fails when told to does so as told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore

from lakecore.base import OutOfSpace, Unavailable
from lakecore.storage import Store, open_store


@pytest.fixture
def inner() -> Iterator[Store]:
    """Keeps the objects."""
    store = open_store("memory://")
    yield store
    store.close()


def upload(store: Store, path: str, data: bytes) -> None:
    """All of `data`, in two writes."""
    with store.upload(path) as file:
        file.write(data[: len(data) // 2])
        file.write(data[len(data) // 2 :])


WRITES: list[Callable[[Store], None]] = [
    lambda store: store.create("x", b"data"),
    lambda store: store.put("x", b"data"),
    lambda store: upload(store, "x", b"data"),
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.TEAR])
def test_a_planned_write_fails(inner: Store, write: Callable[[Store], None], fault: Fault) -> None:
    """Stored only if it fails after; whole or not at all in any case."""
    store = FaultyStore(inner, {2: fault}, error=OutOfSpace)
    store.create("first", b"1")
    with pytest.raises(OutOfSpace, match="a planned fault at x"):
        write(store)
    assert store.writes == 2
    assert inner.exists("x") is (fault is Fault.AFTER)
    store.put("x", b"data")
    assert inner.get("x") == b"data"


def test_a_delete_is_a_write(inner: Store) -> None:
    """It may fail before and after, too."""
    store = FaultyStore(inner, {2: Fault.BEFORE, 3: Fault.AFTER})
    store.create("x", b"1")
    for left in (True, False):
        with pytest.raises(Unavailable):
            store.delete("x")
        assert inner.exists("x") is left


def test_a_slow_write_succeeds(inner: Store) -> None:
    """Later."""
    store = FaultyStore(inner, {1: Fault.SLOW}, slow_s=0.05, stays_down=True)
    start = time.monotonic()
    store.create("x", b"1")
    assert time.monotonic() - start >= 0.05
    store.create("y", b"1")


def test_a_store_may_stay_down(inner: Store) -> None:
    """After the first fault nothing is written any more; reading goes on."""
    store = FaultyStore(inner, {1: Fault.AFTER}, stays_down=True)
    for _ in range(2):
        for write in WRITES:
            with pytest.raises(Unavailable):
                write(store)
    assert store.get("x") == b"data"
    assert store.writes == 6
    assert store.log == [
        *[("create", "x"), ("put", "x"), ("upload", "x")] * 2,
        ("get", "x"),
    ]
