"""Writes key_v1.json: an API key's text, and its document before and after a rotation.

Run it only when the format gets a new version, and give the file another name then.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from lakecore.auth import Keys
from lakecore.base import ManualClock
from lakecore.documents import Documents
from lakecore.journal import Author, Journal
from lakecore.storage import open_store

FILE = Path(__file__).parent / "key_v1.json"
SECRET = bytes(range(32))
IDS = ["0123456789ab", "cdefghjkmnpq"]
AUTHOR = Author(actor="ada", source="cli")


def golden() -> dict[str, Any]:
    """The text of a key with known secret bytes, and the bodies of its document."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store("memory://")
        with (
            Journal.open(store, Path(folder)) as journal,
            mock.patch.object(secrets, "token_bytes", return_value=SECRET),
            mock.patch("lakecore.auth._keys.new_id", iter(IDS).__next__),
        ):
            documents = Documents(store, journal, clock)
            keys = Keys(documents, clock, monotonic_s=lambda: 0.0)
            made = keys.create(
                "agent:tidy",
                scopes=["read:*", "write:hr.*", "write:planes"],
                roles=["chief"],
                trust=0.5,
                expires_us=clock.now_us() + 3_600_000_000,
                note="for CI",
                author=AUTHOR,
            )
            keys.rotate(made.key.id, author=AUTHOR, overlap_s=60)
            bodies = [documents.get("keys", made.key.id, version=n) for n in (0, 1)]
            successor = documents.get("keys", IDS[1])
    return {
        "text": made.text,
        "bodies": [document.body for document in bodies if document is not None],
        "successor": successor.body if successor is not None else None,
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n")
