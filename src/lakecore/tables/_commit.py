"""The loop that makes a change a version: plan, stage, commit, acknowledge; again if it lost.

The commit point is one call, `store.create` of the version's log entry. What a crash leaves:

- before staging is finished: data files that nothing refers to;
- between staging and commit: also a staged file, undecided until somebody makes that
  version, and then dead;
- after the commit: everything; sealing finds the staged file by itself.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    InvalidInput,
    LakecoreError,
    Unavailable,
    uuid7,
)
from lakecore.storage import Store
from lakecore.tables._attempt import Attempt
from lakecore.tables._checkpoint import checkpoint
from lakecore.tables._delta_log import commit_path
from lakecore.tables._gate import ChangeFacts, DiffSink, Gate, Ruling
from lakecore.tables._operations import Operation
from lakecore.tables._review import Review
from lakecore.tables._state import TableState, TableStates, empty_state
from lakecore.tables._supported import check_writable
from lakecore.tables._types import (
    DatasetRef,
    IngestNote,
    MutationResult,
    StagingJournal,
    TableSettings,
)

if TYPE_CHECKING:
    from lakecore.journal import Author, CommitRecord

_log = logging.getLogger(__name__)

_MAX_WAIT_S: Final = 1.0
_CREATE_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One mutation as it was asked for."""

    dataset: DatasetRef
    author: Author
    op: str
    mutation_id: str
    note: IngestNote | None = None
    dry_run: bool = False
    before_commit: Callable[[], None] | None = None
    grant: object | None = None
    diff: DiffSink | None = None


class Committer:
    """Makes versions of the tables in one store; threads of a process queue for each table."""

    def __init__(
        self,
        store: Store,
        journal: StagingJournal,
        clock: Clock,
        settings: TableSettings,
        states: TableStates,
        gate: Gate | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._states = states
        self._gate = gate
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def run(self, operation: Operation, request: Request) -> MutationResult:
        """Commit `operation`, or say what it would do.

        Raises:
            InvalidInput: the request cannot succeed on this table.
            Conflict: others committed first, every time.
            Unavailable: the store does not answer; nothing changed, or `hint` says otherwise.
        """
        with self._guard:
            lock = self._locks.setdefault(request.dataset.location, threading.Lock())
        with lock:
            return self._try(operation, request)

    def _try(self, operation: Operation, request: Request) -> MutationResult:
        for number in range(self._settings.max_retries):
            if number:
                self._wait(number)
            attempt: Attempt | None = None
            try:
                attempt = self._attempt(operation, request)
                record = self._plan_and_stage(attempt, operation, request)
                if record is None:
                    attempt.discard()
                    operation.discard()
                    return _result(attempt, request, None)
                if number == 0 and request.before_commit is not None:
                    request.before_commit()
                content = attempt.commit()
                self._settings.on_step("committing")
                won = self._create(attempt, content, record)
            except BaseException:
                _drop(attempt, operation)
                raise
            if won:
                return self._acknowledge(attempt, request, record)
            attempt.discard()
            for owner in attempt.owners:
                owner.review.restart()
        operation.discard()
        raise Conflict(
            "others changed the dataset first, every time",
            where=request.dataset.name,
            found=f"{self._settings.max_retries} attempts",
            hint="try again, or make fewer, larger changes",
        )

    def _plan_and_stage(
        self, attempt: Attempt, operation: Operation, request: Request
    ) -> CommitRecord | None:
        """The staged commit's record; None when nothing is to be committed."""
        operation.plan(attempt)
        attempt.wait()
        self._settings.on_step("planned")
        if not attempt.changes_something:
            return None
        ruling = attempt.review.decide(attempt.plan)
        if request.dry_run or ruling is not Ruling.COMMIT:
            return None
        record = attempt.stage(operation.name, operation.parameters())
        self._settings.on_step("staged")
        return record

    def _attempt(self, operation: Operation, request: Request) -> Attempt:
        dataset = request.dataset
        now_us = self._clock.now_us()
        base = self._states.current(dataset) or empty_state(dataset, created_us=now_us)
        check_writable(base, dataset, removes=operation.removes)
        return Attempt(
            store=self._store,
            journal=self._journal,
            settings=self._settings,
            dataset=dataset,
            base=base,
            author=request.author,
            mutation_id=request.mutation_id,
            timestamp_us=max(now_us, base.commit_us + 1),
            review=self._review(request, base),
            note=request.note,
            dry_run=request.dry_run,
        )

    def _review(self, request: Request, base: TableState) -> Review:
        facts = ChangeFacts(
            dataset=request.dataset,
            op=request.op,
            author=request.author,
            mutation_id=request.mutation_id,
            base_version=base.version,
            base_rows=base.row_count,
            schema=base.schema,
            dry_run=request.dry_run,
            grant=request.grant,
        )
        return Review(self._gate, facts, request.diff)

    def _create(self, attempt: Attempt, content: bytes, record: CommitRecord) -> bool:
        """The commit point. True: the version is ours; False: it is somebody else's.

        Whatever is raised in here, even by a signal, may come after the version was stored:
        until it is known that it was not, what it refers to has to stay.
        """
        path = commit_path(attempt.dataset.location, attempt.version)
        attempt.may_be_committed = True
        answer_lost = False
        for number in range(_CREATE_TRIES):
            try:
                self._store.create(path, content)
            except AlreadyExists:
                attempt.may_be_committed = self._is_ours(path, record)
                return attempt.may_be_committed
            except Unavailable as error:
                # It may have been stored all the same, or be stored later. The same again
                # tells, because one name cannot be created twice.
                answer_lost = True
                if number + 1 == _CREATE_TRIES:
                    raise _not_known(error, attempt.dataset) from error
            except LakecoreError as error:
                # Refused. The store may still have failed after the object was there.
                if answer_lost or self._store.exists(path):
                    raise _not_known(error, attempt.dataset) from error
                attempt.may_be_committed = False
                raise
            else:
                return True
        raise AssertionError("unreachable")

    def _is_ours(self, path: str, record: CommitRecord) -> bool:
        from lakecore.journal import read_commit_record

        present = read_commit_record(self._store.get(path))
        return present is not None and present.commit_id == record.commit_id

    def _acknowledge(
        self, attempt: Attempt, request: Request, record: CommitRecord
    ) -> MutationResult:
        """The version is durable: nothing that happens from here on can undo it."""
        self._settings.on_step("committed")
        attempt.close()
        try:
            self._journal.committed(record.commit_id)
        except LakecoreError as error:
            # Only a hint that there is something to seal: sealing finds it by itself.
            _log.warning("sealing was not asked for after %s: %s", record.commit_id, error)
        result = _result(attempt, request, record.commit_id)
        self._settings.on_step("acknowledged")
        if attempt.version and attempt.version % self._settings.checkpoint_versions == 0:
            checkpoint(self._store, request.dataset.location, attempt.version)
        return result

    def _wait(self, number: int) -> None:
        longest = min(_MAX_WAIT_S, self._settings.retry_wait_s * 2.0**number)
        time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter


def _drop(attempt: Attempt | None, operation: Operation) -> None:
    """Remove what a failed attempt wrote, unless a version may refer to it."""
    if attempt is not None and attempt.may_be_committed:
        attempt.close()
        return
    if attempt is not None:
        attempt.discard()
    operation.discard()


def _not_known(error: LakecoreError, dataset: DatasetRef) -> LakecoreError:
    return type(error)(
        "the store failed while the change was being committed",
        found=error,
        where=dataset.name,
        hint="look whether the change is there before you repeat it",
    )


def _result(attempt: Attempt, request: Request, commit_id: str | None) -> MutationResult:
    return MutationResult(
        mutation_id=request.mutation_id,
        commit_id=commit_id,
        dataset=request.dataset.name,
        version=attempt.version if commit_id is not None else None,
        inserted=attempt.inserted,
        updated=attempt.updated,
        deleted=attempt.deleted,
        unchanged=attempt.unchanged,
        missing=attempt.missing,
        conflicts=attempt.conflicts,
        events=attempt.event_count,
        dry_run=request.dry_run,
        changes=tuple(attempt.events.samples[0]),
        tier=attempt.review.tier,
        held=attempt.review.held and not request.dry_run,
        digest=attempt.review.digest() if attempt.review.exact else None,
    )


def new_mutation_id(clock: Clock, given: str | None) -> str:
    """The caller's mutation id, or a new one. Raises `InvalidInput` when it is no id."""
    if given is None:
        return uuid7(clock)
    if not given or len(given) > 200 or not given.isprintable():
        raise InvalidInput(
            "not a mutation id", expected="1 to 200 printable characters", found=given
        )
    return given
