"""``journal checkpoint``, ``prove`` and ``key``: what they ask of the journal, and show."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.fakes.fake_lake import FakeLake
from tests.unit.cli.conftest import Run

from lakecore.base import NotFound
from lakecore.journal import EntryProof, SignedCheckpoint
from lakecore.tlog import Checkpoint, LogProof, Signer, sign_note

OLD, NEW = Signer("example.com/log", bytes(32)), Signer("example.com/log", bytes([1]) * 32)
ENTRY = b'{"actor":"ada"}'
HEAD = Checkpoint("example.com/log", 1, hashlib.sha256(b"\x00" + ENTRY).digest())
MADE = SignedCheckpoint(sign_note(HEAD.text, [OLD, NEW]), HEAD)
PROOF = EntryProof(0, ENTRY, LogProof(0, (), MADE.note))
KEYS = [
    {
        "key_id": signer.key.key_id.hex(),
        "vkey": signer.vkey,
        "created_at": "2026-01-31T12:00:00.000000Z",
        "retired_at_size": size,
    }
    for signer, size in ((OLD, 1_000), (NEW, None))
]


@pytest.fixture(autouse=True)
def _answers(lake: FakeLake) -> None:
    lake.journal.answers = {
        "checkpoint": MADE,
        "prove": PROOF,
        "signing_keys": KEYS,
        "rotate_key": MADE,
    }


def test_checkpoint_prints_the_note(run: Run, lake: FakeLake) -> None:
    """To the byte, after sealing what waits; figures go beside it."""
    result = run("journal", "checkpoint")
    assert result.stdout.encode() == MADE.note.to_bytes()
    assert result.stderr == "1 event signed\n"
    assert [call[0] for call in lake.journal.calls] == ["flush", "checkpoint"]


def test_checkpoint_as_json(run: Run) -> None:
    """The members that are promised; the key is the newest that signed."""
    shown = json.loads(run("journal", "checkpoint", "--json").stdout)
    assert shown == {
        "origin": "example.com/log",
        "size": 1,
        "root": HEAD.text.split("\n")[2],
        "vkey": NEW.vkey,
        "note": MADE.note.to_bytes().decode(),
    }


def test_checkpoint_where_it_cannot_be_signed(run: Run, lake: FakeLake) -> None:
    """The journal's error, and nothing on stdout."""
    lake.journal.answers["checkpoint"] = NotFound("this machine has no signing key")
    result = run("journal", "checkpoint")
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(("text", "asked"), [("12", 12), ("m:0", "m:0"), ("1e3", "1e3")])
def test_prove_takes_a_seq_or_an_id(run: Run, lake: FakeLake, text: str, asked: object) -> None:
    """A number is a seq."""
    result = run("journal", "prove", text)
    assert result.stdout.encode() == PROOF.to_bytes()
    assert lake.journal.last[:2] == ("prove", (asked,))


@pytest.mark.parametrize("name", ["row.tlog-proof", "row"])
def test_prove_writes_two_files(run: Run, tmp_path: Path, name: str) -> None:
    """The proof as it is named, the event beside it; what was there is replaced."""
    (tmp_path / name).write_text("old")
    result = run("journal", "prove", "0", "-o", str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / name).read_bytes() == PROOF.to_bytes()
    assert (tmp_path / "row.entry").read_bytes() == ENTRY
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "row.entry"])


def test_prove_refuses_a_place_that_is_none(run: Run, tmp_path: Path) -> None:
    """No folder, or a folder in the file's place."""
    for place in (tmp_path / "none" / "row", tmp_path):
        assert run("journal", "prove", "0", "-o", str(place)).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_prove_as_json(run: Run) -> None:
    """Everything in one document."""
    shown = json.loads(run("journal", "prove", "0", "--json").stdout)
    assert shown["entry"].encode() == ENTRY
    assert shown["leaf_hash"] == HEAD.root.hex() == shown["root"]
    assert shown["proof"].encode() == PROOF.to_bytes()


def test_key_show(run: Run, lake: FakeLake) -> None:
    """The public halves, one a line; a machine without a key is told how it gets one."""
    assert run("journal", "key", "show").stdout.splitlines()[:2] == [OLD.vkey, NEW.vkey]
    assert json.loads(run("journal", "key", "show", "--json").stdout) == KEYS
    lake.journal.answers["signing_keys"] = []
    result = run("journal", "key", "show")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no key" in result.stderr


def test_key_rotate(run: Run, lake: FakeLake) -> None:
    """In the caller's name and for a reason; the checkpoint of both keys is shown."""
    result = run("journal", "key", "rotate", "--actor", "bob", "--reason", "lost")
    assert result.stdout.encode() == MADE.note.to_bytes()
    assert NEW.vkey in result.stderr
    call = next(call for call in lake.journal.calls if call[0] == "rotate_key")
    assert call[2] == {"actor": "bob", "source": "cli", "reason": "lost"}
