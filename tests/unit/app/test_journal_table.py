"""`system.journal`: columns and conditions pushed down, and no row lost to compaction."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.fakes.compaction import seal_pieces, small_ranges
from tests.fakes.journals import open_journal, sample

from lakecore.app._journal_table import journal_table
from lakecore.base import Unavailable
from lakecore.journal import Journal, scan_schema
from lakecore.query import Guarded, ParquetFiles, QueryEngine, QuerySettings
from lakecore.storage import Store, open_store


class Remote:
    """A store on this disk that says it is elsewhere, and counts what it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads: list[str] = []
        self.lengths: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def local_path(self, path: str) -> None:
        return None

    def get_range(self, path: str, start: int, length: int) -> bytes:
        self.reads.append(path)
        self.lengths.append(length)
        return self._store.get_range(path, start, length)


class Source:
    """`system.journal` of one journal alone."""

    def __init__(self, store: Any, journal: Journal) -> None:
        self.store, self.journal = store, journal
        self.on_table: Callable[[], None] = lambda: None

    def schemas(self) -> list[str]:
        return ["system"]

    def tables(self, schema: str) -> list[str]:
        return ["journal"] if schema == "system" else []

    def table(self, schema: str, name: str, *, version: Any = None, time: Any = None) -> Any:
        found = journal_table(self.store, self.journal) if schema == "system" else None
        self.on_table()
        return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A lake on the disk."""
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Iterator[Journal]:
    """Six segments of 100 events, a minute each, one actor each; and 5 unsealed events."""
    with open_journal(store, tmp_path / "state") as journal:
        for number in range(6):
            events = sample(f"s{number}", 100)
            shift = pa.scalar(number * 60_000_000, pa.duration("us"))
            at = events.schema.get_field_index("timestamp")
            moved = pc.add(events.column("timestamp"), shift)
            events = events.set_column(at, events.schema.field(at), moved)
            journal.record_batch(events)
            journal.seal()
        journal.record_batch(sample("hot", 5))
        yield journal


@pytest.fixture(params=["local", "remote"])
def source(request: pytest.FixtureRequest, store: Store, journal: Journal) -> Source:
    """The table over files of this disk, and over a store that is elsewhere."""
    return Source(Remote(store) if request.param == "remote" else store, journal)


@pytest.fixture
def engine(source: Source, tmp_path: Path) -> Iterator[QueryEngine]:
    """An engine over the journal."""
    with QueryEngine(source, QuerySettings(spill_directory=tmp_path / "spill")) as engine:
        yield engine


MINUTE = "timestamp >= '2026-01-01T00:03:00Z' and timestamp < '2026-01-01T00:04:00Z'"


def test_the_events_are_those_of_the_scan(engine: QueryEngine, journal: Journal) -> None:
    """All of them, sealed and unsealed, in the columns of an event and no other."""
    found = engine.sql("select * from system.journal").to_arrow()
    assert found.schema.names == scan_schema().names
    key = [("event_id", "ascending")]
    expected = journal.scan().read_all().sort_by(key)
    assert found.cast(scan_schema()).sort_by(key).equals(expected)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select count(*) n from system.journal", [{"n": 605}]),
        ("select count(seq) n, max(seq) m from system.journal", [{"n": 600, "m": 599}]),
        (f"select count(*) n from system.journal where {MINUTE}", [{"n": 100}]),
        ("select event_id from system.journal where seq = 250", [{"event_id": "s2:50"}]),
        ("select count(*) n from system.journal where seq is null", [{"n": 5}]),
        (
            "select seq from system.journal where seq is not null order by seq desc limit 2",
            [{"seq": 599}, {"seq": 598}],
        ),
        ("select seq from system.journal order by seq limit 1", [{"seq": 0}]),
        (
            "select count(*) n from system.journal a join system.journal b using (event_id)",
            [{"n": 605}],
        ),
    ],
)
def test_questions(engine: QueryEngine, query: str, rows: list[dict[str, Any]]) -> None:
    """Conditions, order, and the table twice."""
    assert engine.sql(query).to_pylist() == rows


def test_an_empty_journal(tmp_path: Path) -> None:
    """Its columns and no rows."""
    store = open_store("memory://")
    with (
        open_journal(store, tmp_path / "state") as journal,
        QueryEngine(Source(store, journal)) as engine,
    ):
        found = engine.sql("select * from system.journal").to_arrow()
        assert (found.num_rows, found.schema.names) == (0, scan_schema().names)


def test_files_that_cannot_match_are_not_opened(store: Store, journal: Journal) -> None:
    """Of a bucket: a minute, or a span of seq, opens the one file that has it."""
    remote = Remote(store)
    with QueryEngine(Source(remote, journal)) as engine:
        for condition in (MINUTE, "seq between 320 and 340"):
            remote.reads.clear()
            query = f"select count(actor) n from system.journal where {condition}"
            assert engine.sql(query).to_pylist()[0]["n"] > 0
            assert len(set(remote.reads)) == 1
            assert len(remote.reads) <= 4


def test_a_question_for_one_column_does_not_read_the_others(store: Store, tmp_path: Path) -> None:
    """Of a bucket, by the bytes that are asked for."""
    with open_journal(store, tmp_path / "state") as journal:
        events = sample("s", 20_000)
        journal.record_batch(events)
        journal.seal()
        remote = Remote(store)
        whole = store.head(journal.parts()[0][0]).size_bytes
        with QueryEngine(Source(remote, journal)) as engine:
            engine.sql("select count(distinct actor) n from system.journal").to_arrow()
    assert sum(remote.lengths) < whole / 2 + 70_000


def stub(store: Store, path: str) -> None:
    """What compaction leaves: the same columns, no rows."""
    place = Path(str(store.local_path(path)))
    schema = pq.read_schema(place)
    pq.write_table(schema.empty_table(), str(place) + ".new")
    os.replace(str(place) + ".new", place)


def test_a_query_holds_its_files(store: Store, journal: Journal) -> None:
    """On this disk a stub that comes between planning and reading changes nothing."""
    source = Source(store, journal)
    with QueryEngine(source) as engine:
        result = engine.sql("select count(event_id) n from system.journal")
        query = engine.sql("select event_id from system.journal")
        stub(store, journal.parts()[0][2])
        assert query.to_arrow().num_rows == 605
        assert result.to_pylist() == [{"n": 605}]


@pytest.mark.parametrize(
    ("kind", "isolation"),
    # In a process of its own a query makes links for itself: there is no such fault to set there.
    [("remote", "never"), ("remote", "always"), ("no links", "never")],
)
def test_a_stub_under_a_query_is_told(
    store: Store,
    journal: Journal,
    kind: str,
    isolation: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the files cannot be held: the query fails and can be repeated, no row is lost."""
    source = Source(Remote(store) if kind == "remote" else store, journal)
    path = journal.parts()[0][2]

    def refuse(*_: object) -> None:
        raise OSError("another disk")

    if kind == "no links":
        monkeypatch.setattr("os.link", refuse)
    with QueryEngine(source, QuerySettings(isolation=isolation)) as engine:
        query = "select event_id from system.journal"
        if isolation == "always":
            source.on_table = lambda: stub(store, path)
            with pytest.raises(Unavailable, match="compacted"):
                engine.sql(query).to_arrow()
        else:
            result = engine.sql(query)
            stub(store, path)
            with pytest.raises(Unavailable, match="while the query read"):
                result.to_arrow()


def test_nothing_is_left_behind(store: Store, journal: Journal, tmp_path: Path) -> None:
    """Links go with the query, also of one that was not read to its end."""
    spill = tmp_path / "spill"
    with QueryEngine(Source(store, journal), QuerySettings(spill_directory=spill)) as engine:
        engine.sql("select * from system.journal").to_arrow()
        engine.sql("select * from system.journal").close()
        give_up_at = time.monotonic() + 10
        while list(spill.iterdir()) and time.monotonic() < give_up_at:
            time.sleep(0.02)
        assert list(spill.iterdir()) == []


def test_what_the_table_is(store: Store, journal: Journal) -> None:
    """Files in order of seq on this disk; elsewhere a dataset that is asked about at the end."""
    found = journal_table(store, journal)
    assert isinstance(found, ParquetFiles)
    assert (len(found.paths), list(found.sort_by)) == (6, ["seq"])
    assert isinstance(journal_table(Remote(store), journal), Guarded)


@pytest.mark.parametrize("is_remote", [False, True])
def test_after_compaction(store: Store, tmp_path: Path, is_remote: bool) -> None:
    """Runs are read in the place of what they merged; a query from before says it cannot."""
    with small_ranges(), open_journal(store, tmp_path / "state") as journal:
        seal_pieces(journal, 5, 11, 16, 1, 15, 16, 7, 9, 4)
        asked: Any = Remote(store) if is_remote else store
        query = "select seq from system.journal where seq >= 3 order by seq"
        with QueryEngine(Source(asked, journal)) as engine:
            early = engine.sql("select seq from system.journal where seq >= 3 order by seq")
            assert journal.compact(grace_s=0).replaced
            if is_remote:
                with pytest.raises(Unavailable):
                    early.to_arrow()
            else:
                assert early.to_pydict()["seq"] == list(range(3, 84))
            assert engine.sql(query).to_pydict()["seq"] == list(range(3, 84))
