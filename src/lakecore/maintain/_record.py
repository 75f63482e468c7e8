"""What upkeep says in the journal beside the events that are part of commits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from lakecore.journal import Event

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.journal import Author, Journal

MAINTENANCE: Final = "maintenance"
VACUUM: Final = "vacuum"
PURGE: Final = "purge"
CHECKPOINT: Final = "checkpoint"
COMPACT: Final = "compact"
EXPIRE: Final = "expire"
DONE: Final = {VACUUM: "vacuum_done", PURGE: "purge_done"}
"""The action of the event that ends what another one announced."""


def record(
    journal: Journal,
    dataset: Dataset,
    action: str,
    details: Mapping[str, Any],
    *,
    author: Author,
    mutation_id: str,
) -> None:
    """One event about a dataset; durable on return."""
    context = json.loads(author.context_text({MAINTENANCE: dict(details)}))
    journal.record(
        Event(
            entity_type=MAINTENANCE,
            entity_id=dataset.name,
            action=action,
            actor=author.actor,
            source=author.source,
            dataset=dataset.name,
            dataset_id=dataset.dataset_id,
            mutation_id=mutation_id,
            context=json.dumps(context, ensure_ascii=False, sort_keys=True),
        )
    )


def said(event: Event) -> dict[str, Any]:
    """What an event says was measured; {} when it says nothing."""
    try:
        found = json.loads(event.context).get(MAINTENANCE)
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def list_sha256(paths: Iterable[str]) -> str:
    """SHA-256 over paths, sorted, each ended by a newline."""
    hasher = hashlib.sha256()
    for path in sorted(paths):
        hasher.update(path.encode() + b"\n")
    return hasher.hexdigest()
