"""Exports: every format keeps every event, and what a spreadsheet or a broker expects."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.journals import open_journal

from lakecore.base import AlreadyExists, InvalidInput
from lakecore.journal import Event, Journal
from lakecore.storage import open_store

ODD = [
    Event(entity_type="t", entity_id="", action="say", new_value='"a,b\\n"', actor='q"u'),
    Event(entity_type="t", entity_id="line\r\nend", action="=1+1", old_value="null", actor="é"),
    Event(entity_type="t", entity_id="\x01\x9f￾", action="a b", new_value="{}", version=3),
]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal with three sealed events that are hard to write down, and an unsealed one."""
    journal = open_journal(open_store("memory://"), tmp_path / "state")
    journal.record_many(ODD)
    journal.seal()
    journal.record(Event(entity_type="t", entity_id="4", action="wait"))
    return journal


def exported(journal: Journal, format_name: str, **options: object) -> bytes:
    """What is written to a stream."""
    stream = io.BytesIO()
    journal.export(stream, format_name, **options)  # type: ignore[arg-type]  # test options
    return stream.getvalue()


def test_ndjson_has_every_field_in_order(journal: Journal) -> None:
    """A line is an event's `to_dict`, in the order of the fields, microseconds and all."""
    lines = exported(journal, "ndjson").splitlines()
    events = [*reversed(journal.recent(10))]
    assert [json.loads(line) for line in lines] == [event.to_dict() for event in events]
    assert [list(json.loads(line)) for line in lines] == [list(events[0].to_dict())] * 4
    assert json.loads(lines[3])["seq"] is None


def test_parquet_keeps_columns_and_types(journal: Journal, tmp_path: Path) -> None:
    """The file reads back as what a scan gives."""
    result = journal.export(tmp_path / "events.parquet")
    found = pq.read_table(tmp_path / "events.parquet")
    assert found.equals(journal.scan().read_all())
    assert (result.events, result.format) == (4, "parquet")
    assert result.size_bytes == (tmp_path / "events.parquet").stat().st_size


def test_csv_tells_null_from_empty(journal: Journal) -> None:
    """Texts are quoted, null is nothing, line ends are CRLF, and nothing is altered."""
    text = exported(journal, "csv").decode()
    header, first, *_ = text.split("\r\n")
    assert header.startswith('"seq","event_id","timestamp","entity_type","entity_id"')
    assert re.match(r'0,"[^"]+","[^"]+Z","t","","\*","say",,"""a,b', first)
    assert '"=1+1"' in text
    assert '"line\r\nend"' in text


NAMES = re.compile(r"[a-z0-9]+")
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef￾￿]")


def test_cloudevents_keep_the_rules(journal: Journal) -> None:
    """Required attributes, names, types and formats of CloudEvents 1.0, line by line."""
    lines = exported(journal, "cloudevents", cloudevents_source="urn:lake:1").splitlines()
    assert len(lines) == 4
    seen = set()
    for line in lines:
        event = json.loads(line)
        assert {"id", "source", "specversion", "type"} <= event.keys()
        assert event["specversion"] == "1.0"
        assert event["source"] == "urn:lake:1"
        assert re.fullmatch(r"lakecore\.event\.v1\..+", event["type"])
        assert all(NAMES.fullmatch(name) for name in event)
        attributes = {name: value for name, value in event.items() if name != "data"}
        assert all(isinstance(value, str) and value for value in attributes.values())
        assert not any(FORBIDDEN.search(value) for value in attributes.values())
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        assert event["datacontenttype"] == "application/json"
        assert event["data"]["event_id"] == event["id"]
        seen.add((event["source"], event["id"]))
    assert len(seen) == 4
    assert json.loads(lines[2])["subject"] == "t/%01%C2%9F%EF%BF%BE"
    assert json.loads(lines[2])["data"]["entity_id"] == "\x01\x9f￾"


def test_filters_and_ranges(journal: Journal) -> None:
    """An export takes the filters of a query and positions; with an end only sealed events."""
    assert len(exported(journal, "ndjson", until_seq=3).splitlines()) == 3
    assert len(exported(journal, "ndjson", since_seq=2).splitlines()) == 2
    assert len(exported(journal, "ndjson", action="wait").splitlines()) == 1
    with pytest.raises(InvalidInput, match="not a position"):
        exported(journal, "ndjson", since_seq=-1)
    with pytest.raises(InvalidInput, match="no such field"):
        exported(journal, "ndjson", colour="red")
    with pytest.raises(InvalidInput, match="no such format"):
        exported(journal, "xml")


def test_a_file_is_whole_or_not_there(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that breaks off leaves nothing, and a file that is there stays."""
    from lakecore.journal._transfer import formats

    def breaks(tables: object, source: str) -> object:
        yield b"half"
        raise OSError("no more")

    target = tmp_path / "out.csv"
    monkeypatch.setitem(formats.ENCODERS, "csv", breaks)  # type: ignore[arg-type]  # a fake
    with pytest.raises(OSError, match="no more"):
        journal.export(target)
    assert list(tmp_path.glob("*out*")) == []
    monkeypatch.undo()
    journal.export(target)
    before = target.read_bytes()
    with pytest.raises(AlreadyExists):
        journal.export(target)
    assert target.read_bytes() == before
    journal.export(target, until_seq=1, overwrite=True)
    assert target.read_bytes() != before
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] or "state" in {
        path.name for path in tmp_path.iterdir()
    }
    with pytest.raises(InvalidInput, match="cannot be written"):
        journal.export(tmp_path / "no" / "such")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON_TEXTS = st.none() | TEXTS.map(json.dumps)
EVENTS = st.builds(
    Event,
    entity_type=TEXTS.filter(bool),
    entity_id=TEXTS,
    action=TEXTS.filter(bool),
    old_value=JSON_TEXTS,
    new_value=JSON_TEXTS,
    actor=TEXTS,
    version=st.none() | st.integers(0, 2**53 - 1),
    context=st.dictionaries(TEXTS, TEXTS, max_size=3).map(json.dumps),
)


@settings(max_examples=40, deadline=None)
@given(events=st.lists(EVENTS, min_size=1, max_size=12), data=st.data())
def test_every_format_reads_back(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], data: st.DataObject
) -> None:
    """Export and import give the same events in another journal, whatever is in them."""
    format_name = data.draw(st.sampled_from(["parquet", "ndjson", "csv"]))
    folder = tmp_path_factory.mktemp("round")
    with (
        open_journal(open_store("memory://"), folder / "a") as first,
        open_journal(open_store("memory://"), folder / "b") as second,
    ):
        first.record_many(events)
        content = exported(first, format_name)
        result = second.import_events(io.BytesIO(content))
        assert (result.format, result.rows, result.recorded) == (
            format_name,
            len(events),
            len(events),
        )
        before = [event.to_dict() for event in first.recent(100)]
        assert [event.to_dict() for event in second.recent(100)] == before
