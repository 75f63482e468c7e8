"""Changes that are made to wait for each other, so that they are taken as one group."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.unit.tables.conftest import Lake, as_table

from lakecore.journal import Author
from lakecore.tables import Tables, TableSettings

_PATIENCE_S = 60.0


class Hold:
    """Keeps the first change at a step until told; counts the steps of all."""

    def __init__(self, on_step: Callable[[str], None] | None) -> None:
        self._on_step = on_step
        self.steps: list[str] = []
        self.released = threading.Event()
        self.reached = threading.Event()

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if step == "planned" and not self.reached.is_set():
            self.reached.set()
            assert self.released.wait(_PATIENCE_S)
        elif self._on_step is not None:
            self._on_step(step)


def upsert(lake: Lake, rows: Any, actor: str = "ada", **options: Any) -> Callable[[], Any]:
    """An upsert by somebody, to be made later."""
    author = Author(actor=actor, reason=f"because {actor}", context={"by": actor})
    return lambda: lake.tables.upsert(lake.dataset, as_table(rows), author=author, **options)


def together(
    lake: Lake,
    changes: Sequence[Callable[[], Any]],
    *,
    gate: Any = None,
    on_step: Callable[[str], None] | None = None,
) -> tuple[list[Any], list[str]]:
    """Results or errors of changes that wait, in this order, behind another; and their steps.

    The other is a dry run: the changes begin on the table as it was. `on_step` is called with
    the steps that follow its plan.
    """
    hold = Hold(on_step)
    lake.tables = Tables(
        lake.store, lake.journal, lake.clock, TableSettings(on_step=hold, retry_wait_s=0.0), gate
    )
    outcomes: list[Any] = [None] * len(changes)

    def run(position: int) -> None:
        try:
            outcomes[position] = changes[position]()
        except Exception as error:
            outcomes[position] = error

    first = threading.Thread(target=lambda: lake.upsert({"id": [0]}, dry_run=True))
    first.start()
    assert hold.reached.wait(_PATIENCE_S)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(changes))]
    queue = lake.tables._committer._queues[lake.dataset.location]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        deadline = time.monotonic() + _PATIENCE_S
        # The one that is held was taken out when it began.
        while len(queue._waiting) < number and thread.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.001)
    hold.steps.clear()
    hold.released.set()
    for thread in (first, *threads):
        thread.join(_PATIENCE_S)
        assert not thread.is_alive()
    return outcomes, hold.steps
