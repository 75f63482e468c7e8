"""Keys: made, told apart, rotated, revoked; clocks that jump; stores that do not answer."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.seconds import Seconds

from lakecore.auth import BOUND_S, Key, Keys, NewKey, State
from lakecore.auth._attempts import MAX_FAILURES
from lakecore.auth._key import MAX_TIME_US
from lakecore.auth._known import REFRESH_S
from lakecore.auth._text import key_text
from lakecore.base import (
    Conflict,
    CorruptData,
    InvalidInput,
    ManualClock,
    NotFound,
    Refused,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.documents import Documents
from lakecore.journal import Author, Journal
from lakecore.storage import Store, open_store

OWNER = Author(actor="ada", source="cli")
HOUR_US = 3_600 * 1_000_000


def make(keys: Keys, principal: str = "agent:tidy", **parts: Any) -> NewKey:
    return keys.create(principal, **{"scopes": ["read:*"], "author": OWNER, **parts})


def refusal(keys: Keys, text: str | None) -> dict[str, str]:
    with pytest.raises(Unauthenticated) as refused:
        keys.authenticate(text)
    return refused.value.to_dict()


def elsewhere(store: Store, journal: Journal, clock: ManualClock, seconds: Seconds) -> Keys:
    """The same keys as another process knows them."""
    return Keys(Documents(store, journal, clock), clock, monotonic_s=seconds)


def test_a_key_opens(keys: Keys) -> None:
    """The principal is what the key was made with."""
    made = make(keys, roles=["chief"], trust=0.5, scopes=["read:*", "write:hr.*"], note="for CI")
    principal = keys.authenticate(made.text)
    assert principal == made.key.principal
    assert (principal.name, principal.kind, principal.roles) == ("agent:tidy", "agent", ("chief",))
    assert (principal.trust, principal.key_id) == (0.5, made.key.id)
    assert keys.get(made.key.id) == made.key == keys.list_keys()[0]
    assert keys.state(made.key) is State.LIVE


def test_no_key(keys: Keys) -> None:
    """Nothing given is told as that."""
    assert "needed" in refusal(keys, None)["message"] == refusal(keys, "")["message"]


def test_other_secrets_open_nothing(keys: Keys) -> None:
    """A key with the right id and checksum, whatever its secret: refused, as is any other id."""
    made = make(keys)

    @settings(max_examples=300)
    @given(st.binary(min_size=32, max_size=32), st.sampled_from([made.key.id, "0" * 12]))
    def refused(secret: bytes, key_id: str) -> None:
        with pytest.raises(Unauthenticated):
            keys.authenticate(key_text(key_id, secret))

    refused()
    assert keys.authenticate(made.text).key_id == made.key.id


def test_refusals_are_alike(keys: Keys, clock: ManualClock) -> None:
    """Unknown, wrong secret, revoked, expired, rotated away: the same error in every part."""
    revoked, expired, rotated = make(keys), make(keys, expires_us=clock.now_us() + 1), make(keys)
    keys.revoke(revoked.key.id, author=OWNER)
    keys.rotate(rotated.key.id, author=OWNER, overlap_s=0)
    clock.advance(1)
    wrong = key_text(make(keys).key.id, bytes(32))
    unknown = key_text("0" * 12, bytes(32))
    texts = [unknown, wrong, revoked.text, expired.text, rotated.text]
    assert len({json.dumps(refusal(keys, text)) for text in texts}) == 1


def test_refusals_do_the_same_work(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash, one comparison and one look at the key's life, whichever refusal it is."""
    known = make(keys)
    keys.revoke(known.key.id, author=OWNER)
    compared: list[int] = []
    states: list[str] = []
    compare: Callable[[str, str], bool] = hmac.compare_digest
    state = Key.state

    def counted(one: str, other: str) -> bool:
        compared.append(len(one) + len(other))
        return compare(one, other)

    def looked(key: Key, now_us: int) -> State:
        states.append(key.id)
        return state(key, now_us)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    monkeypatch.setattr(Key, "state", looked)
    for text in (known.text, key_text(known.key.id, bytes(32)), key_text("0" * 12, bytes(32))):
        refusal(keys, text)
    assert compared == [128] * 3
    assert len(states) == 3


def test_unknown_keys_cost_no_look_up(keys: Keys, store: Store, seconds: Seconds) -> None:
    """However many are tried, the store is asked once in a while."""
    make(keys)
    listings = count_listings(keys)
    for number in range(50):
        refusal(keys, key_text(f"{number:012d}", bytes(32)))
    assert listings == []
    seconds.wait(REFRESH_S)
    for number in range(50):
        refusal(keys, key_text(f"{number:012d}", bytes(32)))
    assert len(listings) == 1


def count_listings(keys: Keys) -> list[str]:
    documents = keys._documents
    listings: list[str] = []
    newest = documents.newest_versions

    def counted(kind: str) -> dict[str, int]:
        listings.append(kind)
        return newest(kind)

    documents.newest_versions = counted  # type: ignore[method-assign]  # counted for this test
    return listings


def test_revoked_here_at_once(keys: Keys) -> None:
    """The process that revokes lets it in no more; what goes on is told when it asks."""
    made = make(keys)
    principal = keys.authenticate(made.text)
    keys.recheck(principal)
    revoked = keys.revoke(made.key.id, author=OWNER)
    refusal(keys, made.text)
    with pytest.raises(Unauthenticated):
        keys.recheck(principal)
    assert keys.revoke(made.key.id, author=OWNER) == revoked


def test_revoked_everywhere_within_the_bound(
    keys: Keys, store: Store, journal: Journal, clock: ManualClock, seconds: Seconds
) -> None:
    """Another process, which has just looked, lets it in for less than five seconds more."""
    made = make(keys)
    other = elsewhere(store, journal, clock, seconds)
    other.authenticate(made.text)
    keys.revoke(made.key.id, author=OWNER)
    other.authenticate(made.text)
    seconds.wait(REFRESH_S)
    refusal(other, made.text)
    assert REFRESH_S < BOUND_S < 5


def test_revoked_while_requests_come(tmp_path: Path) -> None:
    """By the real clock: a process that lets a key in every millisecond stops within 5 s."""
    place = str(tmp_path / "lake")
    with (
        closing(open_store(place)) as ours,
        closing(open_store(place)) as theirs,
        Journal.open(ours, tmp_path / "ours") as our_journal,
        Journal.open(theirs, tmp_path / "theirs") as their_journal,
    ):
        here, there = Keys(Documents(ours, our_journal)), Keys(Documents(theirs, their_journal))
        made = make(here)
        there.authenticate(made.text)
        here.revoke(made.key.id, author=OWNER)
        began_s = time.monotonic()
        let_in = 0
        with suppress(Unauthenticated):
            while time.monotonic() - began_s < 10:
                there.authenticate(made.text)
                let_in += 1
                time.sleep(0.001)
        assert let_in > 0
        assert time.monotonic() - began_s < 5


def test_made_elsewhere(
    keys: Keys, store: Store, journal: Journal, clock: ManualClock, seconds: Seconds
) -> None:
    """A new key opens in every process after the next look."""
    other = elsewhere(store, journal, clock, seconds)
    refusal(other, None)
    other.list_keys()
    made = make(keys)
    seconds.wait(REFRESH_S)
    assert other.authenticate(made.text).name == "agent:tidy"


def test_a_store_that_does_not_answer(keys: Keys, seconds: Seconds) -> None:
    """What is known is trusted up to the bound, then nobody gets in; then all is well again."""
    made = make(keys)
    keys.authenticate(made.text)
    newest = keys._documents.newest_versions
    asked: list[str] = []

    def away(kind: str) -> dict[str, int]:
        asked.append(kind)
        raise Unavailable("away")

    keys._documents.newest_versions = away  # type: ignore[method-assign]  # a fault
    seconds.wait(REFRESH_S)
    for _ in range(10):
        keys.authenticate(made.text)
    assert len(asked) == 1
    seconds.wait(BOUND_S - REFRESH_S - 0.001)
    keys.authenticate(made.text)
    seconds.wait(0.001)
    with pytest.raises(Unavailable):
        keys.authenticate(made.text)
    keys._documents.newest_versions = newest  # type: ignore[method-assign]  # it is back
    keys.authenticate(made.text)


def test_one_looks_and_the_others_go_on(keys: Keys, seconds: Seconds) -> None:
    """While a slow store is asked, others get in by what is known."""
    made = make(keys)
    keys.authenticate(made.text)
    newest, asked, go = keys._documents.newest_versions, threading.Event(), threading.Event()

    def slow(kind: str) -> dict[str, int]:
        asked.set()
        go.wait(10)
        return newest(kind)

    keys._documents.newest_versions = slow  # type: ignore[method-assign]  # a fault
    seconds.wait(REFRESH_S)
    looking = threading.Thread(target=keys.authenticate, args=(made.text,))
    looking.start()
    assert asked.wait(10)
    try:
        assert keys.authenticate(made.text).name == "agent:tidy"
    finally:
        go.set()
        looking.join()


def test_expiry_and_clocks_that_jump(keys: Keys, clock: ManualClock, seconds: Seconds) -> None:
    """Set back, a clock revives nothing; ahead and back again, it ends nothing for good."""
    made = make(keys, expires_us=clock.now_us() + HOUR_US)
    start_us = clock.now_us()
    clock.set(start_us + 100 * HOUR_US)
    refusal(keys, made.text)
    clock.set(start_us)
    keys.authenticate(made.text)
    seconds.wait(3_599)
    keys.authenticate(made.text)
    seconds.wait(1)
    clock.set(0)
    refusal(keys, made.text)


def test_rotation_has_two_live_keys(keys: Keys, clock: ManualClock) -> None:
    """Both open for the overlap, as the same principal; then the new one alone."""
    old = make(keys, "ada", scopes=["admin:*"], roles=["chief"], note="desk")
    new = keys.rotate(old.key.id, author=OWNER, overlap_s=3_600)
    ours, theirs = keys.authenticate(old.text), keys.authenticate(new.text)
    assert replace(ours, key_id=None) == replace(theirs, key_id=None)
    assert new.key.rotated_from == old.key.id
    assert new.key.note == "desk"
    assert keys.get(old.key.id).rotated_to == new.key.id
    clock.advance(HOUR_US)
    refusal(keys, old.text)
    keys.authenticate(new.text)
    assert keys.state(keys.get(old.key.id)) is State.ROTATED


def test_rotation_keeps_the_length_of_life(keys: Keys, clock: ManualClock) -> None:
    """A successor lives as long as the old key was to; another end may be given."""
    old = make(keys, expires_us=clock.now_us() + 10 * HOUR_US)
    clock.advance(4 * HOUR_US)
    new = keys.rotate(old.key.id, author=OWNER)
    assert new.key.expires_us == clock.now_us() + 10 * HOUR_US
    last = keys.rotate(new.key.id, author=OWNER, expires_us=clock.now_us() + 1)
    assert last.key.expires_us == clock.now_us() + 1
    clock.advance(6 * HOUR_US)
    refusal(keys, old.text)


def test_what_is_not_rotated(keys: Keys) -> None:
    """Ended keys, keys that have a successor, keys that are not there."""
    revoked, old = make(keys), make(keys)
    keys.revoke(revoked.key.id, author=OWNER)
    with pytest.raises(Refused, match="live"):
        keys.rotate(revoked.key.id, author=OWNER)
    new = keys.rotate(old.key.id, author=OWNER)
    with pytest.raises(Conflict, match=new.key.id):
        keys.rotate(old.key.id, author=OWNER)
    with pytest.raises(InvalidInput, match="overlap"):
        keys.rotate(new.key.id, author=OWNER, overlap_s=-1)
    with pytest.raises(NotFound):
        keys.rotate("0" * 12, author=OWNER)


def test_two_rotate_one_key(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second hears of it, and its successor opens nothing."""
    old = make(keys)
    enter = keys._enter
    successors: list[NewKey] = []

    def late(*parts: Any) -> NewKey:
        made = enter(*parts)
        successors.append(made)
        if len(successors) == 1:
            successors.append(keys.rotate(old.key.id, author=OWNER))
        return made

    monkeypatch.setattr(keys, "_enter", late)
    with pytest.raises(Conflict):
        keys.rotate(old.key.id, author=OWNER)
    loser, winner = successors[0], successors[-1]
    assert keys.authenticate(winner.text)
    assert keys.get(old.key.id).rotated_to == winner.key.id
    refusal(keys, loser.text)


@pytest.mark.parametrize(
    "parts",
    [
        {"principal": ""},
        {"principal": "two\nlines"},
        {"principal": " ada"},
        {"principal": "x" * 201},
        {"principal": "external:spark"},
        {"principal": "agent:tidy", "kind": "person"},
        {"kind": "robot"},
        {"roles": ["a b"]},
        {"roles": ["x"] * 65},
        {"trust": 1.1},
        {"trust": float("nan")},
        {"scopes": []},
        {"expires_us": 1},
        {"expires_us": MAX_TIME_US + 1},
        {"note": "x" * 501},
        {"note": key_text("0" * 12, bytes(32))},
        {"principal": key_text("0" * 12, bytes(32))},
    ],
)
def test_bad_keys_are_not_made(keys: Keys, parts: dict[str, Any]) -> None:
    """Refused before anything is written, without repeating a key that stood in a part."""
    with pytest.raises(InvalidInput) as refused:
        make(keys, **parts)
    assert key_text("0" * 12, bytes(32))[16:] not in str(refused.value.to_dict())
    assert keys.list_keys() == []


def test_damaged_documents(keys: Keys, store: Store, seconds: Seconds) -> None:
    """A key that cannot be read opens nothing, is told, and locks nobody else out."""
    good, bad, newer = make(keys), make(keys), make(keys)
    for made, damage in (
        (bad, ('"trust"', '"t"')),
        (newer, ('"format": 1,\n  "p', '"format": 2,\n  "p')),
    ):
        path = f"documents/keys/{made.key.id}/{0:020d}.json"
        text = store.get(path).decode()
        assert damage[0] in text
        store.create(
            path.replace(f"{0:020d}", f"{1:020d}"),
            text.replace(*damage).replace('"version": 0', '"version": 1').encode(),
        )
    seconds.wait(REFRESH_S)
    keys.authenticate(good.text)
    refusal(keys, bad.text)
    refusal(keys, newer.text)
    with pytest.raises(CorruptData, match=bad.key.id):
        keys.get(bad.key.id)
    with pytest.raises(UnsupportedFormat, match=newer.key.id):
        keys.get(newer.key.id)


def test_members_of_newer_releases_are_left_alone(keys: Keys, store: Store) -> None:
    """What a document has beyond ours is there after a change."""
    made = make(keys)
    documents = keys._documents
    documents.change("keys", made.key.id, lambda now: {**now.body, "pet": "x"}, author=OWNER)  # type: ignore[union-attr,dict-item]  # it is there
    keys.revoke(made.key.id, author=OWNER)
    document = documents.get("keys", made.key.id)
    assert document is not None
    assert document.body is not None
    assert document.body["pet"] == "x"


def test_last_used_without_a_write_a_request(
    keys: Keys, clock: ManualClock, journal: Journal, tmp_path: Path
) -> None:
    """To the minute, in the state directory; nothing is journaled for a use."""
    made = make(keys)
    events = journal.stats()["total_events_created"]
    first_us = clock.now_us()
    keys.authenticate(made.text)
    file = tmp_path / "state" / "keys-used" / made.key.id
    assert keys.last_used_us() == {made.key.id: first_us}
    clock.advance(59 * 1_000_000)
    keys.authenticate(made.text)
    assert file.stat().st_mtime_ns == first_us * 1_000
    clock.advance(1_000_000)
    keys.authenticate(made.text)
    assert file.stat().st_mtime_ns == clock.now_us() * 1_000
    assert file.stat().st_size == 0
    assert journal.stats()["total_events_created"] == events
    again = Keys(keys._documents, clock, state_dir=tmp_path / "state")
    assert again.last_used_us() == {made.key.id: clock.now_us()}


def test_a_full_disk_locks_nobody_out(keys: Keys, tmp_path: Path) -> None:
    """When a use cannot be noted, the key opens all the same."""
    made = make(keys)
    folder = tmp_path / "state" / "keys-used"
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    assert keys.authenticate(made.text).name == "agent:tidy"


def test_many_wrong_keys_from_one_address(keys: Keys, seconds: Seconds) -> None:
    """They are told to wait; a right key from the same address gets in."""
    made = make(keys)
    wrong = key_text("0" * 12, bytes(32))
    for _ in range(MAX_FAILURES):
        with pytest.raises(Unauthenticated):
            keys.authenticate(wrong, address="10.0.0.1")
    with pytest.raises(TooManyRequests) as told:
        keys.authenticate("lc_nonsense", address="10.0.0.1")
    assert 0 < told.value.retry_after_s <= 60
    keys.authenticate(made.text, address="10.0.0.1")
    with pytest.raises(Unauthenticated):
        keys.authenticate(wrong, address="10.0.0.2")
    with pytest.raises(Unauthenticated, match="needed"):
        keys.authenticate(None, address="10.0.0.1")
    seconds.wait(60)
    with pytest.raises(Unauthenticated):
        keys.authenticate(wrong, address="10.0.0.1")


def test_who_came_with_an_ended_key(keys: Keys) -> None:
    """Kind, roles and trust are a fact of history."""
    made = make(keys, roles=["chief"])
    keys.revoke(made.key.id, author=OWNER)
    assert keys.principal_of(made.key.id).roles == ("chief",)
    with pytest.raises(NotFound):
        keys.principal_of("0" * 12)


def test_a_whole_key_given_for_an_id(keys: Keys) -> None:
    """It does not come back in the error."""
    made = make(keys)
    for ask in (keys.get, lambda text: keys.revoke(text, author=OWNER)):
        with pytest.raises(NotFound) as refused:
            ask(made.text)
        assert made.text[16:] not in str(refused.value.to_dict())


def test_changes_of_keys_are_journaled(keys: Keys, journal: Journal) -> None:
    """Who made, rotated and revoked which key, and why."""
    made = make(keys, author=replace(OWNER, reason="for the hangar"))
    keys.rotate(made.key.id, author=OWNER)
    keys.revoke(made.key.id, author=OWNER)
    journal.flush()
    events = journal.entity_history(made.key.id, "keys")
    assert [event.action for event in events] == ["create", "rotate", "rotate", "revoke"]
    assert {event.actor for event in events} == {"ada"}
    assert "for the hangar" in events[0].context
