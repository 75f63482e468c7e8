"""`lakecore.json`: made once, by whoever is first; damaged or newer, it stops everything."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lakecore
from lakecore.base import CorruptData, NotFound, UnsupportedFormat
from lakecore.storage import open_store

_OPEN = """
import sys, lakecore
sys.stdin.readline()
with lakecore.open(sys.argv[1], actor="ada") as lake:
    print(lake.lake_id)
"""


def test_it_is_made_once(tmp_path: Path) -> None:
    """The first open makes it, all others read it; its id is the lake's."""
    with lakecore.open(tmp_path / "lake") as lake:
        made = lake.lake_id
    content = (tmp_path / "lake" / "lakecore.json").read_bytes()
    assert json.loads(content) == {
        "format": 1,
        "lake_id": made,
        "origin": f"lakecore/{made}",
        "created_at": json.loads(content)["created_at"],
    }
    with lakecore.open(tmp_path / "lake") as lake:
        assert lake.lake_id == made
    assert (tmp_path / "lake" / "lakecore.json").read_bytes() == content


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Both open the same lake, whoever makes it."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(tmp_path / "lake")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ids = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(ids) == 1


def test_many_threads_at_once() -> None:
    """One identity for one store."""
    store = open_store("memory://")
    from lakecore.app._format import create_format
    from lakecore.base import SystemClock

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_format(store, SystemClock()), range(32)))
    assert len(set(made)) == 1


def test_no_lake_is_made_by_looking(tmp_path: Path) -> None:
    """Without `create` a lake has to be there, and the error names the place."""
    with pytest.raises(NotFound, match="no lake here") as caught:
        lakecore.open(tmp_path / "lake", create=False)
    assert str(tmp_path) in str(caught.value.where)
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_survive(tmp_path: Path) -> None:
    """What a later Lakecore of the same format adds is no damage."""
    with lakecore.open(tmp_path / "lake") as lake:
        made = lake.lake_id
    _rewrite(tmp_path, lambda content: {**content, "later": [1]})
    with lakecore.open(tmp_path / "lake", create=False) as lake:
        assert lake.lake_id == made


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_format(tmp_path: Path, create: bool) -> None:
    """Nothing is touched: an operator needs another Lakecore."""
    lakecore.open(tmp_path / "lake").close()
    _rewrite(tmp_path, lambda content: {"format": 2, "unheard": "of"})
    with pytest.raises(UnsupportedFormat) as caught:
        lakecore.open(tmp_path / "lake", create=create)
    assert (caught.value.expected, caught.value.found) == ("1", "2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"7",
        b"{}",
        b'{"format": "1"}',
        b'{"format": true}',
        b'{"format": 1}',
        b'{"format": 1, "lake_id": 7, "origin": "x", "created_at": "y"}',
        b'{"format": 1, "lake_id": "", "origin": "x", "created_at": "y"}',
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_damage(tmp_path: Path, content: bytes, create: bool) -> None:
    """It is told, with the file's place; nobody makes a second lake over the first."""
    lakecore.open(tmp_path / "lake").close()
    file = tmp_path / "lake" / "lakecore.json"
    file.chmod(0o644)
    file.write_bytes(content)
    with pytest.raises(CorruptData, match="identity is not readable") as caught:
        lakecore.open(tmp_path / "lake", create=create)
    assert "lakecore.json" in str(caught.value.where)
    assert file.read_bytes() == content


def _rewrite(folder: Path, change: object) -> None:
    file = folder / "lake" / "lakecore.json"
    assert callable(change)
    content = change(json.loads(file.read_bytes()))
    file.chmod(0o644)
    file.write_text(json.dumps(content))
