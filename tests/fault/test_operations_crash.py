"""Going back, columns, rows by key, tables of others: with faults at every write, all or nothing.

After each the lake is opened again, in good health: rows and columns are those of before or of
after, `verify --full` is green, and the journal alone tells the same rows.
`LAKECORE_SOAK_ROUNDS` is how many faults each operation meets; few of all without it.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.unit.tables.history import Rows, as_json, follow

from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.base import LakecoreError
from lakecore.config import Settings
from lakecore.storage import Store, open_store
from lakecore.tables import AddColumn, ColumnChange, DropColumn, RenameColumn, WidenColumn

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "3"))
KILLS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "1"))
MAX_WRITES = 60
FOREIGN = "landing/r"
CHILD = """
import sys
from lakecore.storage import open_store
from tests.fakes.faulty_store import Fault
from tests.fakes.killing_store import KillingStore
from tests.fault.test_operations_crash import OPERATIONS, opened

path, name, at, when = sys.argv[1:]
store = KillingStore(open_store(path), {int(at): Fault(when)})
with opened(store) as lake:
    OPERATIONS[name].change(lake)
"""


@dataclass(frozen=True)
class Operation:
    """One change of one dataset; `settle` is what its documentation says to do after a crash."""

    dataset: str
    change: Callable[[Lake], Any]
    settle: Callable[[Lake], Any] = lambda lake: None


def _columns(*changes: Any) -> Callable[[Lake], Any]:
    return lambda lake: lake.alter_columns("t", list(changes))


OPERATIONS = {
    "restore": Operation("t", lambda lake: lake.restore("t", version=0)),
    "revert": Operation("t", lambda lake: lake.revert("m1")),
    "revert files": Operation("u", lambda lake: lake.revert("m2")),
    "add": Operation("t", _columns(AddColumn("x", "long"))),
    "rename": Operation("t", _columns(RenameColumn("v", "w"))),
    "rename key": Operation(
        "t",
        _columns(RenameColumn("id", "number")),
        # The catalog follows the table with the same call again.
        lambda lake: _lags(lake) and _columns(RenameColumn("id", "number"))(lake),
    ),
    "drop": Operation("t", _columns(DropColumn("v"), AddColumn("v", "string"))),
    "widen": Operation("t", _columns(WidenColumn("n", "long"))),
    "update": Operation("t", lambda lake: lake.update("t", keys=[1, 5, 99], set={"n": 7})),
    "delete": Operation("t", lambda lake: lake.delete("t", keys=[0, 5])),
    "approve": Operation(
        "p",
        lambda lake: lake.approve("p1"),
        # Whoever looks next notes what an approver left behind.
        lambda lake: lake.pending_change("p1"),
    ),
    "adopt": Operation(
        "r",
        lambda lake: lake.adopt(FOREIGN, dataset="r", key="id"),
        lambda lake: lake.reconcile(),
    ),
    "reconcile": Operation("f", lambda lake: lake.reconcile(), lambda lake: lake.reconcile()),
}


def opened(store: Store, *, create: bool = False) -> Lake:
    """A lake on this store."""
    return Lake(Components(store, Settings(), create=create), actor="ada")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets of several files and versions; one that another program has changed since."""
    from deltalake import write_deltalake

    path = tmp_path_factory.mktemp("operations") / "made"
    with opened(open_store(str(path)), create=True) as lake:
        lake.create("t", key="id")
        for ids in ([0, 1, 2], [3, 4, 5]):
            rows = {"id": ids, "n": pa.array(ids, pa.int32()), "v": [f"v{n}" for n in ids]}
            lake.insert("t", pa.table(rows))
        lake.upsert("t", [{"id": 1, "v": "w"}, {"id": 6, "v": "new"}], mutation_id="m1")
        lake.delete("t", keys=[2])
        lake.create("u")
        lake.insert("u", [{"line": "a"}, {"line": "a"}])
        lake.insert("u", [{"line": "b"}], mutation_id="m2")
        lake.create("p", key="id")
        lake.insert(
            "p", pa.table({"id": [1, 2], "n": pa.array([1, 2], pa.int32()), "v": ["a", "b"]})
        )
        columns: list[ColumnChange] = [
            DropColumn("v"),
            RenameColumn("id", "number"),
            WidenColumn("n", "long"),
            AddColumn("v", "string"),
            AddColumn("x", "decimal(9,2)"),
        ]
        held = lake.alter_columns("p", columns, tier="dry_run", mutation_id="p1")
        assert held.held
        lake.create("f", key="id")
        lake.insert("f", [{"id": n, "n": n} for n in range(4)])
    write_deltalake(str(path / FOREIGN), pa.table({"id": [1, 2], "n": [3, 4]}))
    return path


def _lags(lake: Lake) -> bool:
    """Whether the table has its key's new name, and the catalog has not."""
    names = [column["name"] for column in lake.describe("t")["columns"]]
    return "number" in names and lake.dataset("t").key == ("id",)


def _copy(made: Path, name: str, to: Path) -> Path:
    from deltalake import DeltaTable

    shutil.copytree(made, to)
    if name == "reconcile":
        DeltaTable(str(to / "tables/main/f")).update(updates={"n": "n + 10"}, predicate="id > 1")
    return to


def _content(lake: Lake, name: str) -> Any:
    """Columns with their types, and rows; None where there is no such dataset."""
    if name not in [entry.name for entry in lake.datasets()]:
        return None
    found = lake.sql(f"select * from {name}").to_arrow()
    return found.schema, sorted(map(repr, found.to_pylist()))


def _outcomes(made: Path, name: str, folder: Path) -> tuple[Any, Any, int]:
    """The content before and after, and how many writes it takes up to the lake's end."""
    path = _copy(made, name, folder)
    operation = OPERATIONS[name]
    store = FaultyStore(open_store(str(path)))
    with opened(store) as lake:
        before = _content(lake, operation.dataset)
        operation.change(lake)
        after = _content(lake, operation.dataset)
    assert name == "reconcile" or before != after
    return before, after, store.writes


def _check(path: Path, name: str, outcomes: list[Any]) -> None:
    """The lake is one of `outcomes`, sound, and its journal says the same; it goes on."""
    operation = OPERATIONS[name]
    with opened(open_store(str(path))) as lake:
        content = _content(lake, operation.dataset)
        assert content in outcomes
        operation.settle(lake)
        assert _content(lake, operation.dataset) == content
        if content is not None:
            _check_told(lake, operation.dataset)
            if content != outcomes[-1]:
                operation.change(lake)
            content = _content(lake, operation.dataset)
            assert content == outcomes[-1]
            assert set(lake.dataset(operation.dataset).key) <= set(content[0].names)
        _check_sound(lake)


def _check_sound(lake: Lake) -> None:
    lake.journal.seal()
    report = lake.verify(full=True)
    assert report.status == "green", report
    assert not report.completeness.detail["pending"]


def _check_told(lake: Lake, name: str) -> None:
    """The journal's events, followed one by one, lead to the table's rows."""
    entry = lake.dataset(name)
    if not entry.key:
        return
    events = lake.journal.query(dataset_id=entry.dataset_id, limit=1_000).items[::-1]
    rows: Rows = {}
    if entry.adopted_version is not None:
        adopted = lake.as_of(name, version=entry.adopted_version).to_pylist()
        rows = {str(row["id"]): as_json(row) for row in adopted}
    told = [event for event in events if event.version is not None]
    follow(rows, sorted(told, key=lambda event: event.version or 0))
    held = [as_json(row) for row in lake.sql(f"select * from {name}").to_pylist()]
    assert _sorted(rows.values()) == _sorted(held)


def _sorted(rows: Any) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_write_may_fail(name: str, made: Path, tmp_path: Path) -> None:
    """Writes × {failed, failed but stored, torn, slow}, in passing and for good."""
    before, after, writes = _outcomes(made, name, tmp_path / "clean")
    assert 2 <= writes < MAX_WRITES
    cases = list(itertools.product(range(1, writes + 1), list(Fault), (False, True)))
    chosen = random.Random(name).sample(cases, min(ROUNDS, len(cases)))
    for number, (write, fault, stays_down) in enumerate(chosen):
        path = _copy(made, name, tmp_path / f"{number}")
        store = FaultyStore(open_store(str(path)), {write: fault}, stays_down=stays_down)
        outcomes = [before, after]
        try:
            with opened(store) as lake:
                OPERATIONS[name].change(lake)
                outcomes = [after]
        except LakecoreError:
            assert fault is not Fault.SLOW
        _check(path, name, outcomes)


@pytest.mark.parametrize("name", ["restore", "rename key", "approve"])
def test_killed_at_a_write(name: str, made: Path, tmp_path: Path) -> None:
    """SIGKILL at a write, before or after it is stored: whoever opens the lake finds all or none.

    With more rounds at all of them.
    """
    before, after, writes = _outcomes(made, name, tmp_path / "clean")
    cases = list(itertools.product(range(1, writes + 1), (Fault.BEFORE, Fault.AFTER)))
    for write, fault in random.Random(name).sample(cases, min(KILLS, len(cases))):
        path = _copy(made, name, tmp_path / f"{write}-{fault.value}")
        arguments = [str(path), name, str(write), fault.value]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments], check=False, capture_output=True, timeout=120
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()[-2000:]
        _check(path, name, [after] if not done.returncode else [before, after])
