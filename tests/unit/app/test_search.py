"""`lake.search`, `lake.index`, search(...) in SQL: over datasets and over the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lakecore.app import Lake, open_lake
from lakecore.app._acting import ActingLake
from lakecore.auth import Principal, Scopes
from lakecore.base import InvalidInput, NotFound, Refused

PLANES = pa.table(
    {
        "tailnum": ["N1", "N2", "N3", "N4", "N5"],
        "maker": ["BOEING", "AIRBUS", "EMBRAER", "BOEING", None],
        "note": ["wide body twin jet", "narrow body", "regional jet", "four engines", ""],
        "seats": [300, 180, 76, 450, 2],
        "v": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.1], None],
    }
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Planes, indexed by their words; a table of secrets, indexed too."""
    with open_lake(str(tmp_path_factory.mktemp("search") / "lake"), actor="ada") as lake:
        lake.create("planes", key=["tailnum"])
        lake.insert("planes", PLANES)
        lake.create("hr.staff", key=["id"])
        lake.insert("hr.staff", [{"id": 1, "name": "jet lagged"}])
        lake.create("loose")
        lake.insert("loose", [{"text": "no key"}])
        lake.index.create("planes_text", "planes", ["maker", "note"], kind="text", reason="find")
        lake.index.create("staff", "hr.staff", ["name"], kind="text")
        yield lake


def reader(lake: Lake, *scopes: str) -> ActingLake:
    """The lake in the name of somebody with these scopes."""
    return ActingLake(lake, Principal(name="eve", kind="person", scopes=Scopes.parse(scopes)))


def test_found_with_what_is_shown_of_it(lake: Lake) -> None:
    """Key, texts, an excerpt; and what the index covers."""
    answer = lake.search("planes_text", "jet", limit=1)
    assert (answer.dataset, answer.covered_version, answer.is_behind) == ("planes", 0, False)
    (row,) = answer
    assert row["_highlight"].count("**jet**") == 1
    assert set(row) == {"_rank", "_score", "_key", "tailnum", "maker", "note", "_highlight"}
    told = lake.index.get("planes_text")
    assert (told["state"], told["rows"], told["skipped"]) == ("ready", 4, 1)
    assert [one["name"] for one in lake.index.list()] == ["planes_text", "staff"]


def test_a_table_of_sql(lake: Lake) -> None:
    """Joined, filtered, with parameters, in this process and in one of its own."""
    query = (
        "select p.tailnum, s._covered_version v, s._rows_behind b "
        "from search('planes_text', $text, 10) s join planes p using (tailnum) "
        "where p.seats > 100 order by s._rank"
    )
    wanted = [{"tailnum": "N1", "v": 0, "b": 0}]
    assert lake.sql(query, {"text": "jet"}).to_pylist() == wanted
    cross = f"select t.tailnum from ({query}) t, (values (1)) u where t.v < u.column1"
    assert lake.sql(cross, {"text": "jet"}).to_pylist() == [{"tailnum": "N1"}]
    counted = lake.sql("select count(*) n from search('planes_text', 'boeing')").to_pylist()
    assert counted == [{"n": 2}]
    (row,) = lake.sql("select dataset, state, kind from system.indexes where name = 'planes_text'")
    assert row.to_pylist() == [{"dataset": "planes", "state": "ready", "kind": "text"}]


@pytest.mark.parametrize(
    "call",
    [
        "search()",
        "search('planes_text')",
        "search('planes_text', 5)",
        "search('planes_text', 'jet', 'many')",
        "search('planes_text', 'jet', 0)",
        "search('planes_text', 'jet', 10, 5)",
        "search('planes_text', 'jet', 10, 'seats > 1', 1)",
        "search('planes_text', '')",
        "search('planes_text', 'jet', 10, 'no_such_column > 1')",
        "search('planes_text', 'jet', 10, 'seats > (')",
    ],
)
def test_a_call_that_is_none(lake: Lake, call: str) -> None:
    """Refused with what would have been right."""
    with pytest.raises(InvalidInput):
        lake.sql(f"select * from {call}").to_arrow()


def test_conditions_are_sql(lake: Lake) -> None:
    """Over any column of the dataset, other tables included; a comment does no harm."""
    for where in ("seats > 100", "seats > 100 -- large", "tailnum in (select 'N1')"):
        found = lake.search("planes_text", "jet boeing", where=where).to_pylist()
        assert {row["tailnum"] for row in found} <= {"N1", "N4"}
        assert found
    found = lake.sql("select tailnum from search('planes_text', 'jet', 10, 'seats < 100')")
    assert found.to_pylist() == [{"tailnum": "N3"}]
    with pytest.raises((InvalidInput, Refused)):
        lake.search("planes_text", "jet", where="true); drop table planes; --")


def test_who_may_not_read_may_not_search(lake: Lake) -> None:
    """By the method, by SQL, and through a condition."""
    eve = reader(lake, "read:planes")
    assert len(eve.search("planes_text", "jet")) == 2
    assert len(eve.sql("select * from search('planes_text', 'jet')").to_arrow()) == 2
    assert len(eve.sql("select * from as_of('planes', 0)").to_arrow()) == 5
    with pytest.raises(NotFound, match="no such table"):
        eve.sql("select * from search").to_arrow()
    with pytest.raises(Refused):
        eve.search("staff", "jet")
    with pytest.raises(Refused):
        eve.sql("select * from search('staff', 'jet')").to_arrow()
    with pytest.raises(Refused):
        eve.search("planes_text", "jet", where="1 in (select id from hr.staff)")
    with pytest.raises(Refused):
        eve.sql(
            "select * from search('planes_text', 'jet', 10, '1 in (select id from hr.staff)')"
        ).to_arrow()
    with pytest.raises(NotFound) as caught:
        eve.search("stuff", "jet")
    assert "staff" not in str(caught.value.to_dict())
    with pytest.raises(Refused):
        reader(lake, "write:*").search("planes_text", "jet")


def test_a_workspace_has_no_indexes(lake: Lake) -> None:
    """It says so, rather than answering for main."""
    space = lake.workspace("trial")
    with pytest.raises(NotFound, match="no indexes"):
        space.sql("select * from search('planes_text', 'jet')").to_arrow()
    space.drop()


def test_a_key_is_needed(lake: Lake) -> None:
    """What is found has to have a name."""
    with pytest.raises(InvalidInput, match="key"):
        lake.index.create("loose", "loose", ["text"], kind="text")


def test_the_journal_is_searched(lake: Lake) -> None:
    """Events by their words; a refresh reads what was sealed since."""
    made = lake.index.create("events", "system.journal", ["new_value", "context"], kind="text")
    assert made["rows"] > 5
    first = lake.search("events", "lagged").to_pylist()[0]
    (event,) = lake.sql(f"select * from system.journal where seq = {first['seq']}").to_pylist()
    assert (event["dataset"], event["action"]) == ("hr.staff", "insert")
    lake.insert("hr.staff", [{"id": 2, "name": "zebra"}])
    lake.journal.flush()
    assert lake.search("events", "zebra").rows_behind > 0
    lake.index.refresh("events")
    found = lake.search("events", "zebra", where="dataset = 'hr.staff'").to_pylist()
    assert [row["_key"] for row in found] == [str(row["seq"]) for row in found]
    assert len(found) == 1
    with pytest.raises(Refused):
        reader(lake, "read:planes").search("events", "zebra")


def test_vectors_of_a_dataset(lake: Lake) -> None:
    """Asked by a vector; another dimension is refused."""
    made = lake.index.create("by_v", "planes", "v", kind="vector", metric="l2")
    assert (made["dimension"], made["skipped"], made["recall"]) == (2, 1, 1.0)
    found = lake.search("by_v", vector=[0.0, 0.9], limit=2)
    assert [row["tailnum"] for row in found] == ["N2", "N3"]
    with pytest.raises(InvalidInput, match="dimension"):
        lake.search("by_v", vector=[1.0])


def test_it_follows_its_dataset(tmp_path: Path) -> None:
    """Changed by all ways, renamed, altered, restored, dropped, brought back, made again."""
    with open_lake(str(tmp_path / "lake"), actor="ada") as lake:
        lake.create("planes", key=["tailnum"])
        lake.insert("planes", PLANES)
        lake.index.create("i", "planes", ["maker", "note"], kind="text")

        def found(text: str) -> list[str]:
            lake.index.refresh("i")
            answer = lake.search("i", text, limit=100)
            assert not answer.is_behind
            return sorted(row["tailnum"] for row in answer)

        lake.update("planes", set={"note": "zebra"}, where="seats < 100")
        answer = lake.search("i", "zebra")
        assert (answer.rows_behind, len(answer)) == (2, 0)
        assert found("zebra") == ["N3", "N5"]
        lake.update("planes", set={"seats": 77}, keys=["N3"])
        assert lake.index.get("i")["rows_behind"] == 1
        assert found("zebra") == ["N3", "N5"]
        lake.delete("planes", keys=["N3"])
        lake.upsert("planes", [{"tailnum": "N9", "note": "zebra", "seats": 1}])
        assert found("zebra") == ["N5", "N9"]
        lake.restore("planes", version=0)
        assert found("zebra") == []
        assert found("boeing") == ["N1", "N4"]
        lake.rename("planes", "aircraft")
        assert lake.search("i", "boeing").dataset == "aircraft"
        assert lake.index.get("i")["dataset"] == "aircraft"
        lake.insert("aircraft", [{"tailnum": "N7", "note": "zebra"}])
        lake.maintain("aircraft")
        assert found("zebra") == ["N7"]
        lake.drop("aircraft")
        with pytest.raises(NotFound, match="dropped"):
            lake.search("i", "zebra")
        lake.undrop("aircraft")
        assert found("zebra") == ["N7"]
        lake.drop("aircraft")
        lake.create("aircraft", key=["tailnum"])
        lake.insert("aircraft", [{"tailnum": "N8", "note": "zebra"}])
        with pytest.raises(NotFound, match="dropped"):
            lake.search("i", "zebra")
        assert lake.index.drop("i")["state"] == "dropped"
        assert lake.verify().status == "green"


def test_the_model_of_this_machine(lake: Lake) -> None:
    """Meaning, not words; with the model's hash in the index."""
    made = lake.index.create("meaning", "planes", ["note"])
    assert (made["kind"], made["dimension"], made["recall"]) == ("hybrid", 384, 1.0)
    assert "@" in made["model"]
    assert next(iter(lake.search("meaning", "big aircraft with two engines")))["tailnum"] in (
        "N1",
        "N4",
    )
