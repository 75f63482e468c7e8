"""Tables of other programs, taken over where they lie."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.unit.reconcile.conftest import ROWS, Lake, rows_of

from lakecore.base import AlreadyExists, InvalidInput, NotFound, UnsupportedFormat
from lakecore.journal import multiset_hash


def written(place: Path, *more: dict[str, object]) -> Path:
    """A table that delta-rs made, of two versions."""
    write_deltalake(str(place), rows_of(*ROWS))
    write_deltalake(str(place), rows_of({"id": 4, "name": "di", "seats": 4}, *more), mode="append")
    return place


@pytest.mark.parametrize("spelled", ["lake", "path", "url"])
def test_in_place(lake: Lake, spelled: str) -> None:
    """One event: version, rows, their hash; then every change, ours and others', is journaled."""
    place = written(lake.place / "landing" / "routes")
    before = sorted(path.name for path in place.rglob("*"))
    uri = {"lake": "landing/routes", "path": str(place), "url": f"file://{place}"}[spelled]
    adopted = lake.lake.adopt(uri, dataset="routes", key="id", reason="ours now")
    assert (adopted.location, adopted.adopted_version) == ("landing/routes", 1)
    assert sorted(path.name for path in place.rglob("*")) == before
    event, context = lake.closing(1, "routes")
    assert (event.action, context["adopted_version"], context["rows"]) == ("adopt", 1, 4)
    rows = pa.table(DeltaTable(str(place)).to_pyarrow_table())
    assert context["rows_hash"] == multiset_hash(rows).hex()
    assert lake.events(0, "routes") == []
    lake.lake.update("routes", set={"seats": 5}, where="id = 4")
    DeltaTable(str(place)).delete("id = 1")
    lake.lake.reconcile()
    assert lake.changes(3, "routes")[0][:2] == ("delete", "1")
    assert lake.green()
    detail = lake.lake.verify().completeness.detail
    assert (detail["before_adoption"], detail["reconciled"]) == (1, 2)
    answer = lake.lake.sql("select count(*) as n from routes").to_pylist()
    assert answer == [{"n": 3}]


@pytest.mark.parametrize(
    "row", [{"id": 1, "name": "x", "seats": 0}, {"id": None, "name": "x", "seats": 0}]
)
def test_a_key_that_is_none(lake: Lake, row: dict[str, object]) -> None:
    """Double or null: refused, and nothing is registered."""
    written(lake.place / "landing" / "routes", row)
    with pytest.raises(InvalidInput, match="key"):
        lake.lake.adopt("landing/routes", dataset="routes", key=["id"])
    with pytest.raises(InvalidInput, match="key column is missing"):
        lake.lake.adopt("landing/routes", dataset="routes", key=["nr"])
    with pytest.raises(NotFound):
        lake.lake.dataset("routes")
    assert lake.lake.adopt("landing/routes", dataset="routes").key == ()
    assert lake.green()


def test_what_cannot_be_adopted(lake: Lake, tmp_path: Path) -> None:
    """Elsewhere, nothing there, a name or table that is taken, a table that was ours."""
    outside = written(tmp_path / "elsewhere" / "routes")
    adopt = lake.lake.adopt
    for uri in (str(outside), "s3://bucket/routes", "gs://bucket/routes"):
        with pytest.raises(InvalidInput, match="outside of this lake"):
            adopt(uri, dataset="routes")
    for uri in ("journal/log", "documents/x", ".local"):
        with pytest.raises(InvalidInput, match="not a folder for a table"):
            adopt(uri, dataset="routes")
    with pytest.raises(NotFound):
        adopt("landing/nothing", dataset="routes")
    with pytest.raises(AlreadyExists, match="of that name"):
        adopt("landing/routes", dataset="planes")
    written(lake.place / "landing" / "routes")
    adopt("landing/routes", dataset="routes")
    with pytest.raises(AlreadyExists, match="is a dataset already"):
        adopt("landing/routes", dataset="routes2")
    with pytest.raises(AlreadyExists, match="is a dataset already"):
        adopt("tables/main/planes", dataset="planes2")


def test_a_table_of_another_lake(lake: Lake) -> None:
    """Its commits name events that this journal does not have."""
    import shutil

    shutil.copytree(lake.path(), lake.place / "landing" / "copy")
    with pytest.raises(AlreadyExists):
        lake.lake.adopt("landing/copy", dataset="copy")
    lake.lake.drop("planes", grace_days=0)


def test_who_died_half_way(lake: Lake) -> None:
    """The catalog's document is the commit point: reconcile makes the event that is missing."""
    from lakecore.journal import Author
    from lakecore.reconcile import adopt_table

    written(lake.place / "landing" / "routes")
    parts = lake.lake._parts
    adopt_table(
        parts.store,
        parts.catalog,
        "landing/routes",
        dataset="routes",
        key=["id"],
        author=Author(actor="ada"),
    )
    assert lake.lake.verify().status == "broken"
    (found,) = lake.lake.reconcile().versions
    assert (found.kind, found.version) == ("adopt", 1)
    assert lake.green()


def test_features_that_we_do_not_write(lake: Lake) -> None:
    """They are adopted for reading and reconciling; our changes are refused."""
    place = lake.place / "landing" / "routes"
    write_deltalake(
        str(place), rows_of(*ROWS), configuration={"delta.enableChangeDataFeed": "true"}
    )
    lake.lake.adopt("landing/routes", dataset="routes", key=["id"])
    with pytest.raises(UnsupportedFormat, match="does not write"):
        lake.lake.update("routes", set={"seats": 1}, where="id = 1")
    DeltaTable(str(place)).update(updates={"seats": "1"}, predicate="id = 1")
    lake.lake.reconcile()
    assert lake.changes(1, "routes") == [("update", "1", "seats", "10", "1")]
    assert lake.green()


def test_a_log_whose_beginning_was_trimmed(lake: Lake) -> None:
    """A checkpoint stands for what is gone."""
    place = written(lake.place / "landing" / "routes")
    DeltaTable(str(place)).create_checkpoint()
    (place / "_delta_log" / f"{0:020d}.json").unlink()
    lake.lake.adopt("landing/routes", dataset="routes", key=["id"])
    DeltaTable(str(place)).delete("id = 1")
    lake.lake.reconcile()
    assert lake.changes(2, "routes")[0][:2] == ("delete", "1")
    assert lake.green()
