"""Scopes and the one check: what is covered, what is not, and what a refusal says."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.auth import ACTIONS, EVERYTHING, Principal, Scopes, authorize, may
from lakecore.auth._scopes import check_glob
from lakecore.base import Bug, InvalidInput, Refused

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}(\.[a-z_][a-z0-9_]{0,8})?", fullmatch=True)


def holder(*scopes: str) -> Principal:
    return Principal(name="tidy", scopes=Scopes.parse(scopes), key_id="0123456789ab")


@pytest.mark.parametrize(
    ("glob", "covered", "others"),
    [
        ("planes", ["planes", "main.planes"], ["planes2", "hr.planes", "system.planes"]),
        ("main.planes", ["planes", "main.planes"], ["hr.planes"]),
        ("main.*", ["planes", "main.x"], ["hr.planes", "system.journal"]),
        ("hr.*", ["hr.staff"], ["hr", "hr2.staff", "planes", "system.hr"]),
        ("plane*", ["planes", "plane"], ["plane.x", "aplane"]),
        ("h?.staff", ["hr.staff", "hq.staff"], ["h.staff", "hrr.staff"]),
        ("*.staff", ["hr.staff", "staff"], ["system.staff", "hr.staffs"]),
        ("*.*", ["hr.staff", "planes"], ["system.journal"]),
        ("s*.*", ["sales.x"], ["system.journal"]),
        ("system.journal", ["system.journal"], ["system.keys", "journal"]),
        ("*", ["planes", "hr.staff", "system.journal"], ["no name", "../x", "", "a.b.c", "A"]),
    ],
)
def test_what_a_glob_covers(glob: str, covered: list[str], others: list[str]) -> None:
    """Its own datasets and no other; the lake's tables only where they are meant."""
    scopes = Scopes({"read": [glob]})
    assert [name for name in covered if not scopes.covers("read", name)] == []
    assert [name for name in others if scopes.covers("read", name)] == []


@given(names)
def test_everything_is_covered_by_the_star_alone(name: str) -> None:
    """Every dataset; and the lake as a whole, which no other glob covers."""
    assert Scopes({"write": ["*"]}).covers("write", name)
    assert not Scopes({"write": [name]}).covers("write", None)


def test_actions_do_not_imply_each_other() -> None:
    """Each of the actions opens itself and nothing else, whatever the dataset."""
    for held, wanted in product(ACTIONS, ACTIONS):
        principal = holder(f"{held}:*")
        for dataset in ("planes", "system.keys", None):
            assert may(principal, wanted, dataset) == (held == wanted)


def test_nothing_is_allowed_by_default() -> None:
    """A principal without scopes may do nothing."""
    nobody = Principal(name="nobody", scopes=Scopes({}))
    for action in ACTIONS:
        with pytest.raises(Refused, match="no scope"):
            authorize(nobody, action, "planes")


def test_a_refusal_says_what_is_needed_and_what_there_is() -> None:
    """The scope that is missing, and those that the key has; nothing of the lake."""
    principal = holder("read:*", "write:hr.*")
    authorize(principal, "write", "hr.staff")
    with pytest.raises(Refused) as refused:
        authorize(principal, "write", "planes")
    told = refused.value
    assert (told.expected, told.found) == ("write:planes", "read:*, write:hr.*")
    assert told.where == "key 0123456789ab"
    with pytest.raises(Refused) as lake:
        authorize(principal, "admin")
    assert lake.value.expected == "admin:*"


def test_a_long_list_of_scopes_is_shortened() -> None:
    """An error stays short."""
    many = holder(*(f"read:d{number}" for number in range(200)))
    with pytest.raises(Refused, match="and 180 more"):
        authorize(many, "write", "planes")


@pytest.mark.parametrize(
    ("scopes", "datasets"),
    [
        (["read"], []),
        (["fly:*"], []),
        (["read:"], []),
        (["read:a.b.c"], []),
        (["read:../x"], []),
        (["read:Planes"], []),
        (["read:[a-z]"], []),
        (["read:" + "x" * 200], []),
        (["read"], ["hr.*", "two words"]),
        ([f"read:d{number}" for number in range(300)], []),
        ([7], []),
    ],
)
def test_bad_scopes(scopes: list[str], datasets: list[str]) -> None:
    """Told, not guessed."""
    with pytest.raises(InvalidInput):
        Scopes.parse(scopes, datasets=datasets)


def test_scopes_over_shared_datasets() -> None:
    """Scopes without datasets of their own are over those given for all."""
    scopes = Scopes.parse(["read", "write:hr.*"], datasets=["planes", "main.fleet"])
    assert scopes.to_list() == ["read:fleet", "read:planes", "write:hr.*"]
    assert Scopes.parse(scopes.to_list()) == scopes == Scopes(scopes.to_body())


def test_the_whole_of_main_is_not_everything() -> None:
    """Leaving ``main.`` out of a glob never makes it wider."""
    assert check_glob("main.*") != EVERYTHING
    assert check_glob("main.planes") == "planes"


def test_an_unknown_action_is_a_bug() -> None:
    """A door that asks for what there is not must not find it open."""
    with pytest.raises(Bug):
        authorize(Principal.local("ada"), "fly", "planes")


def test_the_principal_is_the_actor() -> None:
    """An author is its principal, by its key; neither can be given otherwise."""
    principal = holder("write:*")
    author = principal.author(source="http", reason="tidies", context={"request": "r1"})
    assert (author.actor, author.source, author.reason) == ("tidy", "http", "tidies")
    assert author.context == {"request": "r1", "key_id": "0123456789ab"}
    with pytest.raises(TypeError):
        principal.author(actor="ada")  # type: ignore[call-arg]  # that is what is tested
    with pytest.raises(InvalidInput, match="key_id"):
        principal.author(context={"key_id": "another"})
    with pytest.raises(InvalidInput, match="key_id"):
        Principal.local("ada").author(context={"key_id": "another"})


def test_nobody_names_another_actor() -> None:
    """A request may repeat its actor, and name no other."""
    principal = holder("write:*")
    assert principal.actor(None) == principal.actor("") == principal.actor("tidy") == "tidy"
    with pytest.raises(Refused, match="another's name"):
        principal.actor("ada")


def test_local_callers() -> None:
    """Who opened the lake's files may do everything; only persons have the owner's role."""
    ada, tidy = Principal.local("ada"), Principal.local("agent:tidy")
    assert (ada.kind, ada.roles, ada.key_id) == ("person", ("admin",), None)
    assert (tidy.kind, tidy.roles) == ("agent", ())
    assert all(may(one, action, None) for one in (ada, tidy) for action in ACTIONS)
    assert ada.author().context == {}
