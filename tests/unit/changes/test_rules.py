"""The rules of a lake: put in force, refused, seen by others, taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from lakecore.base import Conflict, CorruptData, InvalidInput, NotFound, Refused, Unavailable
from lakecore.changes._rules import Rules, RulesRefused
from lakecore.documents import Documents
from lakecore.journal import Author, Journal
from lakecore.storage import Store, open_store
from lakecore.truth import Principal

ADA = Author(actor="ada", reason="because")
SCHEMAS = {"planes": pa.schema({"tailnum": pa.string(), "seats": pa.int32()})}

SEATS = """
name = "fleet"

[[rule]]
id = "seats"
task_class = "*"
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "too many"

[[rule.test]]
context = { after = { seats = 900 } }
expect = "fired"
"""
MORE = SEATS + '\n[[tier]]\nprincipal = "agent:*"\nauto = { rows = 10 }\ndry_run = {}\n'
NOTHING_GOES = """
[[rule]]
id = "closed"
task_class = "*"
when = { always = true }
action = "deny"
message = "closed"

[[rule.test]]
context = {}
expect = "fired"
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The place of a lake."""
    store = open_store(str(tmp_path / "lake"))
    yield store
    store.close()


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Iterator[Journal]:
    """Its journal."""
    journal = Journal.open(store, tmp_path / "state")
    yield journal
    journal.close()


@pytest.fixture
def rules(store: Store, journal: Journal) -> Rules:
    """The rules of the lake, of which there are none yet."""
    return Rules(Documents(store, journal), lambda: SCHEMAS)


def test_a_lake_without_rules_allows_everything(rules: Rules) -> None:
    """And has no versions."""
    assert (rules.current().version, rules.current().rules, rules.text()) == (None, (), "")
    assert rules.current().evaluate("update", {}).allowed
    assert rules.versions() == []
    with pytest.raises(NotFound, match="expected none, found 0"):
        rules.version(0)


def test_rules_are_put_in_force(rules: Rules, journal: Journal) -> None:
    """As a version of the document, with events that say who, why and what."""
    applied = rules.apply(SEATS, author=ADA)
    assert (applied.version, applied.changed, applied.report.fit) == (0, True, True)
    assert applied.report.difference.added == ("seats",)
    assert rules.current().version == 0
    assert rules.current().evaluate("update", {"after": {"seats": 900}}).action == "deny"
    assert rules.text() == SEATS
    assert rules.apply(MORE, author=ADA).version == 1
    assert rules.current().version == 1
    journal.flush()
    events = journal.entity_history("rules", "truth")
    assert [(event.field, event.action, event.actor) for event in events] == [
        ("*", "insert", "ada"),
        ("canonical", "update", "ada"),
        ("toml", "update", "ada"),
    ]
    assert json.loads(events[2].new_value or "") == MORE


def test_the_same_rules_again_are_no_new_version(rules: Rules) -> None:
    """Nothing is journaled where nothing changes; a comment is a change of the text."""
    rules.apply(SEATS, author=ADA)
    again = rules.apply(SEATS, author=ADA)
    assert (again.version, again.changed, bool(again.report.difference)) == (0, False, False)
    noted = rules.apply("# why\n" + SEATS, author=ADA)
    assert (noted.version, noted.changed, bool(noted.report.difference)) == (1, True, False)


def test_another_process_is_seen_at_once(rules: Rules, store: Store, journal: Journal) -> None:
    """With the next question; and rules that did not change are not read again."""
    other = Rules(Documents(store, journal))
    rules.apply(SEATS, author=ADA)
    assert other.current().version == 0
    known = other.current()
    assert other.current() is known
    rules.apply(MORE, author=ADA)
    assert (other.current().version, len(other.current().tiers)) == (1, 1)


@pytest.mark.parametrize(
    ("toml", "says", "forced"),
    [
        (SEATS.replace("seats = 900", "seats = 1"), "test 'test 1' of rule seats", False),
        (SEATS.replace("after.seats", "after.seets"), "tests fail", False),
        (
            SEATS.replace("seats", "seets"),
            r"unknown_path: \[seets\] there is no column seets \(in planes\), near it: seats",
            True,
        ),
        (SEATS.replace("853", '"x"').replace("900", '"y"'), "not_comparable", True),
        (NOTHING_GOES, r"denies_everything: \[closed\]", True),
        ("[[tier]]\nauto = false\n", "denies_everything: tier entry 1 blocks every", True),
        ('default = "deny"\n', "denies_everything: the default is deny", True),
        (
            NOTHING_GOES + NOTHING_GOES.replace("closed", "open").replace('"deny"', '"allow"'),
            r"contradiction: \[closed, open\]",
            True,
        ),
    ],
)
def test_rules_that_are_refused(rules: Rules, toml: str, says: str, forced: bool) -> None:
    """Failing tests always; what else is wrong unless it is forced. Nothing is stored."""
    with pytest.raises(RulesRefused, match=says):
        rules.apply(toml, author=ADA)
    assert rules.versions() == []
    if forced:
        assert rules.apply(toml, author=ADA, force=True).version == 0
    else:
        with pytest.raises(RulesRefused, match=says):
            rules.apply(toml, author=ADA, force=True)


def test_a_refusal_tells_everything(rules: Rules) -> None:
    """The report has all findings and failed tests, as JSON, too."""
    with pytest.raises(RulesRefused) as raised:
        rules.apply(SEATS.replace("seats = 900", "seats = 1"), author=ADA, source="fleet.toml")
    report = raised.value.report
    assert (report.fit, len(report.failed), raised.value.where) == (False, 1, "fleet.toml")
    assert json.loads(json.dumps(report.to_dict()))["failed"][0]["test"] == "test 1"
    many = "".join(NOTHING_GOES.replace("closed", f"closed-{n}") for n in range(5))
    with pytest.raises(RulesRefused, match="and 2 more"):
        rules.apply(many, author=ADA)


def test_what_does_not_read_is_refused(rules: Rules) -> None:
    """With the source, and the member that was meant."""
    with pytest.raises(InvalidInput, match=r"fleet\.toml.*actoin: expected action"):
        rules.apply(SEATS.replace("action =", "actoin ="), author=ADA, source="fleet.toml")


def test_the_way_out_of_rules_that_deny_everything(rules: Rules) -> None:
    """No rule is asked about changes of the rules: others are put in their place."""
    rules.apply(NOTHING_GOES, author=ADA, force=True)
    assert not rules.current().evaluate("update", {}).allowed
    assert rules.apply(SEATS, author=ADA).version == 1
    assert rules.current().evaluate("update", {"after": {"seats": 1}}).allowed


def test_only_admins(rules: Rules) -> None:
    """A principal needs the role; without one it is the owner of the place."""
    with pytest.raises(Refused, match="expected the role admin, found bo with operator"):
        rules.apply(SEATS, author=ADA, principal=Principal("bo", roles=["operator"]))
    assert rules.versions() == []
    rules.apply(SEATS, author=ADA, principal=Principal("eve", roles=["admin"]))


def test_versions_and_what_is_between_them(rules: Rules) -> None:
    """Each with its author and hash, the newest first."""
    rules.apply(SEATS, author=ADA)
    rules.apply(MORE, author=Author(actor="bo", source="cli"))
    newest, oldest = rules.versions()
    assert (newest.version, newest.actor, newest.source, newest.tiers) == (1, "bo", "cli", 1)
    assert (oldest.version, oldest.reason, oldest.rules) == (0, "because", 1)
    assert newest.hash == rules.current().hash
    assert oldest.hash == rules.version(0).hash
    assert [one.version for one in rules.versions(limit=1)] == [1]
    assert len(rules.diff(0).tiers_added) == 1
    assert len(rules.diff(1, 0).tiers_removed) == 1
    assert rules.text(0) == SEATS
    for version in (2, -1):
        with pytest.raises(NotFound, match="expected 0 to 1"):
            rules.version(version)


def test_back_to_an_older_version(rules: Rules, journal: Journal) -> None:
    """As a new version with the old text, journaled as a rollback."""
    rules.apply(SEATS, author=ADA)
    rules.apply(MORE, author=ADA)
    assert rules.rollback(0, author=ADA).version == 2
    assert (rules.text(), rules.current().hash) == (SEATS, rules.version(0).hash)
    journal.flush()
    assert journal.entity_history("rules", "truth")[-1].action == "rollback"
    assert rules.rollback(2, author=ADA).changed is False
    with pytest.raises(NotFound):
        rules.rollback(9, author=ADA)


def test_based_on_rules_that_are_no_longer_in_force(rules: Rules) -> None:
    """Who decided upon other rules is told, and nothing is lost."""
    none = rules.current()
    rules.apply(SEATS, author=ADA, based_on=none)
    with pytest.raises(Conflict, match="expected version None, found version 0"):
        rules.apply(MORE, author=ADA, based_on=none)
    rules.apply(MORE, author=ADA, based_on=rules.current())
    assert rules.current().version == 1


def test_many_writers_lose_nothing(rules: Rules) -> None:
    """Every set of rules that was put in force is a version."""
    texts = [SEATS.replace("853", str(853 + number)) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: rules.apply(text, author=ADA), texts))
    assert sorted(rules.text(one.version) for one in rules.versions()) == sorted(texts)


def test_a_store_that_does_not_answer(
    rules: Rules, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules cannot be told: an error, and never the rules of before."""
    rules.apply(SEATS, author=ADA)
    assert rules.current().version == 0

    def silent(*_: object, **__: object) -> None:
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(store, "exists", silent)
    with pytest.raises(Unavailable):
        rules.current()


def test_damaged_rules_are_no_rules_at_all(rules: Rules, store: Store, journal: Journal) -> None:
    """They are an error: a lake whose rules cannot be read allows nothing."""
    rules.apply(SEATS, author=ADA)
    (info,) = store.list_objects("documents/truth/")
    data = store.get(info.path)
    store.delete(info.path)
    store.create(info.path, data.replace(b"value = 853", b"value = 999"))
    with pytest.raises(CorruptData, match="differ"):
        Rules(Documents(store, journal)).current()
