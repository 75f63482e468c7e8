"""Whatever fails, wherever it is killed: a mutation happens whole, with its events, or not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.judges import FakeGate
from tests.unit.tables.conftest import Ref

from lakecore.base import LakecoreError, OutOfSpace, SystemClock, Unavailable
from lakecore.journal import Author, Journal, JournalSettings
from lakecore.storage import Store, open_store
from lakecore.tables import Sql, Tables, TableSettings

ADA = Author(actor="ada")
KEYED = Ref(dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11")
UNKEYED = Ref(key=(), dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b12")
FIRST = pa.table({"id": list(range(6)), "v": list("abcdef")})
MORE = pa.table({"id": list(range(4, 9)), "v": list("xfghi")})
NEW = pa.table({"id": [10, 11], "v": ["p", "q"]})
SMALL = TableSettings(file_rows=4, row_group_rows=2, retry_wait_s=0.0)
STEPS = ("planned", "staged", "committing", "committed", "acknowledged")

Change = Callable[[Tables], Any]
CHANGES: dict[str, tuple[Ref, Change]] = {
    "append": (KEYED, lambda tables: tables.append(KEYED, NEW, author=ADA)),
    "upsert": (KEYED, lambda tables: tables.upsert(KEYED, MORE, author=ADA)),
    "replace": (KEYED, lambda tables: tables.replace(KEYED, MORE, author=ADA)),
    "rekey": (
        KEYED,
        lambda tables: tables.update(
            KEYED, where="id > 3", set={"id": Sql("id + 20"), "v": "z"}, author=ADA
        ),
    ),
    "delete": (KEYED, lambda tables: tables.delete(KEYED, where="id < 5", author=ADA)),
    "unkeyed": (UNKEYED, lambda tables: tables.replace(UNKEYED, MORE, author=ADA)),
}


def _journal(store: Store, folder: Path) -> Journal:
    settings = JournalSettings(background=False)
    return Journal.open(store, folder / "state", settings=settings)


def _rows(tables: Tables, dataset: Ref) -> list[tuple[Any, ...]]:
    view = tables.open(dataset)
    rows = view.delta.to_pyarrow_table().to_pylist() if view is not None else []
    return sorted(tuple(row.values()) for row in rows)


def _first(store: Store, folder: Path, dataset: Ref) -> None:
    with _journal(store, folder) as journal:
        Tables(store, journal, SystemClock(), SMALL).append(dataset, FIRST, author=ADA)
        journal.seal()


def _check(folder: Path, dataset: Ref, outcomes: list[list[tuple[Any, ...]]]) -> list[Any]:
    """The table is one of `outcomes`, all its events are sealed, and it can be changed on.

    Returns the rows that were found.
    """
    store = open_store(str(folder / "lake"))
    with _journal(store, folder) as journal:
        tables = Tables(store, journal, SystemClock(), SMALL)
        rows = _rows(tables, dataset)
        assert rows in outcomes
        _sealed_and_complete(store, journal, dataset)
        assert tables.append(dataset, pa.table({"id": [99]}), author=ADA).inserted == 1
        # What was undecided is dead now that somebody else has made the version.
        assert not _sealed_and_complete(store, journal, dataset)
        assert len(_rows(tables, dataset)) == len(rows) + 1
    store.close()
    return rows


def _sealed_and_complete(store: Store, journal: Journal, dataset: Ref) -> list[str]:
    """Every version has its events, sealed; returns what is staged for no version yet."""
    journal.seal()
    log = f"{dataset.location}/_delta_log/"
    paths = [found.path for found in store.list_objects(log) if found.path.endswith(".json")]
    report = journal.completeness([(path, store.get(path)) for path in paths])
    assert report.ok or report.undecided
    assert report.matched == len(paths)
    assert not report.pending
    assert journal.verify().ok
    return report.undecided


def _run(folder: Path, name: str, faults: dict[int, Fault], **options: Any) -> FaultyStore:
    """One change over a store with faults; raises what it raises. Nothing is closed after it."""
    store = FaultyStore(open_store(str(folder / "lake")), faults, **options)
    journal = _journal(store, folder)
    store.writes = 0
    CHANGES[name][1](Tables(store, journal, SystemClock(), SMALL))
    return store


def _outcomes(folder: Path, name: str) -> tuple[Any, Any, int]:
    """The rows before and after the change, and how many writes it takes."""
    dataset, _ = CHANGES[name]
    store = open_store(str(folder / "lake"))
    _first(store, folder, dataset)
    with _journal(store, folder) as journal:
        before = _rows(Tables(store, journal, SystemClock(), SMALL), dataset)
    writes = _run(folder, name, {}).writes
    after = _check(folder, dataset, [_now(folder, dataset)])
    assert before != after
    return before, after, writes


def _now(folder: Path, dataset: Ref) -> list[tuple[Any, ...]]:
    store = open_store(str(folder / "lake"))
    with _journal(store, folder) as journal:
        return _rows(Tables(store, journal, SystemClock(), SMALL), dataset)


@pytest.mark.parametrize("stays_down", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_every_write_may_fail(name: str, stays_down: bool, tmp_path: Path) -> None:
    """Each write × {failed, failed but stored, torn}, in passing and for good: all or nothing."""
    _fail_each_write(name, tmp_path, tuple(Fault)[:3], Unavailable, stays_down)


@pytest.mark.parametrize("name", ["upsert", "unkeyed"])
def test_every_write_may_find_the_disk_full(name: str, tmp_path: Path) -> None:
    """The same for an error that trying again does not help against."""
    _fail_each_write(name, tmp_path, (Fault.BEFORE, Fault.AFTER), OutOfSpace, False)


def _fail_each_write(
    name: str,
    tmp_path: Path,
    faults: tuple[Fault, ...],
    error: type[LakecoreError],
    stays_down: bool,
) -> None:
    before, after, writes = _outcomes(tmp_path / "clean", name)
    dataset, _ = CHANGES[name]
    assert writes >= 3
    for write in range(1, writes + 1):
        for fault in faults:
            folder = tmp_path / f"{write}-{fault.value}"
            _first(open_store(str(folder / "lake")), folder, dataset)
            try:
                _run(folder, name, {write: fault}, error=error, stays_down=stays_down)
                outcomes = [after]
            except LakecoreError:
                outcomes = [before, after]
            _check(folder, dataset, outcomes)


@pytest.mark.parametrize("name", CHANGES)
def test_a_lost_answer_to_the_commit_is_found_out(name: str, tmp_path: Path) -> None:
    """The commit was stored, its answer was lost: the change is acknowledged, once."""
    before, after, writes = _outcomes(tmp_path / "clean", name)
    dataset, _ = CHANGES[name]
    _first(open_store(str(tmp_path / "lake")), tmp_path, dataset)
    store = _run(tmp_path, name, {writes: Fault.AFTER})
    assert [name for name, _ in store.log[-2:]] == ["create", "get"]
    assert _check(tmp_path, dataset, [before, after]) == after


def test_failed_changes_leave_no_files(tmp_path: Path) -> None:
    """A change that fails before its commit removes what it wrote."""
    _first(open_store(str(tmp_path / "lake")), tmp_path, KEYED)
    inner = open_store(str(tmp_path / "lake"))
    before = {found.path for found in inner.list_objects("")}
    for write in (1, 2):
        with pytest.raises(Unavailable):
            _run(tmp_path, "upsert", {write: Fault.BEFORE})
        assert {found.path for found in inner.list_objects("")} == before


@pytest.mark.parametrize("where", ["judge", "rows", "decide", "context"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_judge_that_fails_leaves_nothing(name: str, where: str, tmp_path: Path) -> None:
    """Wherever a judge raises, and whatever: no object, no thread, and the rows as before."""
    dataset, change = CHANGES[name]
    store = open_store(str(tmp_path / "lake"))
    _first(store, tmp_path, dataset)
    objects = {found.path for found in store.list_objects("")}
    with _journal(store, tmp_path) as journal:
        tables = Tables(store, journal, SystemClock(), SMALL, _failing(where))
        before = _rows(tables, dataset)
        with pytest.raises(_Failure, match=where):
            change(tables)
        assert {found.path for found in store.list_objects("")} == objects
        names = [thread.name for thread in threading.enumerate()]
        assert not [
            name for name in names if name.startswith(("lakecore-events", "lakecore-files"))
        ]
    assert _check(tmp_path, dataset, [before]) == before


class _Failure(BaseException):
    """Nothing that anybody expects."""


def _failing(where: str) -> FakeGate:
    """A gate that raises at one of its calls."""
    failure = _Failure(where)

    def fail(*_: object) -> NoReturn:
        raise failure

    if where == "judge":
        return FakeGate(exempt=fail)
    if where == "context":
        return FakeGate(context=_Failing(failure))
    return FakeGate(
        rows_raise=failure if where == "rows" else None,
        decide_raises=failure if where == "decide" else None,
    )


class _Failing(Mapping[str, object]):
    """A decision's context that cannot be read."""

    def __init__(self, failure: BaseException) -> None:
        self._failure = failure

    def __getitem__(self, name: str) -> NoReturn:
        raise self._failure

    def __iter__(self) -> NoReturn:
        raise self._failure

    def __len__(self) -> int:
        return 1


class _Interrupted:
    """A store whose `create` of a version is followed by the user's Ctrl-C."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create(self, path: str, data: bytes) -> None:
        self._inner.create(path, data)
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", CHANGES)
def test_an_interrupt_after_the_commit_removes_nothing(name: str, tmp_path: Path) -> None:
    """Ctrl-C between the commit and its answer: what the version refers to stays."""
    _, after, _ = _outcomes(tmp_path / "clean", name)
    dataset, change = CHANGES[name]
    store = open_store(str(tmp_path / "lake"))
    _first(store, tmp_path, dataset)
    journal = _journal(store, tmp_path)
    tables = Tables(_Interrupted(store), journal, SystemClock(), SMALL)  # type: ignore[arg-type] # a proxy
    with pytest.raises(KeyboardInterrupt):
        change(tables)
    assert _check(tmp_path, dataset, [after]) == after


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("step", STEPS)
def test_an_error_at_any_step(name: str, step: str, tmp_path: Path) -> None:
    """An exception before the commit undoes everything, one after it nothing."""
    before, after, _ = _outcomes(tmp_path / "clean", name)
    dataset, change = CHANGES[name]
    store = open_store(str(tmp_path / "lake"))
    _first(store, tmp_path, dataset)

    def fail(reached: str) -> None:
        if reached == step:
            raise RuntimeError(step)

    settings = TableSettings(file_rows=4, row_group_rows=2, on_step=fail)
    objects = {found.path for found in store.list_objects("")}
    with pytest.raises(RuntimeError):
        change(Tables(store, _journal(store, tmp_path), SystemClock(), settings))
    done = step in ("committed", "acknowledged")
    if not done:
        assert {found.path for found in store.list_objects("")} == objects
    expected = after if done else before
    assert _check(tmp_path, dataset, [expected]) == expected


def _killed(folder: str, name: str, step: str, gated: bool) -> None:
    def kill(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    store = open_store(str(Path(folder) / "lake"))
    settings = TableSettings(file_rows=4, row_group_rows=2, on_step=kill)
    journal = _journal(store, Path(folder))
    gate = FakeGate(wants_digest=True) if gated else None
    CHANGES[name][1](Tables(store, journal, SystemClock(), settings, gate))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("name", "gated"), [("upsert", False), ("upsert", True), ("unkeyed", True)]
)
def test_killed_at_every_step(name: str, gated: bool, step: str, tmp_path: Path) -> None:
    """Before the commit nothing has happened, after it everything has; with a judge or without."""
    before, after, _ = _outcomes(tmp_path / "clean", name)
    dataset, _change = CHANGES[name]
    _first(open_store(str(tmp_path / "lake")), tmp_path, dataset)
    process = multiprocessing.get_context("spawn").Process(
        target=_killed, args=(str(tmp_path), name, step, gated)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    expected = after if step in ("committed", "acknowledged") else before
    assert _check(tmp_path, dataset, [expected]) == expected
