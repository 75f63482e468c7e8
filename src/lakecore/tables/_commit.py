"""The loop that makes a change a version: plan, stage, commit, acknowledge; again if it lost.

Changes of one table queue (`_group`), and small ones share a commit. A lost race is answered
by staging the same plan for the next version where it still holds (`_rebase`), else by
planning again.

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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from lakecore.base import (
    AlreadyExists,
    Bug,
    Clock,
    Conflict,
    InvalidInput,
    LakecoreError,
    NotFound,
    Unavailable,
    uuid7,
)
from lakecore.storage import Store
from lakecore.tables._attempt import Attempt
from lakecore.tables._checkpoint import checkpoint
from lakecore.tables._delta_log import commit_path
from lakecore.tables._events import Owner
from lakecore.tables._gate import ChangeFacts, DiffSink, Gate, Ruling
from lakecore.tables._group import Member, WriterQueue
from lakecore.tables._merge import Merge
from lakecore.tables._operations import Operation
from lakecore.tables._rebase import still_holds
from lakecore.tables._review import Review
from lakecore.tables._state import TableState, TableStates, empty_state
from lakecore.tables._supported import check_not_moved, check_writable
from lakecore.tables._together import Apart, faulty, how_many
from lakecore.tables._types import (
    DatasetRef,
    IngestNote,
    MutationResult,
    Once,
    StagingJournal,
    TableSettings,
)

if TYPE_CHECKING:
    from lakecore.journal import Author, CommitRecord

_log = logging.getLogger(__name__)

STAGED: Final = "journal/staged/"
"""Where staged events lie."""
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
    once: Once | None = None
    dry_run: bool = False
    before_commit: Callable[[], None] | None = None
    grant: object | None = None
    diff: DiffSink | None = None
    is_upkeep: bool = False
    """No row may change, which the attempt sees to; so no judge is asked."""


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
        self._queues: dict[str, WriterQueue] = {}
        self._guard = threading.Lock()

    def run(self, operation: Operation, request: Request) -> MutationResult:
        """Commit `operation`, or say what it would do.

        Raises:
            InvalidInput: the request cannot succeed on this table.
            Conflict: others committed first, every time.
            Unavailable: the store does not answer; nothing changed, or `hint` says otherwise.
        """
        location = request.dataset.location
        with self._guard:
            queue = self._queues.get(location)
            if queue is None:
                queue = self._queues[location] = WriterQueue(how_many, self._commit)
        return queue.run(Member(operation, request))

    def _commit(self, members: Sequence[Member]) -> None:
        """Settle these, in one commit as far as it goes."""
        waiting = list(members)
        while len(waiting) > 1:
            waiting = self._commit_together(waiting)
        for member in waiting:
            self._commit_alone(member)

    def _commit_alone(self, member: Member) -> None:
        try:
            member.settle(self._try(member.operation, [member.request])[0])
        except Exception as error:  # raised where the change was asked for
            member.settle(error)

    def _commit_together(self, members: Sequence[Member]) -> list[Member]:
        """Commit a group; who is left over. Who has no part in it is settled, and it goes on."""
        outcomes: Mapping[int, MutationResult | Exception]
        try:
            parts = [member.operation for member in members if isinstance(member.operation, Merge)]
            results = self._try(Merge.of_several(parts), [member.request for member in members])
            outcomes = dict(enumerate(results))
        except Apart as apart:
            outcomes = apart.outcomes
        except InvalidInput:
            # Whose fault is it? If nobody's alone, then the first goes before the others.
            state = self._states.current(members[0].request.dataset)
            outcomes = faulty(members, state.schema) if state is not None else {}
            if not outcomes:
                self._commit_alone(members[0])
                return list(members[1:])
        except Exception as error:  # the store's, or what stops everybody
            outcomes = dict.fromkeys(range(len(members)), error)
        for position, outcome in outcomes.items():
            members[position].settle(outcome)
        return [member for member in members if not member.is_settled]

    def _try(self, operation: Operation, requests: Sequence[Request]) -> list[MutationResult]:
        request = requests[0]
        attempt: Attempt | None = None
        record: CommitRecord | None = None
        for number in range(self._settings.max_retries):
            if number:
                self._wait(number)
            try:
                if attempt is not None:
                    record = self._rebase(attempt, operation, request.once)
                    if record is None:
                        attempt.discard()
                        _restart(attempt)
                        attempt = None
                if attempt is None:
                    attempt = self._attempt(operation, requests)
                    record = self._plan_and_stage(attempt, operation, requests)
                if record is None:
                    attempt.discard()
                    operation.discard()
                    return _results(attempt, requests, None)
                if number == 0 and request.before_commit is not None:
                    request.before_commit()
                content = attempt.commit()
                self._settings.on_step("committing")
                won = self._create(attempt, content, record)
            except BaseException as error:
                _drop(attempt, operation)
                if attempt is not None and len(requests) > 1:
                    settled = error.outcomes if isinstance(error, Apart) else {}
                    _restart(attempt, but=settled)
                raise
            if won:
                return self._acknowledge(attempt, requests, record)
        if attempt is not None:
            attempt.discard()
        operation.discard()
        raise Conflict(
            "others changed the dataset first, every time",
            where=request.dataset.name,
            found=f"{self._settings.max_retries} attempts",
            hint="try again, or make fewer, larger changes",
        )

    def _rebase(
        self, attempt: Attempt, operation: Operation, once: Once | None
    ) -> CommitRecord | None:
        """The record of the same change, staged for the newest version; None: plan it again."""
        newest = self._states.current(attempt.dataset)
        self._check_once(attempt.dataset, once)
        if newest is None or not still_holds(operation, attempt, newest):
            return None
        check_writable(newest, attempt.dataset, removes=operation.removes)
        check_not_moved(newest, attempt.dataset)
        try:
            record = attempt.restage(newest, self._clock.now_us())
        except NotFound as error:
            if not str(error.where).startswith(STAGED):
                raise
            # The version that it was staged for is another's: a sealer, here or elsewhere, has
            # found it dead by now, and dropped the file that the events would be taken from.
            return None
        self._settings.on_step("rebased")
        return record

    def _plan_and_stage(
        self, attempt: Attempt, operation: Operation, requests: Sequence[Request]
    ) -> CommitRecord | None:
        """The staged commit's record; None when nothing is to be committed.

        Raises:
            Apart: some of several mutations are refused or held.
        """
        try:
            operation.plan(attempt)
            attempt.wait()
        except Exception as error:
            refused = [n for n, owner in enumerate(attempt.owners) if owner.review.refused]
            if refused and len(requests) > 1:
                raise Apart(dict.fromkeys(refused, error)) from error
            raise
        self._settings.on_step("planned")
        if not attempt.changes_something:
            return None
        is_let_pass = self._decide(attempt, requests)
        if requests[0].dry_run or not is_let_pass:
            return None
        if requests[0].is_upkeep is not attempt.keeps_rows:
            raise Bug("a change that was not judged", where=attempt.dataset.name)
        record = attempt.stage(operation.name, operation.parameters())
        self._settings.on_step("staged")
        return record

    def _decide(self, attempt: Attempt, requests: Sequence[Request]) -> bool:
        """Whether every mutation may be committed."""
        if len(requests) == 1:
            return attempt.review.decide(attempt.plan) is Ruling.COMMIT
        apart: dict[int, MutationResult | Exception] = {}
        for position, owner in enumerate(attempt.owners):
            if not attempt.takes_part(position):
                continue
            try:
                ruling = owner.review.decide(partial(attempt.plan, position))
            except Exception as error:  # this mutation's alone
                apart[position] = error
            else:
                if ruling is not Ruling.COMMIT:
                    apart[position] = _result(attempt, requests[position], position, None)
        if apart:
            raise Apart(apart)
        return True

    def _attempt(self, operation: Operation, requests: Sequence[Request]) -> Attempt:
        request = requests[0]
        dataset = request.dataset
        now_us = self._clock.now_us()
        base = self._states.current(dataset) or empty_state(dataset, created_us=now_us)
        self._check_once(dataset, request.once)
        check_writable(base, dataset, removes=operation.removes)
        check_not_moved(base, dataset)
        reviews = self._reviews(requests, base)
        others = zip(requests[1:], reviews[1:], strict=True)
        return Attempt(
            store=self._store,
            journal=self._journal,
            settings=self._settings,
            dataset=dataset,
            base=base,
            author=request.author,
            mutation_id=request.mutation_id,
            timestamp_us=max(now_us, base.commit_us + 1),
            review=reviews[0],
            note=request.note,
            once=request.once,
            dry_run=request.dry_run,
            others=[Owner(each.author, each.mutation_id, review) for each, review in others],
        )

    def _check_once(self, dataset: DatasetRef, once: Once | None) -> None:
        """Raises `Conflict` unless the number is as the request says.

        It is read after the base, so of that version or a newer one: where it still is the one
        before, it is so in the base, and the commit is strictly the base's next version.
        """
        if once is None:
            return
        found = self._states.number_of(dataset, once.name)
        if found != once.after:
            raise Conflict(
                "the number of another append is there",
                where=f"{dataset.name}, {once.name}",
                expected=once.after,
                found=found,
                hint="look which parts are in, and append those that are not",
            )

    def _reviews(self, requests: Sequence[Request], base: TableState) -> list[Review]:
        """A review for each; `Apart` when some of several are refused beforehand."""
        if len(requests) == 1:
            return [self._review(requests[0], base)]
        reviews: list[Review] = []
        refused: dict[int, MutationResult | Exception] = {}
        for position, request in enumerate(requests):
            try:
                reviews.append(self._review(request, base))
            except Exception as error:  # this mutation's alone
                refused[position] = error
        if refused:
            raise Apart(refused)
        return reviews

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
        return Review(None if request.is_upkeep else self._gate, facts, request.diff)

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
        self, attempt: Attempt, requests: Sequence[Request], record: CommitRecord
    ) -> list[MutationResult]:
        """The version is durable: nothing that happens from here on can undo it."""
        self._settings.on_step("committed")
        attempt.close()
        try:
            self._journal.committed(record.commit_id)
        except LakecoreError as error:
            # Only a hint that there is something to seal: sealing finds it by itself.
            _log.warning("sealing was not asked for after %s: %s", record.commit_id, error)
        results = _results(attempt, requests, record.commit_id)
        self._settings.on_step("acknowledged")
        if attempt.version and attempt.version % self._settings.checkpoint_versions == 0:
            checkpoint(self._store, attempt.dataset.location, attempt.version)
        return results

    def _wait(self, number: int) -> None:
        longest = min(_MAX_WAIT_S, self._settings.retry_wait_s * 2.0**number)
        time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter


def _restart(attempt: Attempt, *, but: Collection[int] = ()) -> None:
    """What was shown of the change is void: it is planned again."""
    for position, owner in enumerate(attempt.owners):
        if position not in but:
            owner.review.restart()


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


def _results(
    attempt: Attempt, requests: Sequence[Request], commit_id: str | None
) -> list[MutationResult]:
    return [
        _result(attempt, request, position, commit_id if attempt.takes_part(position) else None)
        for position, request in enumerate(requests)
    ]


def _result(
    attempt: Attempt, request: Request, position: int, commit_id: str | None
) -> MutationResult:
    review = attempt.owners[position].review
    return MutationResult(
        mutation_id=request.mutation_id,
        commit_id=commit_id,
        dataset=request.dataset.name,
        version=attempt.version if commit_id is not None else None,
        **attempt.counts(position),
        missing=attempt.missing,
        conflicts=attempt.conflicts,
        events=int(attempt.events.numbering.counts[position]),
        dry_run=request.dry_run,
        changes=tuple(attempt.events.samples[position]),
        tier=review.tier,
        held=review.held and not request.dry_run,
        digest=review.digest() if review.exact else None,
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
