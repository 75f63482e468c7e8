"""Building under faults: every write fails, is torn, or is the last of its process."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.killing_store import KillingStore
from tests.fakes.search import ADA, SearchLab, docs

from lakecore.base import LakecoreError
from lakecore.search import Question
from lakecore.storage import Store, open_store

OLD = {n: f"engine number{n}" for n in range(40)}
NEW = {**OLD, 3: "zebra", 99: "zebra"}
SMALL = {"exact_rows": 10, "connectivity": 8, "expansion_add": 32}


def _begin(folder: Path) -> None:
    """An index of the old version."""
    store = open_store(str(folder / "lake"))
    lab = SearchLab(store, folder, docs(OLD))
    lab.indexes.create("i", "docs", ["text"], author=ADA, parameters=SMALL)
    lab.close()
    store.close()


def _work(store: Store, folder: Path, *, anew: bool) -> None:
    """The next build, as one process does it."""
    lab = _lab(store, folder)
    try:
        (lab.indexes.rebuild if anew else lab.indexes.refresh)("i", author=ADA)
    finally:
        lab.close()


def _lab(store: Store, folder: Path) -> SearchLab:
    lab = SearchLab(store, folder, docs(OLD))
    lab.source.versions.append(docs(NEW))
    return lab


def _check(folder: Path) -> None:
    """The old index or the new one is served, whole; the next build makes it the new one."""
    store = open_store(str(folder / "lake"))
    lab = _lab(store, folder)
    answer = lab.indexes.search("i", Question(text="zebra", limit=2))
    ids = {row["id"] for row in answer.to_pylist()}
    assert (answer.covered_version, ids == {3, 99}) in ((0, False), (1, True))
    assert len(lab.indexes.search("i", Question(text="number5", limit=40)).to_pylist()) == 40
    lab.indexes.refresh("i", author=ADA)
    found: pa.Table = lab.indexes.search("i", Question(text="zebra", limit=2)).rows
    assert sorted(found["id"].to_pylist()) == [3, 99]
    assert (lab.indexes.get("i").state, lab.indexes.get("i").error) == ("ready", "")
    lab.close()
    store.close()


def _writes(folder: Path, *, anew: bool) -> int:
    folder.mkdir()
    _begin(folder)
    inner = open_store(str(folder / "lake"))
    store = FaultyStore(inner)
    _work(store, folder, anew=anew)
    inner.close()
    return store.writes


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.TEAR])
@pytest.mark.parametrize("anew", [False, True])
def test_a_build_whose_write_fails(tmp_path: Path, fault: Fault, anew: bool) -> None:
    """A fourth of the writes each, and the last: the old index is served, the next build heals."""
    count = _writes(tmp_path / "counted", anew=anew)
    assert count > 8
    first = [Fault.BEFORE, Fault.AFTER, Fault.TEAR].index(fault) + 1
    for number in {*range(first, count + 1, 4), count}:
        folder = tmp_path / f"{number}"
        folder.mkdir()
        _begin(folder)
        inner = open_store(str(folder / "lake"))
        store = FaultyStore(inner, {number: fault})
        with contextlib.suppress(LakecoreError):
            _work(store, folder, anew=anew)
        inner.close()
        _check(folder)


def test_a_build_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL at each write of a refresh, before it and behind it."""
    count = _writes(tmp_path / "counted", anew=False)
    context = multiprocessing.get_context("spawn")
    points = [(count - 3, Fault.BEFORE), (count - 1, Fault.AFTER), (count, Fault.AFTER)]
    for number, fault in [(2, Fault.BEFORE), *points]:
        folder = tmp_path / f"{number}-{fault.value}"
        folder.mkdir()
        _begin(folder)
        process = context.Process(target=_doomed, args=(folder, number, fault))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        _check(folder)


def _doomed(folder: Path, number: int, fault: Fault) -> None:
    store = KillingStore(open_store(str(folder / "lake")), {number: fault})
    _work(store, folder, anew=False)
