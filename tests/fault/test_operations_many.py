"""Several processes change one dataset in every way at once: all of it is told, nothing else.

`LAKECORE_SOAK_ROUNDS` is how many changes each of them makes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.fault.test_operations_crash import opened
from tests.servers import BUCKET, s3_options
from tests.unit.tables.history import Rows, as_json, follow

from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.base import Conflict, InvalidInput, NotFound, Refused
from lakecore.config import Settings
from lakecore.storage import open_store
from lakecore.tables import AddColumn, MutationResult

CHANGES = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "8"))
KEYS = 12
PROCESSES = 3
GROUP = 4
PATIENCE_S = 300.0


def _open(place: str, options: Mapping[str, str], state: str) -> Lake:
    """A machine of its own: its state directory is nobody else's."""
    store = open_store(place, options=dict(options))
    parts = Components(store, Settings(), create=False, state_dir=Path(state))
    return Lake(parts, actor=Path(state).name)


def _one_change(lake: Lake, chance: random.Random, mine: list[str]) -> MutationResult | None:
    """One of all kinds; None where the others were in its way."""
    key = chance.randrange(KEYS)
    rows = [{"id": key, "n": chance.randrange(100)}]
    newest = lake.describe("t")["version"]
    changes: dict[str, Callable[[], MutationResult | None]] = {
        "insert": lambda: lake.insert("t", [{"id": chance.randrange(10**9), "n": 0}]),
        "upsert": lambda: lake.upsert("t", rows),
        "update": lambda: lake.update("t", keys=[key, key + 1], set={"n": chance.randrange(9)}),
        "delete": lambda: lake.delete("t", keys=[key]),
        "restore": lambda: lake.restore("t", version=chance.randrange(newest + 1)),
        "revert": lambda: lake.revert(chance.choice(mine)) if mine else None,
        "skip": lambda: lake.revert(chance.choice(mine), skip_conflicts=True) if mine else None,
        "column": lambda: lake.alter_columns(
            "t", [AddColumn(f"c{chance.randrange(10**9)}", "long")]
        ),
    }
    kinds = ["upsert", "update", *changes]
    try:
        return changes[chance.choice(kinds)]()
    except (Conflict, InvalidInput, NotFound, Refused):
        return None


def _work(place: str, options: dict[str, str], state: str, seed: int) -> None:
    """A process: changes one after the other, and small groups of them at once."""
    try:
        chance = random.Random(seed)
        with _open(place, options, state) as lake:
            mine: list[str] = []
            for number in range(CHANGES):
                if number % 4 == 3:
                    mine += _group(lake, chance)
                    continue
                result = _one_change(lake, chance, mine)
                if result is not None and result.committed:
                    mine.append(result.mutation_id)
    except BaseException:
        Path(f"{state}.failed").write_text(traceback.format_exc(), encoding="utf-8")
        raise


def _group(lake: Lake, chance: random.Random) -> list[str]:
    """Upserts of threads, which share commits; gives the mutations."""
    found: list[str] = []

    def upsert(key: int, value: int) -> None:
        result = lake.upsert("t", [{"id": key, "n": value}])
        if result.committed:
            found.append(result.mutation_id)

    keys = chance.sample(range(KEYS), GROUP)
    threads = [threading.Thread(target=upsert, args=(key, chance.randrange(100))) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _check(lake: Lake) -> None:
    """Sound, every version told, and the journal alone leads to the rows of every version."""
    lake.journal.seal()
    report = lake.verify(full=True)
    assert report.status == "green", report
    assert not report.completeness.detail["pending"]
    entry = lake.dataset("t")
    newest = lake.describe("t")["version"]
    events = lake.journal.query(dataset_id=entry.dataset_id, limit=100_000).items[::-1]
    assert {event.version for event in events} == set(range(newest + 1))
    rows: Rows = {}
    for version in range(newest + 1):
        follow(rows, [event for event in events if event.version == version])
        held = map(as_json, lake.as_of("t", version=version).to_pylist())
        assert _sorted(rows.values()) == _sorted(held), version


def _sorted(rows: Any) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_processes_that_change_in_every_way(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """On a disk and on S3: verify is green, and events replayed are the table at every version."""
    options: dict[str, str] = {}
    place = str(tmp_path / "lake")
    if kind == "s3":
        options = s3_options(request.getfixturevalue("s3_endpoint"))
        place = f"s3://{BUCKET}/{tmp_path.name}"
    opened(open_store(place, options=options), create=True).close()
    with _open(place, options, str(tmp_path / "first")) as lake:
        lake.create("t", key="id")
        lake.insert("t", [{"id": n, "n": n} for n in range(KEYS)])
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(place, options, str(tmp_path / f"machine{n}"), n))
        for n in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)
    failures = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*.failed")]
    assert not failures, failures[0]
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    with _open(place, options, str(tmp_path / "last")) as lake:
        _check(lake)


def _undo(place: str, state: str, mutations: list[str]) -> None:
    with _open(place, {}, state) as lake:
        for mutation in mutations:
            lake.revert(mutation)


def test_mutations_of_one_commit_are_undone_by_other_processes(tmp_path: Path) -> None:
    """Each by itself, at the same time, and one of them again: the others' rows stay."""
    place = str(tmp_path / "lake")
    opened(open_store(place), create=True).close()
    with _open(place, {}, str(tmp_path / "first")) as lake:
        lake.create("t", key="id")
        lake.insert("t", [{"id": n, "n": 0} for n in range(4)])
        mutations = [f"m{n}" for n in range(8)]
        # A row that is there and a new one, by each.
        threads = [
            threading.Thread(
                target=lake.upsert,
                args=("t", [{"id": n, "n": 1}, {"id": 100 + n, "n": 1}]),
                kwargs={"mutation_id": mutation},
            )
            for n, mutation in enumerate(mutations)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        versions = [lake.journal.versions_of(mutation)[0][1] for mutation in mutations]
        assert len(set(versions)) < len(mutations), "nothing was shared"
    context = multiprocessing.get_context("spawn")
    parts = (mutations[0:3], mutations[3:6])
    workers = [
        context.Process(target=_undo, args=(place, str(tmp_path / f"machine{n}"), part))
        for n, part in enumerate(parts)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)
    assert [worker.exitcode for worker in workers] == [0, 0]
    with _open(place, {}, str(tmp_path / "last")) as lake:
        rows = {row["id"]: row["n"] for row in lake.sql("select * from t").to_pylist()}
        assert rows == dict.fromkeys(range(4), 0) | dict.fromkeys((6, 7, 106, 107), 1)
        by = next(
            event
            for event in lake.history("t", 100)
            if json.loads(event.context).get("reverts") == "m0"
        )
        assert lake.revert(by.mutation_id).inserted == 1
        with pytest.raises(Conflict, match="changed since"):
            lake.revert("m1")
        _check(lake)
