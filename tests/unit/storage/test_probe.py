"""The probe finds stores that do not keep their promise."""

from __future__ import annotations

import threading

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore

from lakecore.base import AlreadyExists, ReadOnly
from lakecore.storage import Store, open_store, probe_create_only


class Careless(FaultyStore):
    """A look-alike that ignores the condition of a conditional put."""

    def create(self, path: str, data: bytes) -> None:
        """Replaces."""
        self.inner.put(path, data)


class Racy(FaultyStore):
    """A look-alike that looks first and writes then."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._seen = threading.Barrier(8)

    def create(self, path: str, data: bytes) -> None:
        """Refuses what is there, but lets a crowd in."""
        if not self.inner.exists(path) and b"writer" in data:
            self._seen.wait()
            self.inner.put(path, data)
        else:
            self.inner.create(path, data)


def test_a_store_that_keeps_its_promise() -> None:
    """Create-only, and nothing is left of the trial."""
    store = FaultyStore(open_store("memory://"))
    result = probe_create_only(store)
    assert result.is_create_only
    assert list(store.list_objects("")) == []
    assert result.url == "memory://"
    store.close()


@pytest.mark.parametrize("kind", [Careless, Racy])
def test_a_store_that_does_not(kind: type[FaultyStore]) -> None:
    """One that replaces always, one that replaces only in a race."""
    store = kind(open_store("memory://"))
    result = probe_create_only(store)
    assert not result.is_create_only
    assert result.refuses_second is (kind is Racy)
    assert result.winners == 8
    assert list(store.list_objects("")) == []
    store.close()


def test_a_store_that_cannot_be_written() -> None:
    """Says so itself; that is no finding about creates."""
    store = FaultyStore(open_store("memory://"), {1: Fault.BEFORE}, error=ReadOnly)
    with pytest.raises(ReadOnly):
        probe_create_only(store)
    store.close()


def test_a_lost_answer_is_no_broken_promise() -> None:
    """The first create was stored, its answer lost, and the adapter's second try met it."""
    store = FaultyStore(open_store("memory://"), {1: Fault.AFTER}, error=AlreadyExists)
    assert probe_create_only(store).is_create_only
