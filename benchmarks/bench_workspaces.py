"""Workspaces: making one, whatever the rows; merging changed rows, against the change itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from benchmarks.bench_changes import Ours
from benchmarks.pairs import Prepare, Result, compare
from lakecore import Sql

ROWS = 500_000
CHANGED = 100_000
SMALL = 1_000
_names = count(1)


def run(_: Path) -> list[Result]:
    """All of them; prints a line for each."""
    with tempfile.TemporaryDirectory() as temp:
        ours = Ours(Path(temp) / "lake", ROWS)
        small = Ours(Path(temp) / "small", SMALL)
        results = [
            compare(
                f"a workspace over {ROWS:,} rows",
                _creation(ours),
                _creation(small),
                peer_name=f"over {SMALL:,} rows",
            ),
            compare(
                f"merging {CHANGED:,} changed rows of {ROWS:,}",
                _merge(ours),
                _update(ours),
                peer_name="the update itself",
            ),
        ]
        ours.lake.close()
        small.lake.close()
    return results


def _creation(ours: Ours) -> Prepare:
    def prepare() -> Callable[[], object]:
        return lambda: ours.lake.create_workspace(f"w{next(_names)}")

    return prepare


def _where() -> str:
    return f"id % {ROWS // CHANGED} = 0"


def _update(ours: Ours) -> Prepare:
    def prepare() -> Callable[[], object]:
        ours.quiet()
        change = {"amount": Sql("amount + 1")}
        return lambda: ours.lake.update("main.orders", set=change, where=_where())

    return prepare


def _merge(ours: Ours) -> Prepare:
    def prepare() -> Callable[[], object]:
        workspace = ours.lake.create_workspace(f"w{next(_names)}")
        workspace.update("main.orders", set={"amount": Sql("amount + 1")}, where=_where())
        # Main goes on meanwhile: a merge has two sides.
        ours.lake.update("main.orders", set={"quantity": Sql("quantity + 1")}, where="id < 1000")
        ours.quiet()

        def run() -> None:
            (one,) = workspace.merge().datasets
            assert one.updated == CHANGED, one

        return run

    return prepare
