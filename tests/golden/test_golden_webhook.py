"""Webhooks of the first release of the format are read today, and are written alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.golden.generate_webhook_v1 import FILE, golden

from lakecore.base import CorruptData, Refused, UnsupportedFormat
from lakecore.webhooks import Machine
from lakecore.webhooks._sign import secret_text

GOLDEN = json.loads(FILE.read_text())


def test_a_webhook_is_written_alike() -> None:
    """Documents, secrets, message and signatures, byte by byte."""
    assert golden() == GOLDEN


def kept(folder: Path, content: object) -> Machine:
    """A machine whose key file is this."""
    machine = Machine(folder)
    machine.path.write_text(json.dumps(content))
    machine.path.chmod(0o600)
    return machine


def test_a_kept_key_gives_the_secrets_that_receivers_have(tmp_path: Path) -> None:
    """Both generations, from the file alone."""
    machine = kept(tmp_path, GOLDEN["key_file"])
    found = [secret_text(machine.secret("wh-0123456789abcdef", f"machine:{n}")) for n in (1, 2)]
    assert found == GOLDEN["secrets"]
    assert machine.fingerprint() == GOLDEN["fingerprint"]


@pytest.mark.parametrize("content", [{}, [], {"format": 1, "key": "c2hvcnQ="}, {"format": 1}])
def test_a_damaged_key_is_told(tmp_path: Path, content: object) -> None:
    """Without what it is."""
    with pytest.raises(CorruptData) as caught:
        kept(tmp_path, content).fingerprint()
    assert "c2hvcnQ" not in str(caught.value.to_dict())


def test_a_newer_key_is_told(tmp_path: Path) -> None:
    """And not guessed at."""
    with pytest.raises(UnsupportedFormat):
        kept(tmp_path, {**GOLDEN["key_file"], "format": 2}).fingerprint()


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    """Is no secret any more."""
    machine = kept(tmp_path, GOLDEN["key_file"])
    machine.path.chmod(0o640)
    with pytest.raises(Refused):
        machine.fingerprint()
