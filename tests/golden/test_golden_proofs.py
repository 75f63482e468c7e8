"""Checkpoints, proofs, requests, tiles and key files of format 1 are what they were."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from tests.golden import generate_proofs_v1 as golden

from lakecore.journal._prove.keys import FILE, load_keys
from lakecore.tlog import AddCheckpoint, LogProof, SignedNote, VerifierKey


def test_what_is_written_today() -> None:
    """The same keys and entries give the stored texts and tiles, to the byte."""
    assert json.loads(golden.GOLDEN.read_text()) == golden.document()


def test_the_stored_proof_verifies() -> None:
    """With the stored keys alone, the witness counted."""
    stored = json.loads(golden.GOLDEN.read_text())
    proof = LogProof.parse(stored["proof"].encode())
    leaf = hashlib.sha256(b"\x00" + golden.entry(golden.INDEX)).digest()
    keys = [VerifierKey.parse(stored["vkey"])]
    witnesses = [VerifierKey.parse(stored["witness_vkey"])]
    found = proof.verify(leaf, golden.ORIGIN, keys, witnesses=witnesses, quorum=1)
    assert found.size == golden.SIZE
    request = AddCheckpoint.parse(stored["request"].encode())
    assert request.note.text == SignedNote.parse(stored["checkpoint"].encode()).text


def test_the_stored_key_file(tmp_path: Path) -> None:
    """Two keys, the first of them retired."""
    shutil.copy(Path(__file__).with_name("signing_key_v1.json"), tmp_path / FILE)
    (tmp_path / FILE).chmod(0o600)
    keys = load_keys(tmp_path, golden.ORIGIN)
    assert keys is not None
    first, second = keys.keys
    assert first.signer.vkey == golden.SIGNER.vkey
    assert (first.retired_at_size, second.retired_at_size) == (1000, None)
    assert [signer.vkey for signer in keys.signers()] == [second.signer.vkey]
