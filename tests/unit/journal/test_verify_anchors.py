"""Signed checkpoints against the recomputed log: anchored, unanchored, cut, forked."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.journals import open_journal, sample

from lakecore.journal import Journal
from lakecore.storage import Store, open_store
from lakecore.tlog import Checkpoint, Cosigner, Signer, sign_note

SIGNER = Signer("example.com/log", bytes(32))
OTHER = Signer("example.com/log", bytes([1]) * 32)
WITNESS = Cosigner("witness.example", bytes([2]) * 32)


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    """Two segments: 700 and 900 events."""
    journal = open_journal(store, tmp_path / "state")
    for prefix, count in (("a", 700), ("b", 900)):
        journal.record_batch(sample(prefix, count))
        journal.seal()
    return journal


def root_at(journal: Journal, size: int) -> bytes:
    """The root of the first events, computed from their lines alone."""
    from lakecore.journal._events.leaf import leaf_hashes, leaf_lines
    from lakecore.tlog import Frontier

    tree = Frontier.empty()
    table = journal.scan().read_all().slice(0, size)
    tree.append(leaf_hashes(leaf_lines(table)))
    return tree.root()


def sign(store: Store, size: int, root: bytes, *signers: Signer, origin: str = SIGNER.name) -> str:
    path = f"journal/checkpoints/{size:020d}"
    note = sign_note(Checkpoint(origin, size, root).text, signers or [SIGNER])
    store.put(path, note.to_bytes())
    return path


def test_a_signed_head_anchors_what_is_before_it(store: Store, journal: Journal) -> None:
    """Within a segment, at its end, behind what was verified: [0, N) is anchored, the rest not."""
    report = journal.verify().anchors
    assert report is not None
    assert (report.status, report.anchored, report.size) == ("absent", 0, 1600)
    for size in (1, 256, 699, 700, 1023, 1024, 1500, 1600, 0):
        sign(store, size, root_at(journal, size))
        for full in (True, False, False):
            report = journal.verify(full=full, vkeys=[SIGNER.vkey]).anchors
            assert report is not None
            assert (report.status, report.problems) == ("green", []), size
    assert (report.anchored, report.checkpoints) == (1600, 9)


def test_signatures_of_other_keys_do_not_count(store: Store, journal: Journal) -> None:
    """Without the key nothing can be told; with a wrong signature, it is broken."""
    path = sign(store, 700, root_at(journal, 700), OTHER)
    report = journal.verify(vkeys=[SIGNER.vkey]).anchors
    assert report is not None
    assert (report.status, report.anchored) == ("inconclusive", 0)
    assert report.unknown_keys == [f"{OTHER.name}+{OTHER.key.key_id.hex()}"]
    assert journal.verify().status == "green"
    both = journal.verify(vkeys=[SIGNER.vkey, OTHER.vkey]).anchors
    assert both is not None
    assert (both.status, both.anchored) == ("green", 700)
    text, _, signatures = store.get(path).decode().partition("\n\n")
    store.put(path, f"{text.replace('700', '699')}\n\n{signatures}".encode())
    forged = journal.verify(vkeys=[OTHER.vkey]).anchors
    assert forged is not None
    assert forged.status == "broken"


def test_a_cut_log_is_found(store: Store, journal: Journal, tmp_path: Path) -> None:
    """The checkpoint says N, the log has M: events were lost, whoever asks."""
    path = sign(store, 1600, root_at(journal, 1600))
    store.delete("journal/log/00000000000000000700.parquet")
    fresh = open_journal(store, tmp_path / "fresh")
    report = fresh.verify(vkeys=[SIGNER.vkey])
    assert report.status == "green"
    assert report.anchors is not None
    assert report.anchors.status == "broken"
    (problem,) = report.anchors.problems
    assert (problem.where, problem.field) == (path, "size")
    assert (problem.expected, problem.found) == ("1600 events", "the log has 700")


def test_a_rewritten_log_is_found(store: Store, journal: Journal, tmp_path: Path) -> None:
    """A log that fits itself in every part does not fit what was signed of the first one."""
    sign(store, 700, root_at(journal, 700))
    sign(store, 1600, root_at(journal, 1600))
    for info in list(store.list_objects("journal/log/")):
        store.delete(info.path)
    other = open_journal(store, tmp_path / "other")
    other.record_batch(sample("a", 700))
    other.seal()
    other.record_batch(sample("z", 900))
    other.seal()
    report = other.verify(vkeys=[SIGNER.vkey])
    assert report.status == "green"
    assert report.anchors is not None
    assert (report.anchors.status, report.anchors.anchored) == ("broken", 700)
    assert [problem.field for problem in report.anchors.problems] == ["root"]


def test_damage_before_a_checkpoint_is_no_disagreement(store: Store, journal: Journal) -> None:
    """What cannot be recomputed cannot be compared: that is said, and not that it differs."""
    path = sign(store, 1600, root_at(journal, 1600))
    store.put("journal/log/00000000000000000000.parquet", b"nothing")
    report = journal.verify(vkeys=[SIGNER.vkey])
    assert report.status == "broken"
    assert report.anchors is not None
    assert report.anchors.status == "inconclusive"
    assert report.anchors.unknown == [f"{path}: the log is damaged before event 1600"]


def test_witnesses_are_named(store: Store, journal: Journal) -> None:
    """Cosignature lines beside the note count when the witness's key is given."""
    root = root_at(journal, 1600)
    path = sign(store, 1600, root)
    line = WITNESS.sign(Checkpoint(SIGNER.name, 1600, root).text, 1_700_000_000).line
    beside = f"{path}.witness/{WITNESS.key.key_id.hex()}"
    store.put(beside, line.encode())
    report = journal.verify(vkeys=[SIGNER.vkey, WITNESS.vkey]).anchors
    assert report is not None
    assert (report.status, report.witnesses) == ("green", [WITNESS.name])
    store.put(beside, b"\xff not a line")
    damaged = journal.verify(vkeys=[SIGNER.vkey, WITNESS.vkey]).anchors
    assert damaged is not None
    assert [problem.where for problem in damaged.problems] == [beside]


def test_this_machines_key_counts_by_itself(store: Store, tmp_path: Path) -> None:
    """What the journal signs, it verifies without being told the key."""
    journal = Journal.open(store, tmp_path / "own", origin="example.com/own")
    journal.record_batch(sample("a", 300))
    journal.seal()
    journal.checkpoint()
    report = journal.verify().anchors
    assert report is not None
    assert (report.status, report.anchored) == ("green", 300)
    stranger = open_journal(store, tmp_path / "stranger").verify().anchors
    assert stranger is not None
    assert stranger.status == "absent"  # no key to check it by
    journal.close()
