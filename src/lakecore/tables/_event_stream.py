"""The events of one attempt: built beside, numbered in order, hashed beside, staged in order.

The last event of a commit says, in member ``commit`` of its context, what the commit does
(`actions_sha256`). That is known when everything else is; so the last events are held back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakecore.base import Bug, LakecoreError
from lakecore.storage import Store
from lakecore.tables._delta_log import commit_path
from lakecore.tables._events import (
    SCHEMA,
    Change,
    EventTemplate,
    Numbering,
    Owner,
    owners_of,
    with_commit,
)
from lakecore.tables._lane import Pipeline
from lakecore.tables._types import MAX_SAMPLE_CHANGES, DatasetRef, StagingJournal

if TYPE_CHECKING:
    from lakecore.journal import CommitRecord, Mutation, PreparedEvents, Staging
    from lakecore.tables._events import Owners
    from lakecore.tables._review import Review

    _Prepared = tuple[PreparedEvents | None, list[tuple[Review, pa.Table]]]


class EventStream:
    """Takes changes, in order; stages their events, and gives reviews the exact change.

    `samples` are the first changes, `value_bytes` the old and new values of each mutation.
    """

    def __init__(
        self,
        *,
        journal: StagingJournal,
        dataset: DatasetRef,
        owners: Sequence[Owner],
        version: int,
        timestamp_us: int,
        dry_run: bool,
    ) -> None:
        self.numbering = Numbering(len(owners))
        self.samples: list[list[Mapping[str, Any]]] = [[] for _ in owners]
        self.value_bytes: Owners = np.zeros(len(owners), dtype=np.intp)
        self.schema_changes: list[str] = []
        self._journal = journal
        self._owners = owners
        self._judged = any(owner.review.judged for owner in owners)
        self._exact = any(owner.review.exact for owner in owners)
        self._dry_run = dry_run
        self._template = EventTemplate(
            dataset=dataset, owners=owners, version=version, timestamp_us=timestamp_us
        )
        self._pipeline = Pipeline(
            "lakecore-events", number=self._number, prepare=self._prepare, take=self._take
        )
        self._staging: Staging | None = None
        self._held_back: PreparedEvents | None = None

    def run(self, work: Callable[..., Change | None], *arguments: Any) -> None:
        """Have `work` done beside; what it returns comes after what was given before."""
        self._pipeline.run(work, *arguments)

    def wait(self) -> None:
        """Everything given so far is done; raises what went wrong."""
        self._pipeline.wait()

    def close(self) -> None:
        """End the threads; what is staged stays."""
        self._pipeline.close()

    def finish(self, actions_sha256: str, mutations: Sequence[Mutation]) -> CommitRecord:
        """Make the events durable. Nothing can be added after it."""
        self.wait()
        staging = self._open_staging()
        for prepared in self._closing(actions_sha256):
            staging.write(prepared)
        return staging.finish(mutations)

    def move(
        self,
        store: Store,
        version: int,
        timestamp_us: int,
        actions_sha256: str,
        mutations: Sequence[Mutation],
    ) -> CommitRecord:
        """After `finish`: the same events durable for another version, instead."""
        from lakecore.journal import StagedReader, prepare_events

        old, self._staging = self._staging, None
        if old is None:
            raise Bug("nothing was staged before", where=self._template.dataset.name)
        self._template = replace(self._template, version=version, timestamp_us=timestamp_us)
        try:
            staging = self._open_staging()
            held_back: pa.RecordBatch | None = None
            for batch in StagedReader(store, old.path).batches():
                if held_back is not None:
                    staging.write(prepare_events(held_back, json_is_known=True))
                held_back = self._template.moved(batch)
            if held_back is None:
                raise Bug("a staged file without an event", where=old.path)
            others = held_back.num_rows - 1
            if others:
                staging.write(prepare_events(held_back.slice(0, others), json_is_known=True))
            last = with_commit(held_back.slice(others), {"actions_sha256": actions_sha256})
            staging.write(prepare_events(last, json_is_known=True))
            return staging.finish(mutations)
        finally:
            with suppress(LakecoreError, OSError):
                old.discard()

    def discard(self) -> None:
        """Leave nothing."""
        self.close()
        if self._staging is not None:
            with suppress(LakecoreError, OSError):
                self._staging.discard()

    # -- in their turn --------------------------------------------------------------------

    def _number(self, change: Change | None) -> tuple[Change, Owners | None] | None:
        """Give the events of a change their ordinals; None when there is nothing more to do."""
        if change is None or not len(change):
            return None
        if not change.journaled:
            return change, None
        if change.entity_type is None:
            self._show(change)
        elif change.entity_type == SCHEMA:
            self.schema_changes.append(f"{change.action} {change.field}")
        if self._judged and not change.summary:
            self._count_bytes(change)
        ordinals = self.numbering.take(change)
        return None if self._dry_run and not self._exact else (change, ordinals)

    def _prepare(self, change: Change, ordinals: Owners | None) -> _Prepared:
        from lakecore.journal import prepare_events

        exact = list(self._exact_changes(change)) if self._exact and not change.summary else []
        if ordinals is None or self._dry_run:
            return None, exact
        events, constant = self._template.build(change, ordinals)
        return prepare_events(events, json_is_known=True, constant=constant), exact

    def _take(self, prepared: _Prepared) -> None:
        events, exact = prepared
        for review, rows in exact:
            review.write(rows)
        if events is not None:
            if self._held_back is not None:
                self._open_staging().write(self._held_back)
            self._held_back = events

    # -- parts ----------------------------------------------------------------------------

    def _show(self, change: Change) -> None:
        """Keep the first changes of each mutation as its result's sample."""
        for owner in owners_of(change.owners):
            sample = self.samples[owner]
            room = MAX_SAMPLE_CHANGES - len(sample)
            if room <= 0:
                continue
            rows: Iterable[int] = range(min(len(change), room))
            if change.owners is not None:
                rows = np.flatnonzero(change.owners == owner)[:room].tolist()
            for row in rows:
                sample.append(
                    {
                        "action": change.action,
                        "entity_id": change.entity_ids[row].as_py(),
                        "field": change.field,
                        "old_value": change.old[row].as_py() if change.old is not None else None,
                        "new_value": change.new[row].as_py() if change.new is not None else None,
                    }
                )

    def _count_bytes(self, change: Change) -> None:
        sizes = change.value_bytes()
        if change.owners is None:
            self.value_bytes[0] += sizes.sum()
        else:
            np.add.at(self.value_bytes, change.owners, sizes)

    def _exact_changes(self, change: Change) -> Iterator[tuple[Review, pa.Table]]:
        """For each mutation the part of the exact change that it has in `change`."""
        rows = change.exact(self._template.entity_type)
        for position in owners_of(change.owners):
            owner = self._owners[position]
            if not owner.review.exact:
                continue
            part = rows
            if change.owners is not None:
                part = rows.filter(pa.array(change.owners == position))
            owner.review.digest_rows(part)
            yield owner.review, part

    def _closing(self, actions_sha256: str) -> Iterator[PreparedEvents]:
        """The events that were held back; the last of them with the commit's digest."""
        from lakecore.journal import PreparedEvents, prepare_events

        held_back, self._held_back = self._held_back, None
        if held_back is None:
            raise Bug("a commit without an event", where=self._template.dataset.name)
        *whole, (batch, hashes) = held_back.batches
        others = batch.num_rows - 1
        if others:
            whole.append((batch.slice(0, others), hashes[:others]))
        yield PreparedEvents(whole)
        last = with_commit(batch.slice(others), {"actions_sha256": actions_sha256})
        yield prepare_events(last, json_is_known=True)

    def _open_staging(self) -> Staging:
        if self._staging is None:
            from lakecore.journal import Target

            template = self._template
            dataset = template.dataset
            target = Target(
                path=commit_path(dataset.location, template.version),
                kind="table",
                dataset=dataset.name,
                dataset_id=dataset.dataset_id,
                version=template.version,
            )
            self._staging = self._journal.stage(target)
        return self._staging
