"""Keys of the first release of the format open today, and are written alike."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.golden.generate_key_v1 import AUTHOR, FILE, IDS, SECRET, golden

from lakecore.auth import Keys
from lakecore.auth._key import read_key
from lakecore.auth._text import key_text
from lakecore.base import CorruptData, ManualClock, UnsupportedFormat
from lakecore.documents import Document, Documents
from lakecore.journal import CommitRecord, Journal
from lakecore.storage import open_store

GOLDEN = json.loads(FILE.read_text())


def document(body: dict[str, Any]) -> Document:
    record = CommitRecord.__new__(CommitRecord)
    return Document(kind="keys", name=IDS[0], version=0, body=body, record=record)


def test_a_key_is_written_alike() -> None:
    """Text and documents, member by member."""
    assert golden() == GOLDEN
    assert key_text(IDS[0], SECRET) == GOLDEN["text"]


def test_a_kept_key_opens(tmp_path: Path) -> None:
    """The text that a client kept, with the document that the lake kept."""
    store, clock = open_store("memory://"), ManualClock()
    with Journal.open(store, tmp_path) as journal:
        documents = Documents(store, journal, clock)
        documents.change("keys", IDS[0], lambda _: GOLDEN["bodies"][0], author=AUTHOR)
        principal = Keys(documents, clock).authenticate(GOLDEN["text"])
    assert (principal.name, principal.kind, principal.trust) == ("agent:tidy", "agent", 0.5)
    assert principal.scopes.to_list() == ["read:*", "write:hr.*", "write:planes"]


@pytest.mark.parametrize("member", sorted(GOLDEN["bodies"][0]))
def test_damaged_members_are_told(member: str) -> None:
    """One that is missing, and one that has not its form, with the object's path."""
    for damage in ("missing", "form"):
        body = copy.deepcopy(GOLDEN["bodies"][1])
        if damage == "missing":
            del body[member]
        else:
            body[member] = {"un": ["likely"]}
        with pytest.raises((CorruptData, UnsupportedFormat), match=f"documents/keys/{IDS[0]}/"):
            read_key(document(body))


def test_a_newer_format_is_told() -> None:
    """And not guessed at."""
    with pytest.raises(UnsupportedFormat, match="expected 1, found 2"):
        read_key(document({**GOLDEN["bodies"][0], "format": 2}))
