"""Records: durable when acknowledged, in the lake once, bounded, and nobody held up by poison."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.records.conftest import SCHEMA, STEPS, Parts, some

from lakecore.base import (
    InvalidInput,
    NotFound,
    TooManyRequests,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.journal import Author
from lakecore.records import Appended, Recorder, RecordKind
from lakecore.records._recorder import FEW_ROWS, TRICKLE, next_wait_s
from lakecore.tables import AddColumn, DropColumn


def test_one_commit_a_flush(parts: Parts) -> None:
    """Many appends become one version, journaled by one event, in Lakecore's name."""
    recorder = parts.recorder()
    for number in range(20):
        assert recorder.append("steps", some(number)) == Appended(1)
    recorder.append("system.notes", some(1))
    assert parts.catalog.find("system.steps") is None
    recorder.flush()
    assert parts.numbers() == list(range(20))
    assert parts.version() == 0
    events = parts.journal.query(dataset="system.steps").items
    assert [(event.action, event.actor, event.source) for event in events] == [
        ("insert", "lakecore", "records")
    ]
    recorder.flush()
    assert parts.version() == 0
    assert recorder.stats()["waiting_rows"] == 0


def test_a_flush_ends(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while a flush is under way is the next one's: one commit a flush."""
    recorder = parts.recorder()
    append = parts.tables.append
    more = iter(range(100, 200))

    def busy(*arguments: Any, **options: Any) -> Any:
        recorder.append("steps", some(next(more)))
        return append(*arguments, **options)

    monkeypatch.setattr(parts.tables, "append", busy)
    recorder.append("steps", some(1))
    recorder.flush()
    assert (parts.numbers(), parts.version()) == ([1], 0)
    recorder.flush()
    assert (parts.numbers(), parts.version()) == ([1, 100], 1)


def test_what_a_dataset_is(parts: Parts) -> None:
    """The first flush registers it with its description; its versions are kept for a day."""
    recorder = parts.recorder()
    recorder.append("steps", some(1))
    recorder.flush()
    dataset = parts.catalog.get("system.steps")
    assert (dataset.description, dataset.entity_type) == ("Steps of a test.", "steps")
    assert (dataset.key, dataset.retention_days) == ((), 1.0)


def test_nothing_is_nothing(parts: Parts) -> None:
    """No rows make no file; an unknown kind and a wrong number of ids are refused."""
    recorder = parts.recorder()
    assert recorder.append("steps", []) == Appended(0)
    recorder.flush()
    assert not (parts.folder / ".local/records.sqlite").exists()
    with pytest.raises(NotFound, match="steps"):
        recorder.append("stairs", some(1))
    with pytest.raises(InvalidInput, match="as many"):
        recorder.append("steps", some(1), ids=["a", "b"])
    recorder.flush("stairs")


def test_acknowledged_is_durable(parts: Parts) -> None:
    """A process that ends without a word leaves its records to the next one."""
    parts.recorder().append("steps", some(1, 2))
    after = parts.recorder()
    after.append("steps", some(3))
    after.flush("steps")
    assert parts.numbers() == [1, 2, 3]


def test_flushes_by_itself(parts: Parts) -> None:
    """Within the interval, in the background."""
    recorder = parts.recorder(interval_s=0.05)
    recorder.append("steps", some(1))
    _until(lambda: parts.numbers() == [1])
    recorder.append("steps", some(2))
    _until(lambda: parts.numbers() == [1, 2])


def test_a_trickle_is_gathered() -> None:
    """A day of single records makes some 1,400 versions of its table, and not 17,280."""
    waits = [5.0]
    while sum(waits) < 86_400:
        waits.append(next_wait_s(5.0, waits[-1], rows=1))
    assert max(waits) == 5.0 * TRICKLE
    assert len(waits) < 1_450
    assert next_wait_s(5.0, waits[-1], rows=FEW_ROWS) == 5.0


def test_start_takes_what_was_left(parts: Parts) -> None:
    """A process that lives long flushes what a dead one has left, without an append."""
    parts.recorder().append("steps", some(1))
    parts.recorder(interval_s=0.05).start()
    _until(lambda: parts.numbers() == [1])


def test_close_flushes(parts: Parts) -> None:
    """Closing puts everything into the lake."""
    recorder = parts.recorder()
    recorder.append("steps", some(1))
    recorder.close()
    assert parts.numbers() == [1]


def test_threads_share_commits(parts: Parts) -> None:
    """Many threads at a time: each record is there once."""
    recorder = parts.recorder(interval_s=0.1)

    def work(thread: int) -> None:
        for number in range(50):
            recorder.append("steps", some(thread * 1_000 + number))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.flush()
    assert parts.numbers() == sorted(t * 1_000 + n for t in range(8) for n in range(50))


def test_the_same_id_is_kept_once(parts: Parts) -> None:
    """By whichever process, in whichever append, before and after a flush."""
    one, other = parts.recorder(), parts.recorder()
    assert one.append("steps", some(1, 2), ids=["a", "b"]) == Appended(2)
    assert other.append("steps", some(2, 3, 3), ids=["b", "c", "c"]) == Appended(1, 2)
    one.flush()
    assert one.append("steps", some(1, 4), ids=["a", "d"]) == Appended(1, 1)
    assert one.append("steps", some(1), ids=["a"]) == Appended(0, 1)
    # Of another kind it is another id.
    assert one.append("notes", some(1), ids=["a"]) == Appended(1)
    other.flush()
    assert parts.numbers() == [1, 2, 3, 4]


def test_ids_are_remembered_up_to_a_bound(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, in memory and in the file."""
    recorder = parts.recorder()
    monkeypatch.setattr(recorder._spool._seen, "_limit", 3)
    for number in range(6):
        recorder.append("steps", some(number), ids=[f"id-{number}"])
    assert recorder.append("steps", some(9), ids=["id-5"]).duplicates == 1
    assert recorder.append("steps", some(0), ids=["id-0"]).duplicates == 0
    with sqlite3.connect(parts.folder / ".local/records.sqlite") as database:
        assert database.execute("select count(*) from seen").fetchone()[0] <= 4


def _fill(recorder: Recorder, name: str) -> int:
    """Append until there is no room; how many rows were taken."""
    for number in range(1_000):
        try:
            recorder.append(name, [{"n": number, "run": os.urandom(8_000).hex()}])
        except TooManyRequests:
            return number
    raise AssertionError("there is room for everything")


@pytest.fixture
def away(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The store is away until this is undone."""

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(parts.tables, "append", refuse)
        yield patch


def test_no_room(parts: Parts, away: pytest.MonkeyPatch) -> None:
    """Beyond the bound: refused with a wait, or dropped and counted; after a flush it goes on."""
    recorder = parts.recorder(max_bytes=1 << 20)
    taken = _fill(recorder, "steps")
    with pytest.raises(TooManyRequests, match="no room for more records") as full:
        recorder.append("steps", some(1))
    assert full.value.retry_after_s >= 1
    assert recorder.append("steps", some(1, 2), on_full="drop") == Appended(0, 0, 2)
    assert recorder.stats()["dropped"] == {"steps": 2}
    away.undo()
    recorder.flush()
    assert recorder.append("steps", some(-1)) == Appended(1)
    recorder.flush()
    assert parts.numbers() == [-1, *range(taken)]


def test_a_flood_leaves_room_for_others(parts: Parts, away: pytest.MonkeyPatch) -> None:
    """A kind with a share is refused where others are still taken."""
    recorder = parts.recorder(max_bytes=1 << 20)
    _fill(recorder, "few")
    assert recorder.append("steps", some(1)) == Appended(1)
    away.undo()


def test_a_flush_that_fails_loses_nothing(parts: Parts, away: pytest.MonkeyPatch) -> None:
    """While the store is away records are acknowledged; when it is back they get in once."""
    recorder = parts.recorder()
    recorder.append("steps", some(1))
    with pytest.raises(Unavailable):
        recorder.flush()
    recorder.append("steps", some(2))
    away.undo()
    recorder.flush()
    assert parts.numbers() == [1, 2]


def test_older_and_newer_columns(parts: Parts) -> None:
    """A newer release adds a column; an older process beside it passes its records on."""
    old = parts.recorder()
    schema = SCHEMA.append(pa.field("more", pa.string()))
    new = parts.recorder(kinds=[RecordKind("steps", schema, description="")])
    old.append("steps", some(1))
    new.append("steps", [{"n": 2, "more": "x"}])
    old.flush()
    old.append("steps", some(3))
    old.flush()
    assert [row["more"] for row in parts.rows()] == [None, "x", None]


def test_kinds_of_another_release(parts: Parts) -> None:
    """What another release has appended gets in, although this one does not know the kind."""
    other = RecordKind("stairs", SCHEMA, description="Of another release.")
    parts.recorder(kinds=[other]).append("stairs", some(1))
    parts.recorder().flush()
    assert parts.numbers("stairs") == [1]


def test_poison_is_put_aside(parts: Parts) -> None:
    """Records that their table does not take hold nobody up, and wait for the cause to go."""
    recorder = parts.recorder()
    recorder.append("steps", some(1))
    recorder.flush()
    home = parts.catalog.get("system.steps")
    other = SCHEMA.append(pa.field("odd", pa.int64()))
    strange = parts.recorder(kinds=[RecordKind("steps", other, description="")])
    parts.tables.alter_columns(home, [AddColumn("odd", "date")], author=Author(actor="ada"))
    recorder.append("steps", some(2))
    strange.append("steps", [{"n": 3, "odd": 7}])
    recorder.append("steps", some(4))
    recorder.append("notes", some(5))
    recorder.flush()
    assert (parts.numbers(), parts.numbers("notes")) == ([1, 2, 4], [5])
    assert recorder.stats()["refused_rows"] == 1
    assert recorder.stats()["waiting_rows"] == 0
    recorder.append("steps", some(6))
    recorder.flush()
    assert parts.numbers() == [1, 2, 4, 6]
    parts.tables.alter_columns(home, [DropColumn("odd")], author=Author(actor="ada"))
    assert recorder._spool.retry_refused() == 1
    recorder.flush()
    assert parts.numbers() == [1, 2, 3, 4, 6]
    assert recorder.stats()["refused_rows"] == 0


def test_too_much_poison(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that refuses more and more gets no more records; the others do."""
    recorder = parts.recorder(max_bytes=1 << 20)

    def picky(*_: Any, **__: Any) -> None:
        raise InvalidInput("not these")

    with monkeypatch.context() as patch:
        patch.setattr(parts.tables, "append", picky)
        for number in range(20):
            recorder.append("steps", [{"n": number, "run": os.urandom(8_000).hex()}])
        recorder.flush()
    assert recorder.stats()["refused_rows"] == 20
    with pytest.raises(Unavailable, match="does not take"):
        recorder.append("steps", some(1))
    assert recorder.append("notes", some(1)) == Appended(1)


def test_a_damaged_batch_is_put_aside(parts: Parts) -> None:
    """A changed byte in the spool is noticed by its CRC; the others get in."""
    recorder = parts.recorder()
    for number in range(3):
        recorder.append("steps", some(number))
    with sqlite3.connect(parts.folder / ".local/records.sqlite") as database:
        (number,) = database.execute("select number from batch order by number limit 1").fetchone()
        database.execute("update batch set data = zeroblob(9) where number = ?", (number,))
    database.close()
    recorder.flush()
    assert parts.numbers() == [1, 2]
    assert recorder.stats()["refused_rows"] == 1


def test_numbers_outlive_an_older_copy(parts: Parts) -> None:
    """An older copy of the spool is put back: what is in stays once, what comes gets in."""
    recorder = parts.recorder()
    recorder.append("steps", some(1))
    recorder.close()
    recorder = parts.recorder()
    recorder.append("steps", some(2))
    with sqlite3.connect(parts.folder / ".local/records.sqlite") as database:
        database.execute("pragma wal_checkpoint(truncate)")
    database.close()
    copy = (parts.folder / ".local/records.sqlite").read_bytes()
    recorder.flush()
    parts.clock.advance(1_000_000)
    recorder.append("steps", some(3))
    recorder.close()
    for path in (parts.folder / ".local").glob("records.sqlite-*"):
        path.unlink()
    (parts.folder / ".local/records.sqlite").write_bytes(copy)
    parts.clock.advance(1_000_000)
    recorder = parts.recorder()
    recorder.append("steps", some(4))
    recorder.flush()
    assert parts.numbers() == [1, 2, 3, 4]


def test_a_newer_format_is_refused(parts: Parts) -> None:
    """Nothing is written into a spool of a format that is not known."""
    parts.recorder().append("steps", some(1))
    with sqlite3.connect(parts.folder / ".local/records.sqlite") as database:
        database.execute("update meta set format = 2")
    database.close()
    with pytest.raises(UnsupportedFormat):
        parts.recorder().append("steps", some(1))
    with sqlite3.connect(parts.folder / ".local/records.sqlite") as database:
        database.execute("update meta set format = 1")
    database.close()


def test_several_machines(parts: Parts) -> None:
    """Spools of several machines, one lake, flushed at the same time: each record once."""
    machines = [parts.recorder(state=f"machine-{n}") for n in range(4)]

    def work(at: int, recorder: Recorder) -> None:
        for number in range(5):
            recorder.append("steps", some(at * 100 + number))
            recorder.flush()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(machines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parts.numbers() == sorted(a * 100 + n for a in range(4) for n in range(5))


def test_rows_expire(parts: Parts) -> None:
    """Rows older than their kind keeps them go in one change; not for every hour that passes."""
    from lakecore.base import SystemClock
    from lakecore.maintain import Maintainer
    from lakecore.records import Expiry
    from lakecore.tables import Upkeep

    day_us = 86_400_000_000
    now_us = parts.clock.now_us()
    recorder = parts.recorder()
    rows = [{"n": age, "time": now_us - age * day_us} for age in (1, 9, 11, 30)]
    recorder.append("steps", rows)
    recorder.append("notes", rows)
    recorder.flush()
    upkeep = Upkeep(parts.tables)
    maintainer = Maintainer(
        parts.store,
        parts.journal,
        parts.catalog,
        upkeep,
        clock=SystemClock(),
        unjournaled=lambda _: (),
        expiry=Expiry(parts.tables, upkeep, parts.clock, recorder.find),
    )
    planned = maintainer.run(author=Author(actor="ada"), dry_run=True)
    done = maintainer.run(author=Author(actor="ada"))
    steps = [(step.dataset, step.outcome) for step in done.steps if step.action == "expire"]
    assert steps == [("system.steps", "done")]
    assert [step.outcome for step in planned.steps if step.action == "expire"] == ["planned"]
    assert (parts.numbers(), parts.numbers("notes")) == ([1, 9], [1, 9, 11, 30])
    parts.clock.advance(day_us * 11 // 10)
    again = maintainer.run(author=Author(actor="ada"))
    assert not [step for step in again.steps if step.action == "expire"]


def test_only_what_waits_is_flushed(parts: Parts) -> None:
    """A flush of one kind leaves the others waiting."""
    recorder = parts.recorder()
    recorder.append("steps", some(1))
    recorder.append("notes", some(1))
    recorder.flush("steps")
    assert [part["dataset"] for part in recorder._spool.stats()] == ["system.notes"]
    assert STEPS.dataset == "system.steps"


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
