"""Files into datasets of a real lake: contracts, keys, quarantine, repetition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakecore.base import InvalidInput, ManualClock, NotFound
from lakecore.catalog import Catalog
from lakecore.documents import Documents
from lakecore.ingest import QUARANTINE, IngestOptions, IngestResult, ingest
from lakecore.journal import Author, Journal
from lakecore.storage import open_store
from lakecore.tables import Tables


@dataclass(frozen=True)
class Lake:
    """Tables and catalog over a store in memory."""

    folder: Path
    tables: Tables
    catalog: Catalog

    def ingest(self, *texts: str, dataset: str = "planes", **arguments: Any) -> list[IngestResult]:
        options = IngestOptions(**arguments.pop("options", {}))
        paths = []
        for number, text in enumerate(texts):
            paths.append(self.folder / f"file{number}.csv")
            paths[-1].write_text(text)
        return ingest(
            paths,
            dataset=dataset,
            author=Author(actor="ada"),
            tables=self.tables,
            catalog=self.catalog,
            options=options,
            clock=ManualClock(),
            **arguments,
        )

    def rows(self, dataset: str = "planes") -> list[dict[str, Any]]:
        home = self.catalog.find(dataset)
        view = None if home is None else self.tables.open(home)
        if view is None:
            return []
        rows: list[dict[str, Any]] = view.delta.to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: str(list(row.values())))

    def quarantined(self) -> list[tuple[int, str, str]]:
        rows = self.rows(QUARANTINE)
        return sorted((row["line"], row["text"], row["reason"].split(":")[0]) for row in rows)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    store = open_store("memory://")
    journal = Journal.open(store, tmp_path / "state")
    yield Lake(tmp_path, Tables(store, journal), Catalog(Documents(store, journal)))
    journal.close()


def test_a_new_dataset(lake: Lake) -> None:
    """The file's rows are in, the dataset is registered, rejects are in quarantine."""
    result = lake.ingest("tailnum,seats\nN1,55\nN2,NA\nN3\n", key=["tailnum"], entity_type="plane")[
        0
    ]
    assert (result.rows, result.inserted, result.rejected, result.version) == (2, 2, 1, 0)
    assert lake.catalog.get("planes").key == ("tailnum",)
    assert lake.rows() == [{"tailnum": "N1", "seats": 55}, {"tailnum": "N2", "seats": None}]
    assert lake.quarantined() == [(4, "N3", "too few fields")]


def test_the_same_file_again(lake: Lake) -> None:
    """Recognised by its content and left alone, unless it is wanted again."""
    first = lake.ingest("a\n1\n")[0]
    second = lake.ingest("a\n1\n")[0]
    assert first.duplicate_of is None
    assert second.duplicate_of is not None
    assert second.version is None
    assert len(lake.rows()) == 1
    lake.ingest("a\n1\n", options={"again": True})
    assert len(lake.rows()) == 2


def test_quarantined_rows_are_written_once(lake: Lake) -> None:
    """A crash after the quarantine and before the commit: the second run adds nothing to it."""

    class Crash(Exception):
        pass

    register = Catalog.register

    def crash(self: Catalog, dataset: Any, **arguments: Any) -> Any:
        if dataset.name != QUARANTINE:
            raise Crash
        return register(self, dataset, **arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalog, "register", crash)
        with pytest.raises(Crash):
            lake.ingest("a,b\n1,2\n3\n")
    assert lake.rows() == []
    assert len(lake.quarantined()) == 1
    assert lake.ingest("a,b\n1,2\n3\n")[0].rejected == 1
    assert lake.rows() == [{"a": 1, "b": 2}]
    assert len(lake.quarantined()) == 1


def test_an_absent_key(lake: Lake) -> None:
    """The nearest column is named, and nothing is written."""
    with pytest.raises(InvalidInput, match="tailnumber") as caught:
        lake.ingest("tailnum\nN1\n", key=["tailnumber"])
    assert "tailnum" in (caught.value.hint or "")
    assert lake.catalog.find("planes") is None


@pytest.mark.parametrize(
    ("body", "example"),
    [
        ("N1,1\nN1,2\n", "row 2: the key is repeated: tailnum = 'N1'"),
        (",1\n", "row 1: the key is null"),
    ],
)
def test_unusable_keys_are_refused(lake: Lake, body: str, example: str) -> None:
    """Null and repeated keys refuse the file, with examples."""
    with pytest.raises(InvalidInput, match=example):
        lake.ingest("tailnum,n\n" + body, key=["tailnum"])
    assert lake.catalog.find("planes") is None


def test_unusable_keys_go_to_quarantine_on_request(lake: Lake) -> None:
    """The first row with a key stays."""
    result = lake.ingest(
        "tailnum,n\nN1,1\nN1,2\n,3\n", key=["tailnum"], options={"on_bad_key": "quarantine"}
    )[0]
    assert result.rejected == 2
    assert lake.rows() == [{"tailnum": "N1", "n": 1}]
    assert [reason for _, _, reason in lake.quarantined()] == [
        "the key is repeated",
        "the key is null",
    ]


def test_another_key_than_the_datasets(lake: Lake) -> None:
    """Key and entity type agree with the dataset's or are left out."""
    lake.ingest("a,b\n1,2\n", key=["a"], entity_type="thing")
    with pytest.raises(InvalidInput, match="another key"):
        lake.ingest("a,b\n3,4\n", key=["b"])
    with pytest.raises(InvalidInput, match="another entity type"):
        lake.ingest("a,b\n3,4\n", entity_type="other")
    assert lake.ingest("a,b\n3,4\n", key=["a"], entity_type="thing")[0].inserted == 1


def test_upsert(lake: Lake) -> None:
    """Rows that are there change, others are added, equal ones are left alone."""
    lake.ingest("k,n\na,1\nb,2\n", key=["k"])
    result = lake.ingest("k,n\na,1\nb,3\nc,4\n", mode="upsert")[0]
    assert (result.inserted, result.updated, result.unchanged) == (1, 1, 1)


def test_evolve(lake: Lake) -> None:
    """New columns are added, missing ones are null, rare misfits are quarantined."""
    lake.ingest("a,b\n1,2\n")
    lake.ingest("a,c\n3,x\noops,y\n")
    assert lake.rows() == [{"a": 1, "b": 2, "c": None}, {"a": 3, "b": None, "c": "x"}]
    assert lake.quarantined() == [(3, "oops,y", "a")]


def test_a_type_change(lake: Lake) -> None:
    """A column that is of another type altogether refuses the file."""
    lake.ingest("a\n1\n")
    with pytest.raises(InvalidInput, match="dataset's type"):
        lake.ingest("a\n" + "x\n" * 50, options={"header": True})
    assert lake.rows() == [{"a": 1}]


@pytest.mark.parametrize("text", ["a\n3\n", "a,b,c\n3,4,5\n"])
def test_freeze(lake: Lake, text: str) -> None:
    """Any other column refuses the file before anything is written."""
    lake.ingest("a,b\n1,2\n", options={"contract": "freeze"})
    with pytest.raises(InvalidInput, match="frozen"):
        lake.ingest(text)
    assert lake.ingest("b,a\n4,3\n")[0].inserted == 1


@pytest.mark.parametrize("text", ["a,b\nx,4\n", '{"a": "x", "b": 4}\n'])
def test_freeze_takes_no_value_of_another_type(lake: Lake, text: str) -> None:
    """One such value refuses the file, whatever its format; a broken line does not."""
    lake.ingest("a,b\n1,2\n", options={"contract": "freeze"})
    with pytest.raises(InvalidInput, match="frozen") as caught:
        lake.ingest(text)
    assert "a: " in str(caught.value.found)
    assert lake.rows() == [{"a": 1, "b": 2}]
    assert lake.catalog.find(QUARANTINE) is None
    assert lake.ingest("a,b\n3,4\n5\n")[0].rejected == 1


def test_a_contract_is_not_changed_in_passing(lake: Lake) -> None:
    """A file that comes with another contract than the dataset's is refused."""
    lake.ingest("a\n1\n", options={"contract": "freeze"})
    with pytest.raises(InvalidInput, match="another contract"):
        lake.ingest("a\n2\n", options={"contract": "evolve"})
    assert lake.ingest("a\n2\n", options={"contract": "freeze"})[0].inserted == 1


def test_all_files_are_there_before_the_first_is_taken(lake: Lake) -> None:
    """A misspelt name among many is told before anything is written."""
    (lake.folder / "there.csv").write_text("a\n1\n")
    with pytest.raises(NotFound, match=r"not-there\.csv"):
        ingest(
            [lake.folder / "there.csv", lake.folder / "not-there.csv"],
            dataset="planes",
            author=Author(actor="ada"),
            tables=lake.tables,
            catalog=lake.catalog,
        )
    assert lake.catalog.find("planes") is None


def test_an_error_of_the_tables_names_the_file(lake: Lake) -> None:
    """A key that is there already is told with the file that has it."""
    lake.ingest("k,n\na,1\n", key=["k"])
    with pytest.raises(InvalidInput, match="already in the dataset") as caught:
        lake.ingest("k,n\nb,1\na,2\n")
    assert caught.value.where == "file0.csv"


def test_the_quarantine_contract(lake: Lake) -> None:
    """Rows with a value in a new column, or of another type, do not get in."""
    lake.ingest("a,b\n1,2\n", options={"contract": "quarantine"})
    result = lake.ingest("a,b,c\n3,4,\n5,6,x\n")[0]
    assert (result.inserted, result.rejected) == (1, 1)
    assert lake.rows() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_strict(lake: Lake) -> None:
    """One reject, and nothing at all is written."""
    with pytest.raises(InvalidInput, match="does not fit"):
        lake.ingest("a,b\n1,2\n3\n", options={"strict": True})
    assert lake.catalog.find("planes") is None
    assert lake.quarantined() == []


def test_several_files_stop_at_the_first_error(lake: Lake) -> None:
    """Those before it are in, and the error says so."""
    with pytest.raises(InvalidInput) as caught:
        lake.ingest("a\n1\n", "", "a\n3\n")
    assert [result.rows for result in caught.value.done] == [1]
    assert "file0.csv" in caught.value.__notes__[0]
    assert lake.rows() == [{"a": 1}]


def test_types_that_change_after_the_sample(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read again with the wider type; nothing of the first try is left."""
    monkeypatch.setattr("lakecore.ingest._delimited._SAMPLE_ROWS", 100)
    monkeypatch.setattr("lakecore.ingest._delimited._MAX_BATCH_ROWS", 100)
    text = "a\n" + "1\n" * 1_000 + "2.5\n" * 100
    result = lake.ingest(text)[0]
    assert (result.rows, result.rejected, result.version) == (1_100, 0, 0)
    assert {row["a"] for row in lake.rows()} == {1.0, 2.5}


def test_a_dry_run_writes_nothing(lake: Lake) -> None:
    """Counts, but no dataset."""
    result = lake.ingest("a\n1\n", dry_run=True)[0]
    assert (result.inserted, result.version) == (1, None)
    assert lake.catalog.find("planes") is None


def test_requests_that_cannot_be(lake: Lake) -> None:
    """No file, an unknown mode, upsert without a key, a file that is not there."""
    for arguments in ({"mode": "merge"}, {"mode": "upsert"}):
        with pytest.raises(InvalidInput):
            lake.ingest("a\n1\n", **arguments)
    with pytest.raises(InvalidInput):
        lake.ingest()
    with pytest.raises(NotFound):
        ingest(
            ["nowhere.csv"],
            dataset="x",
            author=Author(actor="ada"),
            tables=lake.tables,
            catalog=lake.catalog,
        )
