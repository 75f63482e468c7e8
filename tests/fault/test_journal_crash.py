"""The journal under failing writes; what kills processes is in `test_journal_kills`.

After every fault the journal is opened again, sealed, and asked for four things: every
acknowledged event is there, exactly once; `seq` has no gap; every leaf and root is right;
commits and events match, both ways.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import (
    delta_commit,
    open_journal,
    sample,
    seal_until_done,
    sealed_ids,
    stage,
    target,
)

from lakecore.base import AlreadyExists, LakecoreError
from lakecore.journal import Journal, JournalSettings, read_commit_record
from lakecore.journal._log import parts
from lakecore.storage import Store, open_store

STAGED = JournalSettings(background=False, direct="staged", linger_s=0.0)
HOT = JournalSettings(background=False, direct="hot")


def try_commit(store: Store, journal: Journal, version: int, prefix: str) -> bool:
    """One attempt as a writer makes it; whether it was acknowledged."""
    record = stage(journal, target(version), sample(prefix, 3))
    try:
        store.create(target(version).path, delta_commit(record))
    except AlreadyExists:
        winner = read_commit_record(store.get(target(version).path))
        if winner is None or winner.commit_id != record.commit_id:
            return False
    journal.committed(record.commit_id)
    return True


def work(store: Store, journal: Journal) -> list[str]:
    """Some of everything; the prefixes of what was acknowledged. Errors are the caller's."""
    acknowledged: list[str] = []
    steps: list[Callable[[], object]] = [
        lambda: journal.record_batch(sample("direct-1", 3)),
        lambda: try_commit(store, journal, 0, "commit-0"),
        journal.seal,
        lambda: try_commit(store, journal, 1, "commit-1"),
        lambda: journal.record_batch(sample("direct-2", 3)),
        lambda: try_commit(store, journal, 2, "commit-2"),
        journal.seal,
    ]
    names = ["direct-1", "commit-0", "", "commit-1", "direct-2", "commit-2", ""]
    for name, step in zip(names, steps, strict=True):
        try:
            if step() and name:
                acknowledged.append(name)
        except LakecoreError:
            continue
    return acknowledged


def check(store: Store, journal: Journal, acknowledged: list[str]) -> None:
    """The four things that always hold."""
    seal_until_done(journal)
    found = sealed_ids(journal)
    assert not {name: count for name, count in Counter(found).items() if count > 1}
    expected = {f"{prefix}:{n}" for prefix in acknowledged for n in range(3)}
    assert expected <= set(found)
    report = journal.verify()
    assert (report.status, report.problems) == ("green", [])
    commits = [(o.path, store.get(o.path)) for o in store.list_objects("tables/")]
    complete = journal.completeness(commits)
    assert complete.ok, complete
    assert not complete.pending


def count_writes(settings: JournalSettings, tmp_path: Path) -> int:
    store = FaultyStore(open_store("memory://"))
    with open_journal(store, tmp_path / "count", settings=settings) as journal:
        assert len(work(store, journal)) == 5
    return store.writes


@pytest.mark.parametrize(
    ("settings", "fault", "stays_down"),
    [
        (HOT, Fault.BEFORE, False),
        (HOT, Fault.AFTER, False),
        (HOT, Fault.AFTER, True),
        (STAGED, Fault.BEFORE, True),
        (STAGED, Fault.AFTER, False),
        (STAGED, Fault.BEFORE, False),
        (STAGED, Fault.TEAR, False),
        (STAGED, Fault.SLOW, False),
        (HOT, Fault.TEAR, False),
        (HOT, Fault.SLOW, False),
    ],
    ids=[
        *("hot-failed", "hot-stored", "hot-killed", "staged-killed", "staged-stored"),
        *("staged-failed", "staged-torn", "staged-slow", "hot-torn", "hot-slow"),
    ],
)
def test_every_write_failed_and_failed_but_stored(
    tmp_path: Path,
    settings: JournalSettings,
    fault: Fault,
    stays_down: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each write in turn fails, tears, or is stored with its answer lost; then, or for good."""
    monkeypatch.setattr(parts, "MAX_SEGMENT_BYTES", 1)  # a segment for each part
    for number in range(1, count_writes(settings, tmp_path) + 1):
        inner = open_store("memory://")
        faulty = FaultyStore(inner, {number: fault}, stays_down=stays_down)
        state = tmp_path / f"state-{number}"
        journal = open_journal(faulty, state, settings=settings)
        acknowledged = work(faulty, journal)
        # The process dies here: what it held in memory is gone.
        check(inner, open_journal(inner, state, settings=settings), acknowledged)
        inner.close()


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_another_machine_takes_over(tmp_path: Path, fault: Fault) -> None:
    """What a dead machine committed is sealed by any other one."""
    for number in range(1, 12):
        inner = open_store("memory://")
        faulty = FaultyStore(inner, {number: fault}, stays_down=True)
        acknowledged = work(faulty, open_journal(faulty, tmp_path / f"a{number}", settings=STAGED))
        other = open_journal(inner, tmp_path / f"b{number}", settings=STAGED)
        check(inner, other, acknowledged)
        inner.close()


_SEALER = """
import sys
from pathlib import Path
from lakecore.base import LakecoreError
from lakecore.storage import open_store
from tests.fakes.journals import open_journal, sample, seal_until_done

lake, state, name = sys.argv[1:4]
journal = open_journal(open_store(lake), Path(state))
for turn in range(12):
    journal.record_batch(sample(f"{name}-{turn}", 3))
    seal_until_done(journal)
"""


def test_two_sealing_processes(tmp_path: Path) -> None:
    """Two machines, that is two state directories, seal into one lake at a time."""
    lake = tmp_path / "lake"
    runs = [
        subprocess.Popen([sys.executable, "-c", _SEALER, str(lake), str(tmp_path / n), n])
        for n in ("a", "b")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    store = open_store(str(lake))
    names = [f"{name}-{turn}" for name in "ab" for turn in range(12)]
    check(store, open_journal(store, tmp_path / "c"), names)


def test_a_forked_worker_records(tmp_path: Path) -> None:
    """A journal that was in use before a fork works on both sides of it; the parent seals."""
    store = open_store(str(tmp_path / "lake"))
    settings = JournalSettings(seal_events=5, seal_interval_s=0.01)
    journal = Journal.open(store, tmp_path / "state", settings=settings)
    journal.record_batch(sample("before", 3))
    child = os.fork()
    if child == 0:
        try:
            for turn in range(5):
                journal.record_batch(sample(f"child{turn}", 3))
            journal.close()
            os._exit(0)
        finally:
            os._exit(1)
    for turn in range(5):
        journal.record_batch(sample(f"parent{turn}", 3))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    names = ["before", *(f"{who}{turn}" for who in ("child", "parent") for turn in range(5))]
    check(store, journal, names)
    journal.close()
