"""The catalog: names, drop with protection and grace, and renames that cannot be half done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakecore.base import AlreadyExists, InvalidInput, ManualClock, NotFound, Refused
from lakecore.catalog import Catalog, Dataset, State, check_dataset_name, split_name
from lakecore.documents import Documents
from lakecore.journal import Author, Journal
from lakecore.storage import Store, open_store

ADA = Author(actor="ada")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "lake"))
    yield store
    store.close()


@pytest.fixture
def documents(store: Store, tmp_path: Path) -> Iterator[Documents]:
    journal = Journal.open(store, tmp_path / "state")
    yield Documents(store, journal)
    journal.close()


@pytest.fixture
def catalog(documents: Documents) -> Catalog:
    return Catalog(documents)


def register(catalog: Catalog, name: str, **options: Any) -> Dataset:
    return catalog.register(catalog.propose(name, **options), author=ADA)


def names(catalog: Catalog) -> list[str]:
    return [dataset.name for dataset in catalog.list_datasets()]


def test_register_and_read(catalog: Catalog) -> None:
    """What was registered is what is read."""
    made = register(catalog, "planes", key=["tailnum"], entity_type="plane", contract="freeze")
    assert catalog.get("planes") == made == catalog.get("main.planes")
    assert (made.key, made.entity_type, made.contract) == (("tailnum",), "plane", "freeze")
    assert register(catalog, "hr.staff").location == "tables/hr/staff"
    assert names(catalog) == ["hr.staff", "planes"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("My Table", "my_table"), ("2020", "_2020"), ("a.b.c", "a.b.c"), ("", None), ("é", None)],
)
def test_a_bad_name_is_refused_with_a_better_one(name: str, hint: str | None) -> None:
    """Names never need quotes in SQL; the error offers one that does not."""
    with pytest.raises(InvalidInput) as caught:
        check_dataset_name(name)
    assert (hint or "") in (caught.value.hint or "")


def test_the_system_schema_is_ours(catalog: Catalog) -> None:
    """Users do not make datasets in `system`."""
    with pytest.raises(InvalidInput, match="Lakecore's own"):
        catalog.propose("system.mine")
    assert catalog.propose("system.quarantine", system=True).location == "tables/system/quarantine"
    assert split_name("system.x") == ("system", "x")


def test_a_name_is_taken_once(catalog: Catalog) -> None:
    """The second dataset of a name is refused; registering the same one again is not."""
    made = register(catalog, "planes")
    with pytest.raises(AlreadyExists, match="planes"):
        register(catalog, "planes")
    assert catalog.register(made, author=ADA) == made


def test_not_found_names_the_nearest(catalog: Catalog) -> None:
    """A typing error gets the name that was meant."""
    register(catalog, "planes")
    with pytest.raises(NotFound) as caught:
        catalog.get("plane")
    assert caught.value.hint == "did you mean planes?"


def test_change_refuses_what_cannot_change(catalog: Catalog) -> None:
    """Key, place and id stay; contracts are checked."""
    register(catalog, "planes")
    assert catalog.change("planes", author=ADA, owner="ops", contract="freeze").owner == "ops"
    with pytest.raises(InvalidInput, match="not a property"):
        catalog.change("planes", author=ADA, location="elsewhere")
    with pytest.raises(InvalidInput, match="unknown contract"):
        catalog.change("planes", author=ADA, contract="loose")


def test_protection_refuses_a_drop(catalog: Catalog) -> None:
    """A protected dataset is dropped only after its protection was taken off."""
    register(catalog, "planes")
    catalog.change("planes", author=ADA, protected=True)
    with pytest.raises(Refused, match="protected"):
        catalog.drop("planes", author=ADA)
    catalog.change("planes", author=ADA, protected=False)
    assert catalog.drop("planes", author=ADA).state is State.DROPPED


def test_drop_hides_and_undrop_brings_back(documents: Documents) -> None:
    """A drop has a grace; the same dataset returns, with its id."""
    clock = ManualClock(10_000_000)
    catalog = Catalog(documents, clock)
    made = register(catalog, "planes")
    dropped = catalog.drop("planes", author=ADA, grace_days=2)
    assert dropped.purge_after_us == 10_000_000 + 2 * 24 * 3600 * 1_000_000
    assert names(catalog) == []
    assert [d.name for d in catalog.list_datasets(dropped=True)] == ["planes"]
    with pytest.raises(NotFound) as caught:
        catalog.get("planes")
    assert "undrop" in (caught.value.hint or "")
    assert catalog.undrop("planes", author=ADA).dataset_id == made.dataset_id
    with pytest.raises(NotFound, match="no dropped dataset"):
        catalog.undrop("planes", author=ADA)


def test_a_grace_ends(documents: Documents) -> None:
    """At its last microsecond a drop can be undone, after it not any more."""
    clock = ManualClock(10_000_000)
    catalog = Catalog(documents, clock)
    register(catalog, "planes")
    dropped = catalog.drop("planes", author=ADA, grace_days=2)
    assert dropped.purge_after_us is not None
    clock.set(dropped.purge_after_us + 1)
    with pytest.raises(Refused, match="grace") as caught:
        catalog.undrop("planes", author=ADA)
    assert "tables/main/planes" in (caught.value.hint or "")
    clock.set(dropped.purge_after_us)
    assert catalog.undrop("planes", author=ADA).active


def test_a_name_used_again_is_another_dataset(catalog: Catalog) -> None:
    """Neither id nor place is ever used twice."""
    first = register(catalog, "planes")
    catalog.drop("planes", author=ADA)
    second = register(catalog, "planes")
    assert first.dataset_id != second.dataset_id
    assert first.location != second.location


def test_rename_keeps_id_place_and_properties(catalog: Catalog) -> None:
    """Only the name changes; the old one is free and says where it went."""
    made = register(catalog, "planes", key=["tailnum"])
    renamed = catalog.rename("planes", "aircraft", author=ADA)
    assert (renamed.dataset_id, renamed.location, renamed.key) == (
        made.dataset_id,
        made.location,
        made.key,
    )
    assert names(catalog) == ["aircraft"]
    with pytest.raises(NotFound) as caught:
        catalog.get("planes")
    assert caught.value.hint == "it was renamed to aircraft"
    register(catalog, "planes")
    assert names(catalog) == ["aircraft", "planes"]
    with pytest.raises(AlreadyExists):
        catalog.rename("planes", "aircraft", author=ADA)


def test_rename_there_and_back(catalog: Catalog) -> None:
    """a → b → a, twice: one dataset, one id."""
    made = register(catalog, "a")
    for old, new in (("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")):
        catalog.rename(old, new, author=ADA)
        assert names(catalog) == [new]
    assert catalog.get("a").dataset_id == made.dataset_id


class Killed(BaseException):
    """Stands for a process that dies at a step."""


@pytest.mark.parametrize("writes", range(4))
def test_a_rename_that_dies_is_done_or_not_done(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Killed after any number of its writes: one name, seen by all, and the next change works."""
    catalog = Catalog(documents)
    made = register(catalog, "a")
    real = documents.change
    left = writes

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return real(*args, **options)

    monkeypatch.setattr(documents, "change", dying)
    with contextlib.suppress(Killed):
        catalog.rename("a", "b", author=ADA)
    monkeypatch.undo()
    now = names(catalog)
    assert now == (["a"] if writes == 0 else ["b"])
    assert catalog.get(now[0]).dataset_id == made.dataset_id
    catalog.change(now[0], author=ADA, owner="ops")
    assert names(catalog) == now
    other = "b" if now == ["a"] else "a"
    register(catalog, other)
    assert names(catalog) == ["a", "b"]
    catalog.drop(now[0], author=ADA)
    assert names(catalog) == [other]


def test_a_rename_to_a_name_that_is_taken_meanwhile_is_undone(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name goes to whoever registered it; the renamed dataset keeps its own."""
    catalog = Catalog(documents)
    made = register(catalog, "a")
    real = documents.change
    calls = 0

    def slow(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            monkeypatch.undo()
            # Bypasses settling, as a process that looked before the rename would.
            winner = catalog.propose("b")
            real("datasets", "b", lambda now: winner.to_body(), author=ADA)
        return real(*args, **options)

    monkeypatch.setattr(documents, "change", slow)
    with pytest.raises(AlreadyExists, match="meanwhile"):
        catalog.rename("a", "b", author=ADA)
    assert names(catalog) == ["a", "b"]
    assert catalog.get("a").dataset_id == made.dataset_id


def test_fields_of_a_newer_version_survive_a_change(documents: Documents) -> None:
    """What this version does not know is kept in the document."""
    catalog = Catalog(documents)
    register(catalog, "a")
    documents.change("datasets", "a", lambda now: {**now.body, "retention_days": 30}, author=ADA)
    catalog.change("a", author=ADA, owner="ops")
    assert documents.get("datasets", "a").body["retention_days"] == 30
