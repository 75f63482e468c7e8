"""Checkpoints: what is signed, what is refused, and what crashes leave."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import MANUAL, sample

from lakecore.base import (
    CorruptData,
    InvalidInput,
    LakecoreError,
    ManualClock,
    NotFound,
    Refused,
)
from lakecore.journal import Journal
from lakecore.journal._prove.keys import FILE
from lakecore.journal._prove.signing import LAST_FILE
from lakecore.storage import Store, open_store
from lakecore.tlog import EMPTY_ROOT, Checkpoint, SignedNote, Signer, sign_note, tiles_of

ORIGIN = "example.com/log"
CHECKPOINTS = "journal/checkpoints/"
TILES = "journal/tiles/"


def open_signed(store: Store, state_dir: Path) -> Journal:
    """A journal that has an origin, and seals and signs only when asked to."""
    return Journal.open(store, state_dir, settings=MANUAL, clock=ManualClock(), origin=ORIGIN)


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    return open_signed(store, tmp_path / "state")


def seal(journal: Journal, prefix: str, count: int) -> None:
    journal.record_batch(sample(prefix, count))
    # More where events are gone that the hot log still has.
    assert journal.seal() >= count


def paths(store: Store, prefix: str) -> list[str]:
    return [info.path for info in store.list_objects(prefix)]


def check_log(store: Store, state_dir: Path) -> None:
    """All checkpoints are signed, consistent with each other, and have their tiles."""
    with open_signed(store, state_dir) as journal:
        sizes = [int(path.rsplit("/")[-1]) for path in paths(store, CHECKPOINTS)]
        for size in sizes:
            journal.prover.at(size).verify([journal.prover.keys().current.key], "")  # type: ignore[union-attr]  # it has keys
            assert journal.consistency(size).holds()
        kept = {path: store.get(path) for path in paths(store, TILES)}
        for path in kept:
            store.delete(path)
        assert journal.prover.rebuild_tiles() > 0
        assert all(store.get(path) == kept[path] for path in paths(store, TILES))


def test_the_empty_log_is_signed(store: Store, journal: Journal) -> None:
    """Size 0 with the root of nothing; it makes the key, and no tile."""
    made = journal.checkpoint()
    assert (made.size, made.root) == (0, EMPTY_ROOT)
    assert paths(store, CHECKPOINTS) == [f"{CHECKPOINTS}{0:020d}"]
    assert paths(store, TILES) == []
    assert store.get(f"{CHECKPOINTS}{0:020d}") == made.note.to_bytes()
    assert len(made.note.verify([journal.prover.keys().current.key])) == 1  # type: ignore[union-attr]  # it has keys


def test_what_is_sealed_is_signed(store: Store, journal: Journal) -> None:
    """The root is the segments'; unsealed events are not in it; nothing new, nothing signed."""
    seal(journal, "a", 300)
    journal.record_batch(sample("hot", 5))
    made = journal.checkpoint()
    assert made.size == 300
    assert made.root.hex() == journal.verify().root
    assert journal.checkpoint() == made
    assert paths(store, CHECKPOINTS) == [f"{CHECKPOINTS}{300:020d}"]


def test_tiles_follow_the_checkpoints(store: Store, journal: Journal) -> None:
    """Each checkpoint has the tiles of its size; partial ones go when they are full."""
    for prefix, count in (("a", 300), ("b", 1), ("c", 65_300), ("d", 2_000)):
        seal(journal, prefix, count)
        size = journal.checkpoint().size
        wanted = {TILES + tile.path for tile in tiles_of(size, first_level=1)}
        assert wanted <= set(paths(store, TILES))
    assert f"{TILES}tile/1/000" in paths(store, TILES)
    assert not [path for path in paths(store, TILES) if path.startswith(f"{TILES}tile/1/000.p")]
    assert journal.prover.rebuild_tiles() == 0
    for old in (300, 301, 65_601):
        assert journal.consistency(old).holds()


def test_another_process_goes_on(store: Store, tmp_path: Path) -> None:
    """The key and the tree are found again; the key is the same."""
    with open_signed(store, tmp_path / "state") as first:
        seal(first, "a", 700)
        one = first.checkpoint()
    with open_signed(store, tmp_path / "state") as second:
        seal(second, "b", 700)
        two = second.checkpoint()
        assert one.note.signatures[0].key_id == two.note.signatures[0].key_id
        assert second.consistency(700, 1400).holds()


@pytest.mark.parametrize("damage", ["missing", "short", "wrong"])
def test_tiles_are_not_believed(store: Store, journal: Journal, damage: str) -> None:
    """Lost tiles are made anew; one that is wrong is not signed over, and can be repaired."""
    seal(journal, "a", 70_000)
    journal.checkpoint()
    path = f"{TILES}tile/1/001.p/17"
    data = store.get(path)
    if damage == "missing":
        store.delete(path)
    else:
        store.put(path, data[:-1] if damage == "short" else bytes(len(data)))
    seal(journal, "b", 100)
    if damage != "missing":
        with pytest.raises(CorruptData, match="tile/1/001"):
            journal.checkpoint()
        assert journal.prover.rebuild_tiles() == 1
    made = journal.checkpoint()
    assert store.get(path) == data
    assert made.root.hex() == journal.verify().root
    assert journal.consistency(70_000).holds()


def test_a_wrong_tile_of_this_size_is_not_signed_over(store: Store, journal: Journal) -> None:
    """Somebody was here before with other events: refused until it was looked at."""
    seal(journal, "a", 300)
    store.put(f"{TILES}tile/1/000.p/1", bytes(32))
    with pytest.raises(CorruptData, match="tile/1/000"):
        journal.checkpoint()
    assert paths(store, CHECKPOINTS) == []


def tampered(store: Store, journal: Journal, tmp_path: Path, prefix: str, count: int) -> None:
    """Put segments of other events in place of the sealed ones."""
    other_store = open_store("memory://")
    with open_signed(other_store, tmp_path / "other") as other:
        seal(other, prefix, count)
        for path in paths(other_store, "journal/log/"):
            store.put(path, other_store.get(path))


def test_changed_events_are_not_signed(store: Store, tmp_path: Path) -> None:
    """A whole other history of the same length, consistent in itself: nothing is signed."""
    with open_signed(store, tmp_path / "state") as journal:
        seal(journal, "a", 300)
        journal.checkpoint()
    tampered(store, journal, tmp_path, "forged", 300)
    with open_signed(store, tmp_path / "state") as journal:
        with pytest.raises(CorruptData, match="does not continue"):
            journal.checkpoint()
        seal(journal, "b", 10)
        with pytest.raises(CorruptData, match="does not continue"):
            journal.checkpoint()
    assert paths(store, CHECKPOINTS) == [f"{CHECKPOINTS}{300:020d}"]


def test_a_footer_that_lies_is_not_signed(store: Store, tmp_path: Path) -> None:
    """Events that were changed before the first checkpoint do not fit their footer."""
    from lakecore.journal._log.segment import read_footer

    with open_signed(store, tmp_path / "state") as journal:
        seal(journal, "a", 300)
        path = paths(store, "journal/log/")[0]
        data = store.get(path)
        root = read_footer(store, path).root.encode()
        store.put(path, data.replace(root, root[::-1]))
        edge = read_footer(store, path).edge[0]
        data = store.get(path)
        store.put(path, data.replace(edge.encode(), edge[::-1].encode()))
    with (
        open_signed(store, tmp_path / "fresh") as journal,
        pytest.raises(CorruptData, match="footers say"),
    ):
        journal.checkpoint()


def test_a_shorter_journal_is_not_signed(store: Store, tmp_path: Path) -> None:
    """The store came back from an old copy, checkpoints and all: this machine remembers."""
    with open_signed(store, tmp_path / "state") as journal:
        seal(journal, "a", 300)
        journal.checkpoint()
        old = {path: store.get(path) for path in paths(store, "journal/")}
        seal(journal, "b", 100)
        journal.checkpoint()
    for path in paths(store, "journal/"):
        if path not in old:
            store.delete(path)
    with open_signed(store, tmp_path / "state") as journal:
        with pytest.raises(CorruptData, match="shorter"):
            journal.checkpoint()
        with open_signed(store, tmp_path / "elsewhere") as other:
            for prefix in ("fork", "fork-2"):
                seal(other, prefix, 100)
                with pytest.raises(CorruptData, match="does not continue"):
                    journal.checkpoint()
    assert paths(store, CHECKPOINTS) == [f"{CHECKPOINTS}{300:020d}"]


def test_another_machine_without_the_key_does_not_sign(store: Store, tmp_path: Path) -> None:
    """It seals, it reads, and it is told where signing happens."""
    with open_signed(store, tmp_path / "state") as signer:
        seal(signer, "a", 300)
        signer.checkpoint()
    with open_signed(store, tmp_path / "other") as other:
        seal(other, "b", 10)
        with pytest.raises(NotFound, match="no signing key"):
            other.checkpoint()
        assert other.prover.after_seal() is None
        assert other.prover.latest().size == 300  # type: ignore[union-attr]  # there is one
        assert other.prove("a:7").proof.index == 7
        with pytest.raises(NotFound, match="no signing key"):
            other.prove("b:7")
        assert not (tmp_path / "other" / FILE).exists()


def test_another_machine_with_another_key_is_refused(store: Store, tmp_path: Path) -> None:
    """Two machines that each made a key: the first checkpoint decides."""
    with open_signed(store, tmp_path / "b") as second:
        second.prover.ensure_key()
    with open_signed(store, tmp_path / "a") as first:
        seal(first, "a", 3)
        first.checkpoint()
    with (
        open_signed(store, tmp_path / "b") as second,
        pytest.raises(Refused, match="not signed by a key of this machine"),
    ):
        second.checkpoint()


def test_a_forged_signature_is_found(store: Store, journal: Journal) -> None:
    """A checkpoint with this machine's key id and other bytes is damage."""
    seal(journal, "a", 3)
    journal.checkpoint()
    path = paths(store, CHECKPOINTS)[0]
    note = SignedNote.parse(store.get(path))
    store.put(path, note.to_bytes().replace(b"\n3\n", b"\n4\n"))
    with pytest.raises(CorruptData, match="not what its name says"):
        journal.checkpoint()
    store.put(path, note.to_bytes()[:-9] + b"AAAAAAA=\n")
    with pytest.raises(CorruptData, match="not signed as it should be"):
        journal.checkpoint()
    store.put(path, b"\xff")
    with pytest.raises(CorruptData, match="does not read"):
        journal.checkpoint()


def test_a_damaged_memory_is_not_overlooked(journal: Journal, tmp_path: Path) -> None:
    """The note that this machine remembers is checked, too."""
    seal(journal, "a", 3)
    journal.checkpoint()
    (tmp_path / "state" / LAST_FILE).write_bytes(b"nothing\n")
    with pytest.raises(CorruptData, match=LAST_FILE):
        journal.checkpoint()


def test_without_an_origin_nothing_is_signed(store: Store, tmp_path: Path) -> None:
    """A journal on its own has no name to sign with."""
    with Journal.open(store, tmp_path, settings=MANUAL) as journal:
        with pytest.raises(InvalidInput, match="origin"):
            journal.checkpoint()
        assert journal.after_seal() is None
        assert journal.prover.last_error is None


def test_rotation_hands_over(store: Store, journal: Journal) -> None:
    """The new key is an event that both keys sign; then the old one is done."""
    seal(journal, "a", 3)
    first = journal.checkpoint()
    made = journal.rotate_key(actor="ada", reason="lost laptop")
    assert made.size == 4
    old, new = journal.signing_keys()
    assert [s.key_id.hex() for s in made.note.signatures] == [old["key_id"], new["key_id"]]
    (event,) = journal.query(entity_type="journal.key").items
    assert (event.entity_id, event.action, event.actor) == (new["key_id"], "rotate", "ada")
    assert json.loads(event.new_value or "") == new["vkey"]
    assert json.loads(event.old_value or "") == old["vkey"]
    assert (old["retired_at_size"], new["retired_at_size"]) == (4, None)
    seal(journal, "b", 3)
    after = journal.checkpoint()
    assert [s.key_id.hex() for s in after.note.signatures] == [new["key_id"]]
    assert journal.consistency(first.size).holds()
    for segment in paths(store, "journal/"):
        assert b"seed" not in store.get(segment)


def test_a_retired_key_signs_nothing_larger(store: Store, journal: Journal, tmp_path: Path) -> None:
    """What it signed before still counts; a later checkpoint that it alone signs does not."""
    seal(journal, "a", 3)
    journal.checkpoint()
    stolen = (tmp_path / "state" / FILE).read_bytes()
    journal.rotate_key(actor="ada", reason="stolen")
    anchors = journal.verify(full=True).anchors
    assert anchors is not None
    assert (anchors.status, anchors.anchored) == ("green", 4)
    seal(journal, "b", 3)
    seed = base64.b64decode(json.loads(stolen)["keys"][0]["seed"])
    forged = Checkpoint(ORIGIN, 7, bytes.fromhex(str(journal.stats()["root"])))
    note = sign_note(forged.text, [Signer(ORIGIN, seed)])
    store.put("journal/checkpoints/" + f"{7:020d}", note.to_bytes())
    anchors = journal.verify(full=True).anchors
    assert anchors is not None
    assert (anchors.status, anchors.anchored) == ("green", 4)  # of 7
    old, new = journal.signing_keys()
    assert anchors.unknown_keys == [f"{ORIGIN}+{old['key_id']}"]
    # Whoever names the retired key means it.
    anchors = journal.verify(full=True, vkeys=[str(old["vkey"])]).anchors
    assert anchors is not None
    assert (anchors.status, anchors.anchored) == ("green", 7)
    assert new["retired_at_size"] is None


def test_rotation_needs_a_key(journal: Journal) -> None:
    """There is nothing to hand over before the first checkpoint, and nothing is recorded."""
    with pytest.raises(NotFound, match="no signing key"):
        journal.rotate_key(actor="ada")
    assert journal.recent() == []


def test_after_seal_signs_now_and_then(store: Store, tmp_path: Path) -> None:
    """At most every interval, only where there is a key, and never with an error."""
    clock = ManualClock()
    local = open_store(str(tmp_path / "lake"))
    with Journal.open(
        local, tmp_path / "state", settings=MANUAL, clock=clock, origin=ORIGIN
    ) as journal:
        seal(journal, "a", 3)
        assert journal.after_seal(min_interval_s=5).size == 3  # type: ignore[union-attr]  # signed
        seal(journal, "b", 3)
        assert journal.after_seal(min_interval_s=5) is None
        clock.advance(5_000_000)
        assert journal.after_seal(min_interval_s=5).size == 6  # type: ignore[union-attr]  # signed
        seal(journal, "c", 3)
        clock.advance(-60_000_000)  # a clock that jumps back must not silence it
        (tmp_path / "state" / FILE).chmod(0o644)
        assert journal.after_seal(min_interval_s=5) is None
        assert isinstance(journal.prover.last_error, Refused)


def test_many_signers_of_one_machine(store: Store, tmp_path: Path) -> None:
    """Threads and journals at once: one checkpoint a size, all of them consistent."""
    journals = [open_signed(store, tmp_path / "state") for _ in range(3)]
    journals[0].checkpoint()
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for round_ in range(4):
                journals[number].record_batch(sample(f"{number}-{round_}", 50))
                journals[number].seal()
                journals[number].checkpoint()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for journal in journals:
        journal.close()
    check_log(store, tmp_path / "state")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that signed 65,000 events, has 1,000 more, and will fill a tile of level 1."""
    folder = tmp_path_factory.mktemp("prepared")
    with open_signed(open_store(str(folder / "lake")), folder / "state") as journal:
        seal(journal, "a", 65_000)
        journal.checkpoint()
        seal(journal, "b", 1_000)
    return folder


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
@pytest.mark.parametrize("write", range(1, 7))
def test_every_write_may_fail(prepared: Path, tmp_path: Path, write: int, fault: Fault) -> None:
    """Windows A to D: whichever write fails, stored or not, the next run goes on from it."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    inner = open_store(str(tmp_path / "lake"))
    faulty = FaultyStore(inner, {write: fault}, stays_down=True)
    with open_signed(faulty, tmp_path / "state") as journal:
        try:
            made = journal.checkpoint()
        except LakecoreError:
            made = None
    # Three tiles, the checkpoint, a partial tile that goes: five writes.
    assert (made is None) == (write <= 5)
    with open_signed(inner, tmp_path / "state") as journal:
        seal(journal, "c", 5)
        assert journal.checkpoint().size == 66_005
    check_log(inner, tmp_path / "state")


KILLED = """
import sys
from pathlib import Path
from tests.fakes.faulty_store import Fault
from tests.fakes.killing_store import KillingStore
from tests.unit.journal.test_prove_signing import open_signed, seal
from lakecore.storage import open_store
folder = Path(sys.argv[1])
store = KillingStore(open_store(str(folder / "lake")), {int(sys.argv[2]): Fault[sys.argv[3]]})
open_signed(store, folder / "state").checkpoint()
"""


@pytest.mark.parametrize(("write", "fault"), [(1, "AFTER"), (3, "AFTER"), (4, "BEFORE")])
def test_a_killed_signer(prepared: Path, tmp_path: Path, write: int, fault: str) -> None:
    """SIGKILL among the tiles, after the last, and between remembering and the commit point."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    repository = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(write), fault]
    ended = subprocess.run(command, cwd=repository, env=environment, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    store = open_store(str(tmp_path / "lake"))
    assert len(paths(store, CHECKPOINTS)) == 1
    with open_signed(store, tmp_path / "state") as journal:
        seal(journal, "c", 5)
        assert journal.checkpoint().size == 66_005
    check_log(store, tmp_path / "state")
