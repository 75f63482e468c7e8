"""The hot log: acknowledged means durable, for threads, forks and several processes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.fakes.journals import sample
from tests.golden.generate_hot_log import LOG_ID, LOG_V1, LOG_V2, LOG_V3, events

from lakecore.base import CorruptData, InvalidInput, Unavailable, UnsupportedFormat
from lakecore.journal._hot.batch import ARROW, FEW_EVENTS, ROWS, decode_batches, encode_table
from lakecore.journal._hot.group import Entry
from lakecore.journal._hot.keys import key_of
from lakecore.journal._hot.log import _SCHEMA, FILE, HotLog
from lakecore.journal._hot.meta import FORMAT, _check_of, read_name


def append(log: HotLog, prefix: str, count: int) -> int:
    encoding, data = encode_table(sample(prefix, count))
    return log.append(encoding, count, data)


def name_of(log: HotLog) -> str:
    assert log.log_id is not None
    return log.log_id


def ids(log: HotLog, start: int = 0, end: int | None = None) -> list[str]:
    stop = log.end() if end is None else end
    pieces = [piece.table.column("event_id") for piece in log.read_from(start, stop)]
    return [text for column in pieces for text in column.to_pylist()]


@pytest.mark.parametrize("count", [1, FEW_EVENTS, FEW_EVENTS + 1, 500])
def test_both_encodings_give_the_events_back(count: int) -> None:
    """A few events are rows of JSON, many an Arrow stream; both decode to the same table."""
    table = sample("a", count)
    encoding, data = encode_table(table)
    assert encoding == (ROWS if count <= FEW_EVENTS else ARROW)
    assert decode_batches([(encoding, data), (encoding, data)], where="x").equals(
        pa.concat_tables([table, table])
    )


def test_unknown_encodings_and_columns_are_refused() -> None:
    """What a newer release appended is left for it to seal."""
    with pytest.raises(UnsupportedFormat):
        decode_batches([(9, b"")], where="x")
    with pytest.raises(UnsupportedFormat):
        decode_batches([(ROWS, b'{"columns":["event_id"],"rows":[["a"]]}')], where="x")
    with pytest.raises(CorruptData):
        decode_batches([(ROWS, b'{"columns":')], where="x")
    with pytest.raises(CorruptData):
        decode_batches([(ARROW, b"nothing")], where="x")


def test_offsets_run_on(tmp_path: Path) -> None:
    """Offsets are contiguous, reading starts and ends anywhere, a new opener sees the same."""
    log = HotLog(tmp_path)
    assert (log.log_id, log.end(), ids(log)) == (None, 0, [])
    assert [append(log, "a", 3), append(log, "b", 100), append(log, "c", 1)] == [0, 3, 103]
    assert log.end() == 104
    assert ids(log, 2, 5) == ["a:2", "b:0", "b:1"]
    assert ids(log, 103) == ["c:0"]
    again = HotLog(tmp_path)
    assert (again.log_id, again.end()) == (log.log_id, 104)
    assert ids(again) == ids(log)


def test_the_first_append_beside_a_reader(tmp_path: Path) -> None:
    """A reader that comes before the first append is over sees no log, or all of it."""
    log = HotLog(tmp_path)

    class Raced(sqlite3.Connection):
        """Something is appended after each statement."""

        def execute(self, *args: Any) -> sqlite3.Cursor:
            cursor = super().execute(*args)
            append(log, "raced", 1)
            return cursor

    made = sqlite3.connect(tmp_path / FILE)
    made.executescript(f"PRAGMA journal_mode=WAL; {_SCHEMA}")
    made.close()
    reader = sqlite3.connect(tmp_path / FILE, factory=Raced)
    assert read_name(reader, tmp_path / FILE) in (None, (FORMAT, log.log_id))
    assert read_name(reader, tmp_path / FILE) == (FORMAT, log.log_id)
    reader.close()
    log.close()


def test_forgetting_keeps_the_offset(tmp_path: Path) -> None:
    """Only whole batches below the bound go; the next offset is never given twice."""
    log = HotLog(tmp_path)
    for prefix in "abc":
        append(log, prefix, 10)
    log.forget(15, name_of(log))
    assert ids(log, 15) == [f"b:{n}" for n in range(5, 10)] + [f"c:{n}" for n in range(10)]
    log.forget(30, name_of(log))
    assert log.end() == 30
    assert append(HotLog(tmp_path), "d", 1) == 30
    HotLog(tmp_path / "never").forget(3, "a name")


def test_a_renewed_log_starts_again(tmp_path: Path) -> None:
    """A log from a backup gets another name, so its offsets are not taken for sealed ones."""
    log = HotLog(tmp_path)
    append(log, "a", 5)
    name = log.log_id
    log.renew_if_behind(5, name_of(log))
    assert log.log_id == name
    log.renew_if_behind(6, name_of(log))
    assert log.log_id not in {name, None}
    assert (log.end(), append(log, "b", 1)) == (0, 0)


def test_damage_is_named(tmp_path: Path) -> None:
    """A flipped byte in a batch, a file that is none, a newer format: each is said."""
    log = HotLog(tmp_path)
    append(log, "a", 5)
    log.close()
    with pytest.raises(InvalidInput, match="closed"):
        append(log, "a", 1)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE batch SET data = CAST(replace(data, 'ada', 'bob') AS BLOB)")
    connection.close()
    with pytest.raises(CorruptData, match="damaged"):
        ids(HotLog(tmp_path))
    with sqlite3.connect(tmp_path / FILE) as connection:
        check = _check_of(9, "later")
        connection.execute("UPDATE meta SET format = 9, log_id = 'later', crc = ?", (check,))
    connection.close()
    with pytest.raises(UnsupportedFormat):
        append(HotLog(tmp_path), "b", 1)
    other = tmp_path / "other"
    other.mkdir()
    (other / FILE).write_bytes(b"this is no database" * 100)
    with pytest.raises(CorruptData):
        append(HotLog(other), "b", 1)


def test_a_full_log_pushes_back(tmp_path: Path) -> None:
    """Appends wait for sealing up to a bound; then they say what to do, and store nothing."""
    log = HotLog(tmp_path, max_bytes=1 << 20, timeout_s=0.2)
    big = os.urandom(1 << 20)
    log.append(ROWS, 1, big)
    with pytest.raises(Unavailable, match="no room") as raised:
        log.append(ROWS, 1, big)
    assert raised.value.hint is not None
    end = log.end()
    assert end == 1

    threading.Timer(0.1, lambda: log.forget(end, name_of(log))).start()
    patient = HotLog(tmp_path, max_bytes=2 << 20, timeout_s=10)
    assert patient.append(ROWS, 1, b"small") == end


def test_a_full_queue_pushes_back(tmp_path: Path) -> None:
    """What waits for a commit is bounded in bytes, whoever appends."""
    log = HotLog(tmp_path, max_queue_bytes=1000, timeout_s=0.1)
    append(log, "a", 1)
    with log._database.write():  # a commit that takes its time
        first = threading.Thread(target=lambda: log.append(ROWS, 1, b"x" * 900))
        first.start()
        time.sleep(0.05)
        second = threading.Thread(target=lambda: log.append(ROWS, 1, b"x" * 900))
        second.start()
        time.sleep(0.05)
        with pytest.raises(Unavailable, match="no room"):
            log.append(ROWS, 1, b"x" * 900)
    first.join()
    second.join()


def test_threads_share_commits(tmp_path: Path) -> None:
    """64 threads: every append gets its own offsets, and none is lost."""
    log = HotLog(tmp_path)
    offsets: list[int] = []

    def work(name: int) -> None:
        offsets.extend([append(log, f"{name}-{turn}", 1) for turn in range(5)])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(offsets) == list(range(320))
    assert len(set(ids(log))) == 320


def test_a_failed_commit_reaches_every_thread(tmp_path: Path) -> None:
    """Nobody is acknowledged by a commit that failed, and the next one works."""
    log = HotLog(tmp_path)
    append(log, "a", 1)
    commit = log._group._commit
    errors: list[BaseException] = []

    def failing(group: object) -> None:
        time.sleep(0.02)
        raise Unavailable("the disk says no")

    def work() -> None:
        try:
            append(log, "b", 1)
        except Unavailable as error:
            errors.append(error)

    log._group._commit = failing
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log._group._commit = commit
    assert len(errors) == 8
    assert append(log, "c", 1) == 1


def test_a_forked_child_appends(tmp_path: Path) -> None:
    """Parent and child go on after a fork, each with connections of its own."""
    log = HotLog(tmp_path)
    append(log, "before", 1)
    child = os.fork()
    if child == 0:
        try:
            for turn in range(20):
                append(log, f"child{turn}", 1)
            os._exit(0)
        finally:
            os._exit(1)
    for turn in range(20):
        append(log, f"parent{turn}", 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(set(ids(log))) == 41


_PROCESS = """
import sys
from pathlib import Path
from lakecore.journal._hot.batch import encode_table
from lakecore.journal._hot.log import HotLog
from tests.fakes.journals import sample

log = HotLog(Path(sys.argv[1]))
for turn in range(50):
    encoding, data = encode_table(sample(f"{sys.argv[2]}-{turn}", 2))
    print(log.append(encoding, 2, data), flush=True)
"""


def test_processes_share_the_log(tmp_path: Path) -> None:
    """Three processes append at a time: offsets are unique and everything is there."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(tmp_path), str(name)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in range(3)
    ]
    offsets = [int(line) for run in runs for line in run.communicate()[0].split()]
    assert sorted(offsets) == list(range(0, 300, 2))
    assert len(set(ids(HotLog(tmp_path)))) == 300


def test_small_batches_of_a_group_share_rows(tmp_path: Path) -> None:
    """In order, each at its own offset, with the marks of supplied ids; a repeated one is not
    stored again, a large batch has a row of its own."""
    log = HotLog(tmp_path)
    group: list[Entry] = []
    for number in range(100):
        prefix, count = f"e{number}", 40 if number == 50 else 1 + number % 2
        encoding, data = encode_table(sample(prefix, count))
        is_supplied = number in (3, 70, 71)
        keys = key_of(prefix) + bytes(16 * (count - 1)) if is_supplied else b""
        group.append(Entry(encoding, count, data, keys))
    repeated = group[3]
    group.insert(60, Entry(repeated.encoding, repeated.count, repeated.data, repeated.keys))
    log._commit(group)
    assert group.pop(60).found == {0: group[3].offset}
    pieces = list(log.read_from(0, log.end()))
    assert ids(log) == [
        f"e{number}:{row}" for number, entry in enumerate(group) for row in range(entry.count)
    ]
    assert [entry.offset for entry in group] == [
        sum(before.count for before in group[:number]) for number in range(100)
    ]
    marks = [piece.supplied for piece in pieces]
    assert marks[0] is not None
    assert marks[0].nonzero()[0].tolist() == [group[at].offset for at in (3, 70, 71)]
    (row_count,) = sqlite3.connect(tmp_path / FILE).execute("SELECT count(*) FROM batch").fetchone()
    assert row_count == 3
    assert log.append_once(Entry(repeated.encoding, 2, repeated.data, repeated.keys)) == {
        0: group[3].offset
    }
    log.close()


def test_a_log_of_format_1_is_extended(tmp_path: Path) -> None:
    """It is read as it is; the first append adds what it lacks, and keeps its events and name."""
    shutil.copy(LOG_V1, tmp_path / FILE)
    log = HotLog(tmp_path)
    before = ids(log)
    assert (log.log_id, before) == (LOG_ID, ["a:0", "a:1", *(f"b:{n}" for n in range(40))])
    assert all(piece.supplied is None for piece in log.read_from(0, 42))
    log.close()
    log = HotLog(tmp_path)
    encoding, data = encode_table(sample("c", 1))
    assert log.append_once(Entry(encoding, 1, data, key_of("c:0"))) == {}
    assert log.append_once(Entry(encoding, 1, data, key_of("c:0"))) == {0: 42}
    assert (log.log_id, ids(log)) == (LOG_ID, [*before, "c:0"])
    (piece,) = log.read_from(0, 43)
    assert piece.supplied is not None
    assert piece.supplied.nonzero()[0].tolist() == [42]
    log.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT format FROM meta").fetchone() == (3,)
    connection.close()


@pytest.mark.parametrize("file", [LOG_V2, LOG_V3], ids=["v2", "v3"])
def test_the_stored_logs_of_later_formats(tmp_path: Path, file: Path) -> None:
    """Events and marks of the golden files are read as they were written."""
    shutil.copy(file, tmp_path / FILE)
    log = HotLog(tmp_path)
    assert log.log_id == LOG_ID
    (piece,) = log.read_from(0, log.end())
    assert piece.table.equals(events())
    assert piece.supplied is not None
    assert piece.supplied.tolist() == [False, False, *([True, False] * 20)]
    log.close()
