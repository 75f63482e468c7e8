"""Proofs and tiles of a journal, checked by a client that believes a checkpoint alone."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from tests.fakes.journals import MANUAL, sample

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.journal import Journal
from lakecore.journal._events.leaf import leaf_line
from lakecore.storage import Store, open_store
from lakecore.tlog import (
    Checkpoint,
    LogProof,
    SignedNote,
    check_consistency,
    check_inclusion,
    fetch_entry,
    parse_tile_path,
)

ORIGIN = "example.com/log"
SIZES = (0, 1, 300, 65_700)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Path]:
    """The objects of a journal with a checkpoint at each of `SIZES`, and its state directory."""
    folder = tmp_path_factory.mktemp("signed")
    store = open_store("memory://")
    with Journal.open(store, folder / "state", settings=MANUAL, origin=ORIGIN) as journal:
        journal.checkpoint()
        for before, size in pairwise(SIZES):
            journal.record_batch(sample("e", size - before, first=before))
            journal.seal()
            assert journal.checkpoint().size == size
    return {info.path: store.get(info.path) for info in store.list_objects("")}, folder / "state"


@pytest.fixture
def store(signed: tuple[dict[str, bytes], Path]) -> Store:
    copy = open_store("memory://")
    for path, data in signed[0].items():
        copy.create(path, data)
    return copy


@pytest.fixture
def journal(store: Store, signed: tuple[dict[str, bytes], Path], tmp_path: Path) -> Journal:
    """The journal as a machine sees it that has no key."""
    return Journal.open(store, tmp_path / "reader", settings=MANUAL, origin=ORIGIN)


def fetcher(journal: Journal) -> object:
    """A gateway's handler of tile paths, as a client calls it."""

    def fetch(path: str) -> bytes:
        tile = parse_tile_path(path)
        width = None if tile.width == 256 else tile.width
        if tile.level is None:
            return journal.prover.entries(tile.index, width)
        return journal.prover.tile(tile.level, tile.index, width)

    return fetch


def head(journal: Journal, size: int) -> Checkpoint:
    return journal.prover.at(size).checkpoint


@pytest.mark.parametrize("seq", [0, 299, 300, 65_535, 65_536, 65_699])
def test_an_event_is_proved(journal: Journal, seq: int) -> None:
    """The entry is the event's leaf; the proof's text verifies with the log's key alone."""
    made = journal.prove(seq)
    (event,) = journal.query(event_id=f"e:{seq}").items
    assert made.entry == leaf_line(event)
    proof = LogProof.parse(made.to_bytes())
    from lakecore.journal._prove.keys import load_keys

    assert (proof.index, proof.checkpoint.size) == (seq, 65_700)
    assert load_keys(Path(journal._state_dir), ORIGIN) is None
    assert journal.prove(f"e:{seq}") == made
    shown = made.to_dict()
    assert json.loads(shown["entry"])["event_id"] == f"e:{seq}"


def test_a_proof_verifies_with_the_key(
    journal: Journal, signed: tuple[dict[str, bytes], Path]
) -> None:
    """The signer's verifier key, which came another way, is all that is needed."""
    from lakecore.journal._prove.keys import load_keys

    keys = load_keys(signed[1], ORIGIN)
    assert keys is not None
    made = journal.prove(12_345)
    assert made.proof.verify(made.leaf_hash, ORIGIN, [keys.current.key]).size == 65_700


def test_growth_is_proved(journal: Journal) -> None:
    """From every checkpoint to every later one."""
    for old in SIZES:
        for size in SIZES:
            if old <= size:
                made = journal.consistency(old, size)
                assert made.holds()
                assert Checkpoint.of(SignedNote.parse(made.to_dict()["new"].encode())).size == size
    with pytest.raises(InvalidInput):
        journal.consistency(300, 1)
    with pytest.raises(NotFound):
        journal.consistency(2)


def test_a_client_needs_tiles_and_a_checkpoint(journal: Journal) -> None:
    """Entries, inclusion and growth through the tiles that a gateway would serve."""
    fetch = fetcher(journal)
    for size in SIZES[1:]:
        checkpoint = head(journal, size)
        for index in {0, size // 2, size - 1}:
            entry = fetch_entry(fetch, checkpoint, index)  # type: ignore[arg-type]  # a function
            assert json.loads(entry)["event_id"] == f"e:{index}"
        with pytest.raises(CorruptData):
            check_inclusion(fetch, checkpoint, 0, bytes(32))  # type: ignore[arg-type]  # a function
        check_consistency(fetch, head(journal, 1), checkpoint)  # type: ignore[arg-type]  # a function


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [
        (0, 256, None),
        (0, 256, 165),
        (0, 257, 1),
        (0, -1, None),
        (0, 0, 0),
        (0, 0, 257),
        (1, 1, 1),
        (3, 0, 1),
        (64, 0, 1),
        (-1, 0, 1),
        (0, 2**70, 1),
    ],
)
def test_tiles_beyond_the_checkpoint_are_not_served(
    journal: Journal, level: int, index: int, width: int | None
) -> None:
    """Nothing that is not signed, nothing that no tree has: `NotFound`."""
    with pytest.raises(NotFound):
        journal.prover.tile(level, index, width)


def test_entries_beyond_the_checkpoint_are_not_served(journal: Journal) -> None:
    """Sealed and not yet signed is not served either."""
    journal.record_batch(sample("new", 100))
    journal.seal()
    with pytest.raises(NotFound):
        journal.prover.entries(256, 165)
    assert journal.prover.entries(256, 164)


def test_without_a_checkpoint_there_is_nothing(tmp_path: Path) -> None:
    """No tile, no proof of growth, no cosignature."""
    empty = open_store("memory://")
    with Journal.open(empty, tmp_path, settings=MANUAL, origin=ORIGIN) as journal:
        for call in (
            lambda: journal.prover.tile(0, 0),
            lambda: journal.prover.entries(0),
            lambda: journal.consistency(0),
            lambda: journal.cosign([]),
            lambda: journal.prover.rebuild_tiles(),
        ):
            with pytest.raises(NotFound):
                call()


def test_events_that_cannot_be_proved(journal: Journal) -> None:
    """Unknown, unsealed, ambiguous and unsigned events, each with its own words."""
    with pytest.raises(InvalidInput):
        journal.prove(-1)
    with pytest.raises(NotFound, match="no such event"):
        journal.prove("nobody")
    journal.record_batch(sample("late", 1))
    with pytest.raises(NotFound, match="not sealed"):
        journal.prove("late:0")
    journal.seal()
    with pytest.raises(NotFound, match="no signing key"):
        journal.prove("late:0")


def test_whoever_signs_proves_what_is_not_signed_yet(tmp_path: Path) -> None:
    """A proof of a new event makes the checkpoint that it needs."""
    store = open_store("memory://")
    with Journal.open(store, tmp_path, settings=MANUAL, origin=ORIGIN) as journal:
        journal.record_batch(sample("a", 3))
        journal.seal()
        assert journal.prove("a:2").proof.checkpoint.size == 3
        with pytest.raises(InvalidInput, match="does not cover"):
            journal.prove(3)


def test_no_wrong_proof_is_given(store: Store, journal: Journal) -> None:
    """A damaged tile or a changed event makes an error, never a proof."""
    path = "journal/tiles/tile/1/000"
    data = store.get(path)
    store.put(path, bytes(len(data)))
    with pytest.raises(CorruptData, match="signed root"):
        journal.prove(7)
    with pytest.raises(CorruptData, match="signed root"):
        journal.consistency(300)
    assert journal.prover.rebuild_tiles() == 1
    assert store.get(path) == data
    assert journal.prove(7).proof.index == 7
    store.delete(path)
    with pytest.raises(NotFound):
        journal.prove(7)


def test_rebuilding_needs_the_right_events(store: Store, journal: Journal, tmp_path: Path) -> None:
    """Tiles are never made to fit events that were changed."""
    other_store = open_store("memory://")
    with Journal.open(other_store, tmp_path / "other", settings=MANUAL) as other:
        for before, size in pairwise(SIZES):
            other.record_batch(sample("forged", size - before, first=before))
            other.seal()
    for info in other_store.list_objects("journal/log/"):
        store.put(info.path, other_store.get(info.path))
    with pytest.raises(CorruptData, match="does not continue"):
        journal.prover.rebuild_tiles()


def test_a_wrong_index_keeps_nobody_from_a_proof(store: Store, journal: Journal) -> None:
    """Lines of other events, or none: the segments are asked."""
    right = journal.prove(7)
    prover = journal.prover
    asked: list[int] = []

    def wrong(first: int, end: int) -> list[bytes]:
        asked.append(first)
        return [b"{}"] * (end - first)

    journal._made_prover = type(prover)(
        store,
        journal._footers,
        journal._state_dir,
        journal._clock,
        ORIGIN,
        sealed=journal._scanner.sealed,
        lines=wrong,
    )
    assert journal.prove(7) == right
    assert asked == [7]
    for info in list(store.list_objects("journal/index/")):
        store.delete(info.path)
    journal._made_prover = None
    journal._index.invalidate()
    assert journal.prove(7) == right
    assert journal.consistency(300).holds()
