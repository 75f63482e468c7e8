"""Reading and committing documents on a store."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lakecore.base import AlreadyExists, Clock, Conflict, SystemClock, uuid7
from lakecore.base.limits import MAX_COMMIT_RETRIES
from lakecore.documents._document import (
    Body,
    Document,
    body_sha256,
    check_name,
    document_path,
    encode_document,
    field_changes,
    folder,
    parse_document,
    split_path,
)
from lakecore.journal import (
    Author,
    Event,
    Journal,
    Mutation,
    Target,
    events_to_arrow,
    read_commit_record,
)
from lakecore.storage import Store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATASET = "system.documents"

Change = Callable[[Document | None], Body | None]
"""From the newest version (None: there is none, or it was removed) to the next body (None: remove).

Called again when somebody else changed the document meanwhile, so it must not have effects.
"""


class Documents:
    """Versioned documents of one lake. Threads may share it; processes need not know each other."""

    def __init__(self, store: Store, journal: Journal, clock: Clock | None = None) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock or SystemClock()
        self._newest: dict[tuple[str, str], Document] = {}
        self._turns: dict[tuple[str, str], threading.RLock] = {}
        self._lock = threading.Lock()

    def get(self, kind: str, name: str, *, version: int | None = None) -> Document | None:
        """The newest version, or the one asked for; None when there is none.

        A removed document is returned with `body` None: its name has a past.
        """
        check_name(kind, what="kind of document")
        check_name(name, what="document name")
        if version is not None:
            path = document_path(kind, name, version)
            return self._read(path) if self._store.exists(path) else None
        known = self._newest.get((kind, name))
        paths = [
            info.path
            for info in self._store.list_objects(
                folder(kind, name), after=known.path if known else None
            )
            if split_path(info.path)
        ]
        return self._remember(self._read(paths[-1])) if paths else known

    def list_documents(self, kind: str) -> list[Document]:
        """The newest version of every document of a kind, by name; removed ones have body None."""
        documents = []
        for name, version in self.newest_versions(kind).items():
            known = self._newest.get((kind, name))
            if known is None or known.version != version:
                known = self._remember(self._read(document_path(kind, name, version)))
            documents.append(known)
        return documents

    def newest_versions(self, kind: str) -> dict[str, int]:
        """The number of the newest version of every document of a kind; none is read."""
        check_name(kind, what="kind of document")
        newest: dict[str, int] = {}
        for info in self._store.list_objects(folder(kind)):
            parts = split_path(info.path)
            if parts is not None:
                newest[parts[1]] = parts[2]
        return newest

    def change(
        self,
        kind: str,
        name: str,
        change: Change,
        *,
        author: Author,
        action: str | None = None,
        mutation_id: str | None = None,
    ) -> Document:
        """Commit the next version; the newest document itself when `change` alters nothing.

        Args:
            change: from the newest version to the next body; see `Change`.
            action: what the events say; default insert, update or delete as it is.
            mutation_id: the caller's own, else a new UUIDv7.

        Raises:
            Conflict: others kept winning for `MAX_COMMIT_RETRIES` attempts.
        """
        mutation_id = mutation_id or uuid7(self._clock)
        with self._lock:
            turn = self._turns.setdefault((kind, name), threading.RLock())
        # Threads of one process queue; only other processes can make an attempt fail.
        with turn:
            return self._change(kind, name, change, author, action, mutation_id)

    def _change(
        self,
        kind: str,
        name: str,
        change: Change,
        author: Author,
        action: str | None,
        mutation_id: str,
    ) -> Document:
        for attempt in range(MAX_COMMIT_RETRIES):
            newest = self.get(kind, name)
            present = newest if newest is not None and newest.body is not None else None
            body = change(present)
            old = present.body if present else None
            if not list(field_changes(old, body)):
                if newest is None:
                    raise Conflict("there is nothing to change", where=f"{kind}/{name}")
                return newest
            committed = self._commit(kind, name, newest, body, author, action, mutation_id)
            if committed is not None:
                return committed
            time.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311 - jitter, no secret
        raise Conflict(
            "a document was changed by others at every attempt",
            where=f"{kind}/{name}",
            found=f"{MAX_COMMIT_RETRIES} attempts",
            hint="try again",
        )

    def _commit(
        self,
        kind: str,
        name: str,
        base: Document | None,
        body: Body | None,
        author: Author,
        action: str | None,
        mutation_id: str,
    ) -> Document | None:
        """One attempt at version base + 1; None when somebody else created it."""
        version = base.version + 1 if base else 0
        timestamp_us = self._commit_time_us(base)
        old = base.body if base else None
        target = Target(
            path=document_path(kind, name, version),
            kind="document",
            dataset=_DATASET,
            dataset_id=f"{kind}/{name}",
            version=version,
        )
        mutation = Mutation(
            mutation_id=mutation_id,
            actor=author.actor,
            source=author.source,
            workspace_id=author.workspace_id,
            reason=author.reason,
            timestamp_us=timestamp_us,
            context=dict(author.context),
        )
        changes = list(field_changes(old, body))
        # The last event puts the whole body under the journal's root.
        committed = {"commit": {"body_sha256": body_sha256(body)}}
        default_action = "insert" if old is None else "delete" if body is None else "update"
        events = [
            Event(
                event_id=f"{mutation_id}:{ordinal}",
                timestamp=_EPOCH + timedelta(microseconds=timestamp_us),
                entity_type=kind,
                entity_id=name,
                field=change.field,
                action=action or default_action,
                old_value=change.old,
                new_value=change.new,
                actor=author.actor,
                source=author.source,
                workspace_id=author.workspace_id,
                dataset=_DATASET,
                dataset_id=f"{kind}/{name}",
                version=version,
                mutation_id=mutation_id,
                context=author.context_text(committed if ordinal + 1 == len(changes) else None),
            )
            for ordinal, change in enumerate(changes)
        ]
        with self._journal.stage(target) as staging:
            staging.write(events_to_arrow(events))
            record = staging.finish([mutation])
            data = encode_document(kind, name, version, body, record)
            try:
                # The commit point: before it nothing happened, after it only sealing is left.
                self._store.create(target.path, data)
            except AlreadyExists:
                # A put that was retried below us may have found its own first try.
                winner = read_commit_record(self._store.get(target.path))
                if winner is None or winner.commit_id != record.commit_id:
                    staging.discard()
                    return None
            except BaseException:
                # Stored or not: the target alone tells, so the staged events stay for the sealer.
                self._journal.committed(record.commit_id)
                raise
        self._journal.committed(record.commit_id)
        return self._remember(parse_document(target.path, data))

    def _commit_time_us(self, base: Document | None) -> int:
        """max(clock, time of the version before + 1 µs): commit times of a document increase."""
        previous = base.record.mutations[-1].timestamp_us + 1 if base else 0
        return max(self._clock.now_us(), previous)

    def _read(self, path: str) -> Document:
        return parse_document(path, self._store.get(path))

    def _remember(self, document: Document) -> Document:
        key = (document.kind, document.name)
        with self._lock:
            known = self._newest.get(key)
            if known is None or known.version < document.version:
                self._newest[key] = document
        return document
