"""A worker that is killed at a planned moment: what the test beside it forks, again and again.

Importing this module imports all that a journal may need, so that a process which is forked
from one that has it begins at once.
"""

from __future__ import annotations

import os
import pkgutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

import datafusion
import polars
import pyarrow.compute
import pyarrow.parquet
from tests.fakes.compaction import use_ranges
from tests.fakes.faulty_store import Fault
from tests.fakes.killing_store import KillingStore
from tests.fault.journal_worker import SETTINGS, Worker

import lakecore.journal
import lakecore.tlog
from lakecore.journal import Journal

RANGES: Final = (64, 6, 8)
"""Small ones, so that a few rounds fill and merge some."""
_MOMENTS: Final = replace(SETTINGS, checkpoint_interval_s=0.2)
_LONGER_THAN_ANY_ROUND_S: Final = 60.0
_READY: Final = (datafusion, polars, pyarrow.compute, pyarrow.parquet)

for _package in (lakecore.journal, lakecore.tlog):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        import_module(_module.name)


@dataclass(frozen=True)
class Plan:
    """What one worker does, and where it ends.

    Attributes:
        said: the file that it appends to what it attempts and what was acknowledged.
        version: of the table, where its commits begin.
        again: prefixes that a worker before it did not hear of: recorded once more.
        write: the number of the write of the store that it is killed at, and how;
            None = at none.
        append: the number of the commit of the hot log that it is killed at, and whether
            that is durable by then; None = at none.
    """

    lake: str
    state: str
    name: str
    seed: int
    tail: str
    said: str
    version: int
    again: tuple[str, ...]
    is_small: bool
    write: tuple[int, Fault] | None = None
    append: tuple[int, bool] | None = None


def work(plan: Plan) -> None:
    """Until it is killed."""
    if plan.is_small:
        use_ranges(*RANGES)
    said = os.open(plan.said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    faults = dict([plan.write] if plan.write is not None else [])
    worker = Worker(
        plan.lake,
        plan.state,
        plan.name,
        plan.seed,
        plan.tail,
        # One call a line: a process is killed before it or after it.
        say=lambda line: os.write(said, f"{line}\n".encode()),
        settings=_MOMENTS,
        version=plan.version,
        wrap=lambda store: KillingStore(store, faults),
    )
    if plan.append is not None:
        _kill_at_append(worker.journal, *plan.append)
    for prefix in plan.again:
        worker.say(worker.again(prefix))
    worker.more = [worker.direct, worker.commit, worker.shared] * 4
    worker.run(_LONGER_THAN_ANY_ROUND_S)


def _kill_at_append(journal: Journal, number: int, is_durable: bool) -> None:
    """End the process right before or after a commit of the hot log."""
    group: Any = journal._hot._group
    commit: Callable[[Any], None] = group._commit
    count = 0

    def counted(entries: Any) -> None:
        nonlocal count
        count += 1
        if count == number and not is_durable:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(entries)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    group._commit = counted
