"""Changes that were kept by the first release of the format are read, and written alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.golden.generate_pending_v1 import ROWS, SET, waiting

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.changes._arguments import decode_arguments
from lakecore.changes._kept import read_page, stored_reader
from lakecore.changes._pending import _pending
from lakecore.documents import parse_document
from lakecore.storage import open_store

FOLDER = Path(__file__).parent
PATH = f"documents/pending/m1/{0:020d}.json"


def test_a_kept_change_is_read() -> None:
    """Who asked for what, and its exact diff and rows."""
    pending = _pending(parse_document(PATH, (FOLDER / "pending_v1.json").read_bytes()))
    assert (pending.id, pending.state, pending.op) == ("m1", "waiting", "update")
    assert (pending.author.actor, pending.author.reason) == ("ada", "refit")
    assert decode_arguments(pending.body["arguments"])["set"] == SET
    store = open_store("memory://")
    store.create("diff", (FOLDER / "pending_diff_v1.arrow").read_bytes())
    store.create("rows", (FOLDER / "pending_rows_v1.arrow").read_bytes())
    diff = read_page(store, "diff").to_pylist()
    assert [(row["field"], row["old_value"], row["new_value"]) for row in diff] == [
        ("seats", "55", "56"),
        ("share", "1.0", "0.5"),
        ("engine", '"jet"', "null"),
    ]
    assert stored_reader(store, "rows", what="rows").read_all().to_pylist() == ROWS


def test_a_change_is_kept_alike() -> None:
    """The members of the document, and what the files say, are the same today."""
    golden = json.loads((FOLDER / "pending_v1.json").read_text())
    document, diff, rows = waiting()
    assert sorted(document["body"]) == sorted(golden["body"])
    for name in ("format", "op", "call", "arguments", "counts", "digest", "author", "state"):
        assert document["body"][name] == golden["body"][name]
    assert sorted(document["body"]["decision"]) == sorted(golden["body"]["decision"])
    store = open_store("memory://")
    for name, now in (("diff", diff), ("rows", rows)):
        store.create(f"now-{name}", now)
        store.create(name, (FOLDER / f"pending_{name}_v1.arrow").read_bytes())
        tables = [stored_reader(store, path, what=name) for path in (name, f"now-{name}")]
        assert tables[0].read_all().equals(tables[1].read_all(), check_metadata=True)


def test_other_formats_are_told() -> None:
    """A newer one, and one that lacks a part."""
    content = json.loads((FOLDER / "pending_v1.json").read_text())
    content["body"]["format"] = 2
    with pytest.raises(UnsupportedFormat):
        _pending(parse_document(PATH, json.dumps(content).encode()))
    content["body"] = {"format": 1}
    with pytest.raises(CorruptData, match="lacks a part"):
        _pending(parse_document(PATH, json.dumps(content).encode()))
