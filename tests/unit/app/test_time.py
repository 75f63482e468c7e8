"""Going back through a lake's front, and the examples of docs/time.md."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakecore.app import Lake, open_lake
from lakecore.base import Conflict, InvalidInput, NotFound, Refused
from lakecore.catalog import Catalog
from lakecore.tables import RenameColumn

PAGE = (Path(__file__).parents[3] / "docs" / "time.md").read_text(encoding="utf-8")


@pytest.fixture
def lake() -> Lake:
    """A dataset with a row that was changed once."""
    lake = open_lake("memory://", actor="ada")
    lake.create("planes", key=["id"])
    lake.insert("planes", [{"id": "a", "n": 1}])
    lake.update("planes", keys="a", set={"n": 2})
    return lake


def test_the_page_runs() -> None:
    """The Python of docs/time.md answers what the page says."""
    examples = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 6
    parser = doctest.DocTestParser()
    test = parser.get_doctest("\n".join(examples), {}, "time.md", "time.md", 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def test_sealed_or_not_a_mutation_is_undone(lake: Lake) -> None:
    """Its events are found, and the journal and tables agree afterwards."""
    mutation = lake.history("planes", "a")[-1].mutation_id
    lake.journal.seal()
    lake.update("planes", keys="a", set={"n": 3})
    with pytest.raises(Conflict, match="by mutation"):
        lake.revert(mutation)
    lake.restore("planes", version=1)
    assert lake.revert(mutation, reason="mistaken").updated == 1
    assert lake.sql("select n from planes").to_pylist() == [{"n": 1}]
    assert lake.verify().status == "green"
    lake.close()


def test_what_cannot_be_reverted(lake: Lake) -> None:
    """No such mutation; one that changed no dataset; one of a dropped dataset."""
    with pytest.raises(NotFound, match="no such mutation"):
        lake.revert("m")
    mutation = lake.history("planes", "a")[-1].mutation_id
    created = next(event for event in lake.journal.recent() if event.dataset != "planes")
    with pytest.raises(NotFound, match="changed no dataset"):
        lake.revert(created.mutation_id)
    lake.drop("planes")
    with pytest.raises(NotFound, match="changed no dataset"):
        lake.revert(mutation)
    lake.close()


def test_a_revert_is_reverted(lake: Lake) -> None:
    """And that again: rows that came, went and changed."""
    lake.upsert("planes", [{"id": "a", "n": 5}, {"id": "b", "n": 1}], mutation_id="m")
    lake.delete("planes", keys="a", mutation_id="d")
    deleted = lake.revert("d")
    with_both = lake.sql("select * from planes order by id").to_pylist()
    undone = lake.revert("m")
    assert lake.sql("select * from planes").to_pylist() == [{"id": "a", "n": 2}]
    again = lake.revert(undone.mutation_id)
    assert lake.sql("select * from planes order by id").to_pylist() == with_both
    lake.revert(again.mutation_id)
    assert lake.sql("select * from planes").to_pylist() == [{"id": "a", "n": 2}]
    with pytest.raises(Conflict, match="changed since"):
        lake.revert(deleted.mutation_id)
    lake.journal.seal()
    assert lake.verify(full=True).status == "green"
    lake.close()


@pytest.mark.parametrize("sealed", [False, True])
def test_an_id_that_several_changes_have(lake: Lake, sealed: bool) -> None:
    """Refused, with their versions; one that is named is undone, and no other."""
    lake.upsert("planes", [{"id": "b", "n": 1}], mutation_id="m")
    lake.upsert("planes", [{"id": "c", "n": 1}], mutation_id="m")
    lake.create("crews", key="id")
    lake.insert("crews", [{"id": 1}], mutation_id="m")
    if sealed:
        lake.journal.seal()
    with pytest.raises(InvalidInput, match="several changes have this id") as refused:
        lake.revert("m")
    for which in ("planes version 2", "planes version 3", "crews version 0"):
        assert which in str(refused.value)
    with pytest.raises(InvalidInput, match="several changes"):
        lake.revert("m", dataset="planes")
    with pytest.raises(NotFound, match="did not make that change"):
        lake.revert("m", dataset="planes", version=1)
    assert lake.revert("m", dataset="planes", version=2).deleted == 1
    assert lake.revert("m", version=3, tier="dry_run").held
    (waiting,) = lake.pending()
    assert lake.approve(waiting.id).deleted == 1
    assert lake.sql("select id from planes").to_pylist() == [{"id": "a"}]
    assert lake.sql("select id from crews").to_pylist() == [{"id": 1}]
    lake.close()


def test_times_name_versions(lake: Lake) -> None:
    """With a zone; text or datetime."""
    now = datetime.now(UTC)
    assert lake.diff("planes", 0, now).read_all().num_rows == 1
    assert lake.diff("planes", now.isoformat(), 1).read_all().num_rows == 0
    assert lake.restore("planes", time=now).version is None
    for time in ("2026-01-31T12:00:00", "noon"):
        with pytest.raises(InvalidInput):
            lake.restore("planes", time=time)
    lake.close()


def test_columns_and_properties(lake: Lake) -> None:
    """By two calls; a renamed key is the dataset's key, and its rows keep their history."""
    with pytest.raises(InvalidInput, match="properties and columns"):
        lake.alter("planes", rename={"id": "tail"}, owner="ada")
    assert lake.alter("planes", owner="ada").key == ("id",)
    entry = lake.alter("planes", rename={"id": "tail"}, add={"day": "date"})
    assert (entry.key, entry.owner) == (("tail",), "ada")
    lake.upsert("planes", [{"tail": "a", "n": 5}])
    assert [event.action for event in lake.history("planes", "a")] == ["insert", "update", "update"]
    assert lake.verify().status == "green"
    lake.close()


def test_columns_that_wait_are_not_altered(lake: Lake) -> None:
    """`alter` returns the dataset as it is now, so what is held is an error; it can be approved."""
    lake.truth.apply(
        """
        [[rule]]
        id = "columns"
        task_class = "schema"
        when = { always = true }
        action = "require_approval"
        message = "somebody looks at it first"
        """
    )
    with pytest.raises(Refused, match="waits for an approval"):
        lake.alter("planes", add={"day": "date"})
    (waiting,) = lake.pending()
    lake.approve(waiting.id, actor="grace")
    assert "day" in lake.describe("planes")["columns"][-1]["name"]
    lake.close()


def test_a_renamed_key_that_did_not_reach_the_catalog(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call again completes it."""

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "rename_key", fail)
        with pytest.raises(KeyboardInterrupt):
            lake.alter("planes", rename={"id": "tail"})
    assert lake.dataset("planes").key == ("id",)
    assert lake.alter_columns("planes", [RenameColumn("id", "tail")]).version is None
    assert lake.dataset("planes").key == ("tail",)
    assert lake.update("planes", keys="a", set={"n": 7}).updated == 1
    lake.close()
