"""A lake's key documents, a clock that a test sets, and seconds that pass when it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.seconds import Seconds

from lakecore.auth import Keys
from lakecore.base import ManualClock
from lakecore.documents import Documents
from lakecore.journal import Journal
from lakecore.storage import Store, open_store


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "lake"))
    yield store
    store.close()


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(store, tmp_path / "state") as journal:
        yield journal


@pytest.fixture
def keys(
    store: Store, journal: Journal, tmp_path: Path, clock: ManualClock, seconds: Seconds
) -> Keys:
    documents = Documents(store, journal, clock)
    return Keys(documents, clock, state_dir=tmp_path / "state", monotonic_s=seconds)
