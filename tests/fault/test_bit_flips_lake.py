"""One bit of one file of a lake, through its whole front: told, or without any effect."""

from __future__ import annotations

import os
import random
import shutil
from functools import partial
from pathlib import Path

import pytest

import lakecore
from lakecore.base import LakecoreError

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "6"))
SEED = int(os.environ.get("LAKECORE_SOAK_SEED", "20260131"))
KINDS = {
    "format": "lakecore.json",
    "document": "documents/**/*.json",
    "stub or segment": "journal/log/*.parquet",
    "data file": "tables/**/*.parquet",
    "commit of a table": "tables/**/*.json",
}
Rows = list[dict[str, object]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rows]:
    """A lake with one dataset, and its rows."""
    folder = tmp_path_factory.mktemp("lake") / "lake"
    with lakecore.open(folder) as lake:
        lake.create("planes", key=["id"])
        lake.insert("planes", [{"id": n, "seats": n * 7, "name": f"N{n}"} for n in range(50)])
        lake.update("planes", set={"seats": 5}, where="id < 10")
        lake.journal.seal()
        return folder, _rows(lake)


def _rows(lake: lakecore.Lake) -> Rows:
    found: Rows = lake.sql("select * from planes order by id").to_pylist()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_flip_in_a_lake(whole: tuple[Path, Rows], tmp_path: Path, kind: str) -> None:
    """The rows are what they were, or a check or an error of ours says what is not."""
    folder, expected = whole
    rng = random.Random(f"{SEED} {kind}")
    for number in range(ROUNDS):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy)
        path = rng.choice(sorted(item for item in copy.glob(KINDS[kind]) if item.is_file()))
        data = bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        path.chmod(0o644)
        path.write_bytes(bytes(data))
        context = f"seed {SEED}, round {number}: {path.relative_to(copy)}, byte {at}"
        told, rows = _asked(copy, context)
        assert told or rows == expected, context
        shutil.rmtree(copy)


def _asked(folder: Path, context: str) -> tuple[str, Rows | None]:
    """What the lake says is wrong, and its rows where it gives any."""
    told, rows = "", None
    try:
        with lakecore.open(folder) as lake:
            for ask in (partial(lake.verify, full=True), lambda: _rows(lake)):
                try:
                    found = ask()
                except LakecoreError as error:
                    told += str(error)
                else:
                    if isinstance(found, list):
                        rows = found
                    elif found.status != "green":
                        told += str(found)
    except LakecoreError as error:
        told += str(error)
    except Exception as error:
        raise AssertionError(f"{context}: {error!r}") from error
    return told, rows
