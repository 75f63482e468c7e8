"""One of several machines that use one lake in a bucket; see the test beside it.

It says what it is about to do, and that it is done, a line each, so that a reader knows what
must be there, and what may be, however this process ends.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import lakecore
from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.base import Retry
from lakecore.config import Settings
from lakecore.storage import open_store

ROWS: Final = 20
EVENTS: Final = 25
ABOUT: Final = "?"
DONE: Final = "+"
WRONG: Final = "!"


def open_machine(uri: str, options: dict[str, str], state: Path, *, create: bool = False) -> Lake:
    """A machine of its own: its state directory is nobody else's."""
    store = open_store(uri, options=options)
    parts = Components(store, Settings(), create=create, state_dir=state)
    return Lake(parts, actor=state.name)


class Worker:
    """Random steps until it is told to stop."""

    def __init__(self, lake: Lake, name: str, seed: int, folder: Path) -> None:
        self._lake = lake
        self._name = name
        self._chance = random.Random(seed)
        self._folder = folder
        self._acknowledged = 0
        self._value = 0

    def run(self, stop: Path, give_up_at: float) -> None:
        """Go on until there is a file `stop`."""
        number = 0
        while not stop.exists() and time.monotonic() < give_up_at:
            step = self._chance.choices(
                [self._ingest, self._record, self._change, self._seal, self._ask],
                [3, 3, 2, 1, 1],
            )[0]
            number += 1
            try:
                step(f"{self._name}-{number}")
            except Retry as error:
                print(f"~ {type(error).__name__} {error}", flush=True)  # no promise was made

    def _say(self, mark: str, kind: str, *about: object) -> None:
        print(mark, kind, *about, flush=True)

    def _promised(self, kind: str, prefix: str, act: Callable[[], object], *more: object) -> None:
        self._say(ABOUT, kind, prefix, *more)
        act()
        self._say(DONE, kind, prefix, *more)

    def _ingest(self, prefix: str) -> None:
        file = self._folder / f"{prefix}.csv"
        lines = [f"{prefix}:{n},{n}" for n in range(ROWS)]
        file.write_text("\n".join(["id,n", *lines, ""]))
        self._promised(
            "rows", prefix, lambda: self._lake.ingest(file, dataset="orders", key=["id"])
        )
        self._acknowledged += ROWS

    def _record(self, prefix: str) -> None:
        events: list[Any] = [
            {
                "entity_type": "note",
                "entity_id": f"{prefix}:{n}",
                "action": "say",
                "event_id": f"{prefix}:{n}",
            }
            for n in range(EVENTS)
        ]
        self._promised("events", prefix, lambda: self._lake.journal.record_many(events))

    def _change(self, prefix: str) -> None:
        self._value += 1
        row = {"id": f"own:{self._name}", "n": self._value}
        self._promised("value", prefix, lambda: self._lake.upsert("orders", [row]), self._value)

    def _seal(self, prefix: str) -> None:
        del prefix
        self._lake.journal.seal()

    def _ask(self, prefix: str) -> None:
        del prefix
        mine = f"id like '{self._name}-%'"
        [row] = self._lake.sql(f"select count(*) as n from orders where {mine}").to_pylist()
        if row["n"] < self._acknowledged:
            self._say(WRONG, "short", row["n"], self._acknowledged)


def main(given: str) -> None:
    """Work as the JSON object says."""
    about = json.loads(given)
    state = Path(about["state"])
    with open_machine(about["uri"], about["options"], state) as lake:
        print("ready", lakecore.__version__, flush=True)
        worker = Worker(lake, about["name"], about["seed"], state)
        worker.run(Path(about["stop"]), time.monotonic() + about["seconds"])
