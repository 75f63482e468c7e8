"""Supplied ids when processes are killed, writes fail, and machines share a bucket."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import open_journal, seal_until_done
from tests.servers import BUCKET, s3_options

from lakecore.base import InvalidInput, LakecoreError
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import open_store

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "3"))
HOT = JournalSettings(background=False, direct="hot")
STAGED = JournalSettings(background=False, direct="staged", linger_s=0.0)

_WORKER = """
import sys
from pathlib import Path
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import open_store
root, seed = Path(sys.argv[1]), int(sys.argv[2])
journal = Journal.open(open_store(str(root / "lake")), root / "state",
                       settings=JournalSettings(background=False))
for start in range(0, 100_000, 4):
    journal.record_many([
        dict(event_id=f"e{n}", entity_type="t", entity_id="x", action="a", actor="ada")
        for n in range(start, start + 8)])
    print(start + 8, flush=True)
    if start % (20 + seed) == 0:
        journal.seal()
"""


def change(event_id: str, **more: object) -> dict[str, object]:
    return {"event_id": event_id, "entity_type": "t", "entity_id": "x", "action": "a"} | more


def counts(journal: Journal) -> Counter[str]:
    return Counter(journal.scan(["event_id"]).read_all().column("event_id").to_pylist())


def test_killed_writers_deliver_again(tmp_path: Path) -> None:
    """Processes are killed anywhere and start over: everything acknowledged is there once."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged = 0
    for number in range(ROUNDS):
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", _WORKER, str(tmp_path), str(number * 2 + which)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for which in range(2)
        ]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline()
        time.sleep(chance.uniform(0.1, 1.0))
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
        for worker in workers:
            lines = worker.communicate()[0].split()
            acknowledged = max([acknowledged, *map(int, lines)])
    with open_journal(open_store(str(tmp_path / "lake")), tmp_path / "state") as journal:
        journal.seal()
        found = counts(journal)
        assert set(found.values()) == {1}
        assert {f"e{n}" for n in range(acknowledged)} <= set(found)
        assert journal.stats()["duplicate_ids"] == 0
        assert journal.verify().status == "green"


@pytest.mark.parametrize("settings", [HOT, STAGED], ids=["hot", "staged"])
@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_delivered_until_it_is_acknowledged(
    tmp_path: Path, settings: JournalSettings, fault: Fault
) -> None:
    """Each write fails in turn, stored or not; the caller repeats, and has each event once."""
    for number in range(1, 7):
        store = FaultyStore(open_store("memory://"), {number: fault})
        with open_journal(store, tmp_path / f"{number}", settings=settings) as journal:
            for start in range(0, 12, 3):
                rows = [change(f"e{n}") for n in range(start, start + 5)]
                for _ in range(3):
                    try:
                        journal.record_many(rows)
                    except LakecoreError:
                        continue
                    break
                if start == 6:
                    seal_until_done(journal)
            seal_until_done(journal)
            assert counts(journal) == Counter(f"e{n}" for n in range(14))


def test_two_machines_on_s3(tmp_path: Path, s3_endpoint: str) -> None:
    """What one staged or sealed the other acknowledges again, or refuses."""
    uri, options = f"s3://{BUCKET}/idempotent", s3_options(s3_endpoint)
    one, two = (
        open_journal(open_store(uri, options=options), tmp_path / name, settings=STAGED)
        for name in ("one", "two")
    )
    one.record_many([change("a", actor="ada"), change("b")])
    assert two.record_many([change("a"), change("c")]) == ["a", "c"]
    with pytest.raises(InvalidInput, match="field actor"):
        two.record_many([change("d"), change("a", actor="bob")])
    two.seal()
    assert one.record_many([change("c"), change("b"), change("e")]) == ["c", "b", "e"]
    with pytest.raises(InvalidInput, match="field actor"):
        one.record(change("c", actor="bob"))
    one.seal()
    assert counts(two) == Counter("abce")
    assert two.stats()["duplicate_ids"] == 0
    assert two.verify().status == "green"
    one.close()
    two.close()
