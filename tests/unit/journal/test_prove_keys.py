"""The signing key's file: made once, for its owner, never shown; damage is said, not quoted."""

from __future__ import annotations

import base64
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import (
    AlreadyExists,
    CorruptData,
    LakecoreError,
    ManualClock,
    Refused,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.journal._prove.keys import FILE, create_keys, load_keys, new_seed

ORIGIN = "example.com/log"


def written(state_dir: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((state_dir / FILE).read_text())
    return document


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """The file is for its owner alone; a second one is refused, and changes nothing."""
    made = create_keys(tmp_path, ORIGIN, ManualClock())
    path = tmp_path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    with pytest.raises(AlreadyExists):
        create_keys(tmp_path, ORIGIN, ManualClock())
    assert path.read_bytes() == before
    loaded = load_keys(tmp_path, ORIGIN)
    assert loaded is not None
    assert loaded.current.vkey == made.current.vkey
    assert sorted(item.name for item in tmp_path.iterdir()) == [FILE]


def test_many_make_one_key(tmp_path: Path) -> None:
    """Of several at once, exactly one makes it."""
    outcomes: list[str] = []

    def make() -> None:
        try:
            outcomes.append(create_keys(tmp_path, ORIGIN, ManualClock()).current.vkey)
        except AlreadyExists:
            outcomes.append("")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(bool, outcomes)) == 1
    loaded = load_keys(tmp_path, ORIGIN)
    assert loaded is not None
    assert loaded.current.vkey in outcomes


def test_no_key_is_none(tmp_path: Path) -> None:
    """A machine without a key is no error."""
    assert load_keys(tmp_path, ORIGIN) is None


def test_rotation_keeps_everything(tmp_path: Path) -> None:
    """The old key signs once more, then counts for nothing later; unknown members stay."""
    create_keys(tmp_path, ORIGIN, ManualClock())
    document = written(tmp_path)
    document["note"] = "ours"
    document["keys"][0]["place"] = "office"  # type: ignore[index]  # JSON
    (tmp_path / FILE).write_text(json.dumps(document))
    keys = load_keys(tmp_path, ORIGIN)
    assert keys is not None
    old = keys.current.key
    both = keys.with_key(new_seed(), "2026-01-01T00:00:00.000000Z")
    new = both.current.key
    assert [signer.key for signer in both.signers()] == [old, new]
    both.retired(10)
    after = load_keys(tmp_path, ORIGIN)
    assert after is not None
    assert [signer.key for signer in after.signers()] == [new]
    assert after.verifiers(10) == [old, new]
    assert after.verifiers(11) == [new]
    assert after.retired(20) is after
    assert written(tmp_path)["note"] == "ours"
    assert written(tmp_path)["keys"][0]["place"] == "office"  # type: ignore[index]  # JSON
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="1"),
        lambda d: d.update(keys=[]),
        lambda d: d.update(keys={}),
        lambda d: d.pop("keys"),
        lambda d: d["keys"][0].pop("seed"),
        lambda d: d["keys"][0].update(seed="c2VjcmV0"),
        lambda d: d["keys"][0].update(seed="!!"),
        lambda d: d["keys"][0].update(name="a b"),
        lambda d: d["keys"][0].update(retired_at_size="3"),
        lambda d: d["keys"][0].update(retired_at_size=-1),
        lambda d: d["keys"].append(dict(d["keys"][0], name="example.com/other")),
    ],
)
def test_damage_is_said_and_not_quoted(tmp_path: Path, change: object) -> None:
    """Whatever is wrong: the file's name, and not a letter of the seed."""
    create_keys(tmp_path, ORIGIN, ManualClock())
    document = written(tmp_path)
    seed = str(document["keys"][0]["seed"])  # type: ignore[index]  # JSON
    change(document)  # type: ignore[operator]  # a lambda
    (tmp_path / FILE).write_text(json.dumps(document))
    with pytest.raises(CorruptData, match=FILE) as caught:
        load_keys(tmp_path, ORIGIN)
    assert seed[:8] not in str(caught.value.to_dict()) + repr(caught.value)
    assert caught.value.__cause__ is None


@given(st.binary(max_size=80))
def test_any_bytes_are_damage(data: bytes) -> None:
    """No content of the file makes another error."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(CorruptData):
            load_keys(Path(folder), ORIGIN)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A later format is not guessed at."""
    (tmp_path / FILE).write_text('{"format": 2, "keys": []}')
    with pytest.raises(UnsupportedFormat):
        load_keys(tmp_path, ORIGIN)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Like a key of ssh: the error says what to do."""
    create_keys(tmp_path, ORIGIN, ManualClock())
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(Refused, match="0640") as caught:
        load_keys(tmp_path, ORIGIN)
    assert "chmod 600" in (caught.value.hint or "")


def test_a_key_of_another_log_is_refused(tmp_path: Path) -> None:
    """A state directory that was copied from another lake signs nothing."""
    create_keys(tmp_path, ORIGIN, ManualClock())
    with pytest.raises(Refused, match="another log"):
        load_keys(tmp_path, "example.com/other")


def test_a_state_directory_that_is_none(tmp_path: Path) -> None:
    """A file in its place, a directory in the key's place: said, nothing left behind."""
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LakecoreError):
        create_keys(file, ORIGIN, ManualClock())
    (tmp_path / "state" / FILE).mkdir(parents=True)
    with pytest.raises(Unavailable):
        load_keys(tmp_path / "state", ORIGIN)
    with pytest.raises(AlreadyExists):
        create_keys(tmp_path / "state", ORIGIN, ManualClock())
    assert os.listdir(tmp_path / "state") == [FILE]


def test_nothing_shows_a_seed(tmp_path: Path) -> None:
    """The representation of keys has none."""
    keys = create_keys(tmp_path, ORIGIN, ManualClock())
    seed = str(written(tmp_path)["keys"][0]["seed"])  # type: ignore[index]  # JSON
    shown = repr(keys) + str(keys) + repr(keys.keys[0])
    assert seed not in shown
    assert base64.b64decode(seed).hex() not in shown


@pytest.mark.parametrize("member", ["name", "seed", "created_at", "retired_at_size"])
def test_a_key_that_a_disk_changed_is_told(tmp_path: Path, member: str) -> None:
    """Every other seed is a seed as well: a key says by a check that it is the one it was."""
    create_keys(tmp_path, ORIGIN, ManualClock())
    path = tmp_path / FILE
    document = json.loads(path.read_bytes())
    key = document["keys"][0]
    key[member] = 7 if member == "retired_at_size" else "A" + key[member][1:]
    path.write_text(json.dumps(document))
    with pytest.raises(CorruptData, match="damaged") as error:
        load_keys(tmp_path, ORIGIN)
    assert error.value.where == str(path)
    assert "restore" in (error.value.hint or "")
