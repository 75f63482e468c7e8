"""Imports: what is taken, what is refused and where, and that a broken one can go on."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fakes.journals import open_journal

from lakecore.base import AlreadyExists, Conflict, InvalidInput, NotFound, Unavailable
from lakecore.journal import Journal
from lakecore.journal._transfer import rows as import_rows
from lakecore.storage import open_store


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """An empty journal."""
    return open_journal(open_store("memory://"), tmp_path / "state")


def line(number: int, **changes: object) -> str:
    """One event as a line of NDJSON."""
    event = {"event_id": f"e:{number}", "entity_type": "t", "entity_id": str(number)}
    return json.dumps({**event, "timestamp": "2026-01-01T00:00:00Z", "action": "a", **changes})


def ndjson(*lines: str) -> io.BytesIO:
    return io.BytesIO("".join(f"{text}\n" for text in lines).encode())


def test_some_fields_are_enough(journal: Journal) -> None:
    """The required fields alone make events; the others get their defaults."""
    source = io.BytesIO(b"action,entity_type,entity_id\r\nadd,t,1\nadd,t,2\n")
    result = journal.import_events(source)
    assert (result.format, result.rows, result.recorded) == ("csv", 2, 2)
    last = journal.recent(1)[0]
    assert (last.field, last.source, last.context, last.new_value) == ("*", "api", "{}", None)


def test_positions_are_new(journal: Journal) -> None:
    """`seq` and `leaf` of the file are passed over; the old place is noted only when asked."""
    journal.import_events(ndjson(line(1, seq=700, leaf=1, context='{"a": 1e400}')))
    journal.seal()
    assert journal.recent(1)[0].seq == 0
    assert journal.recent(1)[0].context == '{"a": 1e400}'
    journal.import_events(
        ndjson(line(2, seq=701, context='{"a": 1e400}')), imported_from="old lake"
    )
    assert (
        journal.recent(1)[0].context
        == '{"a":1e400,"imported_from":{"journal":"old lake","seq":701}}'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"entity_type": "t"', "not JSON.*line 2"),
        ("[1]", "not a JSON object at line 2"),
        (line(2, action=""), "text is empty at line 2, field action"),
        (line(2, version=-1), "line 2, field version"),
        (line(2, timestamp="yesterday"), "RFC 3339.*line 2, field timestamp|line 2.*RFC 3339"),
        (line(2, new_value="{"), "line 2, field new_value"),
        (line(2, entity_id=None), "line 2, field entity_id"),
        (line(2, colour="red"), "no such field.*colour"),
        (line(2, context="[" * 100_000), "line 2, field context"),
        ("[" * 100_000, "line 2"),
        (line(2, actor="\ud800"), "line 2"),
    ],
)
def test_bad_lines_are_named(journal: Journal, text: str, message: str) -> None:
    """The line, the field and the reason; nothing of the batch is recorded."""
    with pytest.raises(InvalidInput, match=r"(?s)" + message):
        journal.import_events(ndjson(line(1), text, line(3)))
    assert journal.recent(10) == []


def test_bad_records_of_csv_are_named(journal: Journal) -> None:
    """Lines are counted as an editor does, also behind a text with line ends."""
    head = b"entity_type,entity_id,action,version\n"
    with pytest.raises(InvalidInput, match="line 4, field version"):
        journal.import_events(io.BytesIO(head + b't,"a\nb",x,\nt,1,x,-5\n'))
    with pytest.raises(InvalidInput, match="wide as the header"):
        journal.import_events(io.BytesIO(head + b"t,1,x\n"))
    with pytest.raises(InvalidInput, match=r"no such field.*'colour'"):
        journal.import_events(io.BytesIO(b"entity_type,entity_id,action,colour\nt,1,x,red\n"))
    with pytest.raises(InvalidInput, match="not readable as CSV"):
        journal.import_events(io.BytesIO(head + b"t,\xff,x,1\n"))
    assert journal.recent(10) == []


def test_unknown_columns_are_left_out_on_request(journal: Journal) -> None:
    """`ignore_unknown` takes the rest of the row."""
    journal.import_events(ndjson(line(1, colour="red")), ignore_unknown=True)
    csv = io.BytesIO(b"entity_type,entity_id,action,colour\nt,2,x,red\n")
    journal.import_events(csv, ignore_unknown=True)
    table = pa.table({"entity_type": ["t"], "entity_id": ["3"], "action": ["x"], "odd": [1.5]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    sink.seek(0)
    with pytest.raises(InvalidInput, match="'odd'"):
        journal.import_events(sink)
    sink.seek(0)
    journal.import_events(sink, ignore_unknown=True)
    assert len(journal.recent(10)) == 3


def test_a_dry_run_checks_everything(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bad row is found, over all batches, and nothing is recorded."""
    monkeypatch.setattr(import_rows, "BATCH_EVENTS", 2)
    source = ndjson(line(1), line(2, action=""), line(3), "no", line(5), line(6, version="x"))
    result = journal.import_events(source, dry_run=True)
    assert (result.rows, result.recorded, result.bad_count) == (5, 0, 3)
    assert [(bad.line, bad.field) for bad in result.bad] == [
        (2, "action"),
        (4, None),
        (6, "version"),
    ]
    assert journal.recent(10) == []


def test_batches_before_a_bad_one_stay(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how much is recorded; skipping that goes on where it broke off."""
    monkeypatch.setattr(import_rows, "BATCH_EVENTS", 2)
    lines = [line(number) for number in range(1, 6)]
    with pytest.raises(InvalidInput, match="line 4") as caught:
        journal.import_events(ndjson(*lines[:3], "no"))
    assert "2 events before this are recorded" in str(caught.value.hint)
    assert "skip 2 rows" in str(caught.value.hint)
    journal.import_events(ndjson(*lines), skip_rows=2)
    assert [event.event_id for event in journal.recent(10)] == [
        f"e:{number}" for number in range(5, 0, -1)
    ]


def test_an_outage_leaves_resume_information(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal without room is not the file's fault: the error stays, with a note."""
    monkeypatch.setattr(import_rows, "BATCH_EVENTS", 1)

    def full(table: pa.Table) -> int:
        raise Unavailable("no room")

    monkeypatch.setattr(journal, "record_batch", full)
    with pytest.raises(Unavailable) as caught:
        journal.import_events(ndjson(line(1)))
    assert "0 events before this" in caught.value.__notes__[0]


def test_bounds(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line has a bound, and what is no file of ours is refused."""
    monkeypatch.setattr(import_rows, "MAX_LINE_BYTES", 200)
    with pytest.raises(InvalidInput, match="a line is too long"):
        journal.import_events(ndjson(line(1), line(2, actor="x" * 200)))
    with pytest.raises(InvalidInput, match="not readable as Parquet"):
        journal.import_events(io.BytesIO(b"PAR1 no more"))
    with pytest.raises(InvalidInput, match="field action"):
        journal.import_events(io.BytesIO(b"entity_type,entity_id\nt,1\n"))
    with pytest.raises(NotFound):
        journal.import_events("no such file")
    with pytest.raises(InvalidInput, match="no such format"):
        journal.import_events(ndjson(), "xml")
    assert journal.import_events(ndjson(), "ndjson").rows == 0


@pytest.mark.parametrize("is_sealed", [False, True])
def test_the_same_file_again_repeats_nothing(journal: Journal, is_sealed: bool) -> None:
    """Events with ids that are known are passed over, sealed or not; new ones are recorded."""
    lines = [line(number, timestamp=None) for number in range(5)]
    journal.import_events(ndjson(*lines[:3]))
    if is_sealed:
        journal.seal()
    journal.import_events(ndjson(*lines))
    journal.import_events(ndjson(*lines))
    journal.seal()
    assert [event.event_id for event in journal.recent(100)] == [
        f"e:{number}" for number in range(4, -1, -1)
    ]
    with pytest.raises((InvalidInput, AlreadyExists, Conflict)):
        journal.import_events(ndjson(line(1, action="another")))
