"""Writes webhook_v1.json: a machine's key, a webhook's documents, its secrets, one message.

Run it only when a format gets a new version, and give the file another name then.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from lakecore.base import ManualClock
from lakecore.documents import Documents
from lakecore.journal import Author, Event, Journal
from lakecore.storage import open_store
from lakecore.webhooks import Allowed, Machine, Webhooks, signed_headers
from lakecore.webhooks._message import messages

FILE = Path(__file__).parent / "webhook_v1.json"
KEY = bytes(range(32))
AUTHOR = Author(actor="ada", source="cli")
EVENT = Event(
    seq=17,
    event_id="m1:0",
    timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC),
    entity_type="plane",
    entity_id="N102UW",
    field="seats",
    action="update",
    old_value="182",
    new_value="180",
    actor="ada",
    dataset="planes",
    dataset_id="d1",
    version=2,
    mutation_id="m1",
    context='{"reason":"two rows removed"}',
)


def golden() -> dict[str, Any]:
    """What is written for known random bytes and times."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        store, state = open_store("memory://"), Path(folder)
        with (
            Journal.open(store, state, origin="lake.example/1") as journal,
            mock.patch.object(secrets, "token_bytes", return_value=KEY),
            mock.patch.object(secrets, "token_hex", return_value="0123456789abcdef"),
        ):
            documents = Documents(store, journal, clock)
            machine = Machine(state)
            book = Webhooks(documents, journal, clock, machine, allowed=Allowed())
            first = book.create(
                "https://crm.example/in",
                datasets=["planes", "hr.*"],
                entity_types=["plane"],
                actions=["insert", "update"],
                note="the CRM",
                author=AUTHOR,
            )
            clock.advance(1_000_000)
            second = book.rotate(first.webhook.id, author=AUTHOR)
            clock.advance(1_000_000)
            book.disable(first.webhook.id, "the receiver is gone (410)", author=AUTHOR)
            bodies = [documents.get("webhooks", first.webhook.id, version=n) for n in range(3)]
            (message,) = messages(second.webhook, "lake-id", [EVENT], "cursor")
            signing = machine.signing(second.webhook, clock.now_us())
            key_file = json.loads(machine.path.read_text())
    return {
        "key_file": key_file,
        "fingerprint": second.webhook.machine,
        "secrets": [first.secret, second.secret],
        "bodies": [document.body for document in bodies if document is not None],
        "message": {"id": message.id, "body": message.body.decode()},
        "headers": signed_headers(message.id, 1_700_000_000, message.body, signing),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden(), indent=1) + "\n")
