"""Approving and rejecting: a change that waits is made as it was shown, or shown again.

    claim (document) -> plan again -> the same? -> commit -> note it (document)
                                      no -> keep the new diff, wait again

- An approval is for one exact change, one rule set and one input of the decision. All three
  are compared in the very attempt that commits, by its judge.
- Exactly once: that attempt's judge also looks for the mutation up to its base version, and a
  commit can only become the version behind it. So of two approvers, or an approver and the
  ghost of one that died, one commits and the other is told.
- The change stays its author's; its context says who approved it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    Conflict,
    LakecoreError,
    NotFound,
    Refused,
    Unavailable,
    format_timestamp,
    uuid7,
)
from lakecore.catalog import Dataset
from lakecore.changes._arguments import decode_arguments
from lakecore.changes._compare import what_differs
from lakecore.changes._gate import Expected, Passage, record_decision
from lakecore.changes._kept import DIFF_SCHEMA, FOLDER, DiffSpool, store_rows, stored_reader
from lakecore.changes._pending import (
    APPROVED,
    COMMITTED,
    LAPSED,
    REJECTED,
    WAITING,
    Pending,
    Pendings,
    still,
)
from lakecore.changes._ports import (
    ChangeParts,
    ChangeResult,
)
from lakecore.tables import IngestNote, MutationResult

if TYPE_CHECKING:
    from lakecore.journal import Author, Event

CLAIM_S: Final = 600
"""Seconds for which an approval that does not end keeps others from rejecting."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 24 * 3600 * 1_000_000
_LOOKED_AT: Final = 100
"""Events of a mutation that are looked at, the newest first; decisions come before commits."""


class Approvals:
    """Decides what becomes of changes that wait. Threads and processes may share it."""

    def __init__(self, parts: ChangeParts) -> None:
        self._parts = parts

    def get(self, name: str) -> Pending:
        """One pending change; what an approver left behind is noted first."""
        return self._settled(self._parts.pendings.get(name))

    def list_pending(self, *, decided: bool = False) -> list[Pending]:
        """The changes that wait, the oldest first; with `decided` also those that did."""
        now_us = self._parts.clock.now_us()
        found = []
        for pending in self._parts.pendings.list_pending():
            pending = self._settled(pending)
            is_open = pending.state in (WAITING, APPROVED) and not pending.is_over(now_us)
            if is_open or decided:
                found.append(pending)
        return found

    def approve(self, name: str, *, author: Author) -> ChangeResult:
        """Make the change, if it is still exactly the one that was shown.

        Raises:
            Refused: this principal may not, it waited too long, or the rules say no by now.
            Conflict: it was decided meanwhile; or it, the rules or what they look at differ,
                and it waits again with its new diff.
            NotFound: there is no such change, or its dataset is gone.
        """
        pending = self.get(name)
        still(pending, WAITING, APPROVED)
        if pending.is_over(self._parts.clock.now_us()):
            pending = lapse(self._parts.pendings, pending, self._parts.clock.now_us())
            self._forget(pending)
            raise Refused(
                "the change waited too long for an approval",
                where=name,
                found=f"until {format_timestamp(pending.expires_us)}",
                hint="ask for it anew",
            )
        self._check_approver(pending, author)
        dataset = self._dataset(pending)
        claimed = self._claim(pending, author)
        try:
            return self._replay(claimed, dataset, author)
        except LakecoreError as error:
            if not isinstance(error, Unavailable):
                # After that one it may be committed all the same: the next look tells.
                self._release(claimed, author)
            raise

    def reject(self, name: str, reason: str = "", *, author: Author) -> Pending:
        """Have the change not made.

        Raises:
            Conflict: it was decided already, or is being carried out just now.
        """
        self.get(name)
        now_us = self._parts.clock.now_us()

        def step(now: Pending) -> Mapping[str, Any]:
            still(now, WAITING, APPROVED)
            claim = now.body["claim"] or {}
            age_us = now_us - int(claim.get("at_us", 0))
            if now.state == APPROVED and age_us < CLAIM_S * 1_000_000:
                raise Conflict(
                    "the change is being carried out",
                    where=name,
                    found=f"approved by {claim.get('by')}",
                    hint="look again in a while",
                )
            return _over(REJECTED, author.actor, now_us, reason)

        because = replace(author, reason=author.reason or reason)
        rejected = self._parts.pendings.change(name, step, author=because, action="reject")
        self._forget(rejected)
        return rejected

    # -- carrying out -----------------------------------------------------------------

    def _replay(self, pending: Pending, dataset: Dataset, approver: Author) -> ChangeResult:
        body = pending.body
        passage = Passage(
            expected=Expected(
                digest=body["digest"],
                rule_hash=body["rule_set"]["hash"],
                input=body["decision"]["input"],
                approved_by=approver.actor,
                not_yet=lambda _: self._check_not_yet(pending),
            )
        )
        sink = DiffSpool(self._parts.settings.pending_bytes)
        author = pending.author
        author = replace(author, context={**author.context, "approved_by": approver.actor})
        try:
            result = self._call(pending, dataset, author, passage, sink)
            if result.committed:
                self._rename_key(pending, dataset, author)
                # Crash window: the claim stays; the next look finds the commit.
                self._note_commit(pending, result.version, approver)
                return ChangeResult(
                    **_members(result),
                    decision=passage.decided.to_dict() if passage.decided else {},
                )
            raise self._shown_again(pending, result, passage, sink, approver)
        finally:
            sink.spool.close()

    def _call(
        self,
        pending: Pending,
        dataset: Dataset,
        author: Author,
        passage: Passage,
        sink: DiffSpool,
    ) -> MutationResult:
        body = pending.body
        given: list[Any] = [dataset]
        if body["rows"] is not None:
            given.append(stored_reader(self._parts.store, body["rows"], what="rows"))
        arguments = decode_arguments(body["arguments"])
        options = {**arguments, **self._parts.derive(body["call"], dataset, arguments)}
        if body["ingest"] is not None:
            options["ingest"] = IngestNote(**body["ingest"])
        if body["new_dataset"] is not None:
            options["before_commit"] = self._registering(dataset, author, pending.mutation_id)
        result: MutationResult = getattr(self._parts.tables, body["call"])(
            *given,
            author=author,
            mutation_id=pending.mutation_id,
            grant=passage,
            diff=sink,
            **options,
        )
        return result

    def _rename_key(self, pending: Pending, dataset: Dataset, author: Author) -> None:
        """The catalog's side of a key column's new name: behind the commit, as at once."""
        if pending.body["call"] != "alter_columns":
            return
        from lakecore.tables import renamed_key

        key = renamed_key(dataset.key, decode_arguments(pending.body["arguments"])["changes"])
        if key != dataset.key:
            self._parts.catalog.rename_key(dataset.name, key, author=author)

    def _registering(
        self, dataset: Dataset, author: Author, mutation_id: str
    ) -> Callable[[], None]:
        def register() -> None:
            self._parts.catalog.register(dataset, author=author, mutation_id=mutation_id)

        return register

    def _check_not_yet(self, pending: Pending) -> None:
        done = self._commit_of(pending)
        if done is not None:
            raise Conflict(
                "the change was committed meanwhile",
                where=pending.id,
                found=f"version {done.version}",
            )

    def _shown_again(
        self,
        pending: Pending,
        result: MutationResult,
        passage: Passage,
        sink: DiffSpool,
        approver: Author,
    ) -> LakecoreError:
        """Keep what the change is now, to be looked at again; the error that says so."""
        decided = passage.decided
        if decided is None or not result.held:
            over = lapse(
                self._parts.pendings,
                pending,
                self._parts.clock.now_us(),
                "nothing is left to change",
            )
            self._forget(over)
            return Conflict("nothing is left to change", where=pending.id, hint="it is settled")
        if sink.spool.overflowed:
            return Refused("the change is too large by now to be kept", where=pending.id)
        body = pending.body
        shown = int(body["shown"]) + 1
        path = f"{FOLDER}{pending.id}/{uuid7(self._parts.clock)}-diff-{shown}.arrow"
        store_rows(
            self._parts.store, path, DIFF_SCHEMA, sink.spool.tables(), name=pending.id, what="diff"
        )
        rows = what_differs(self._parts.store, body["diff"], path)
        record_decision(
            self._parts.journal, decided, pending.mutation_id, _Named(pending), pending.author
        )
        update = {
            "state": WAITING,
            "claim": None,
            "digest": passage.digest,
            "base_version": passage.base_version,
            "counts": {
                name: getattr(result, name)
                for name in ("inserted", "updated", "deleted", "unchanged", "events")
            },
            "changes": [dict(change) for change in result.changes],
            "decision": decided.to_dict(),
            "rule_set": dict(decided.rule_set),
            "diff": path,
            "diff_rows": sink.spool.rows,
            "shown": shown,
        }

        def step(now: Pending) -> Mapping[str, Any]:
            still(now, APPROVED)
            _mine(now, pending)
            return update

        self._parts.pendings.change(pending.id, step, author=approver, action="show")
        with suppress(LakecoreError):
            self._parts.store.delete(body["diff"])
        differs = list(passage.differs)
        if rows:
            differs.append(f"for instance {rows}")
        return Conflict(
            "this is not the change that was shown: it waits again, with its new diff",
            where=pending.id,
            found=f"another: {', '.join(differs)}",
            hint=f"look at it again: lakecore pending {pending.id}",
        )

    # -- the document -----------------------------------------------------------------

    def _claim(self, pending: Pending, approver: Author) -> Pending:
        claim = {
            "id": uuid7(self._parts.clock),
            "by": approver.actor,
            "at_us": self._parts.clock.now_us(),
        }

        def step(now: Pending) -> Mapping[str, Any]:
            still(now, WAITING, APPROVED)
            if now.body["digest"] != pending.body["digest"]:
                raise Conflict(
                    "the change was shown again meanwhile", where=pending.id, hint="look at it"
                )
            return {"state": APPROVED, "claim": claim}

        return self._parts.pendings.change(pending.id, step, author=approver, action="approve")

    def _release(self, pending: Pending, approver: Author) -> None:
        """Have it wait again, if it is still ours to say and nothing came of it."""

        def step(now: Pending) -> Mapping[str, Any]:
            if now.state != APPROVED or now.body["claim"] != pending.body["claim"]:
                return {}
            return {"state": WAITING, "claim": None}

        with suppress(LakecoreError):
            if self._settled(self._parts.pendings.get(pending.id)).state == APPROVED:
                self._parts.pendings.change(pending.id, step, author=approver, action="release")

    def _note_commit(self, pending: Pending, version: int | None, approver: Author) -> Pending:
        now_us = self._parts.clock.now_us()

        def step(now: Pending) -> Mapping[str, Any]:
            if now.state == COMMITTED:
                return {}
            return {**_over(COMMITTED, approver.actor, now_us), "version": version}

        noted = self._parts.pendings.change(pending.id, step, author=approver, action="commit")
        self._forget(noted)
        return noted

    def _settled(self, pending: Pending) -> Pending:
        """Note a commit whose approver died before it could, told by the journal alone."""
        if pending.state != APPROVED:
            return pending
        event = self._commit_of(pending)
        if event is None:
            return pending
        with suppress(NotFound, Conflict):
            # The approver may also have died before the catalog followed.
            self._rename_key(pending, self._dataset(pending), pending.author)
        said = json.loads(event.context).get("approved_by")
        approver = str(said or (pending.body["claim"] or {}).get("by") or pending.author.actor)
        return self._note_commit(pending, event.version, replace(pending.author, actor=approver))

    def _commit_of(self, pending: Pending) -> Event | None:
        """An event of the commit that the change became; None when there is none."""
        since = _EPOCH + timedelta(microseconds=int(pending.body["created_us"]) - _DAY_US)
        page = self._parts.journal.query(
            mutation_id=pending.mutation_id,
            dataset_id=pending.body["dataset_id"],
            since=since,
            limit=_LOOKED_AT,
        )
        return next((event for event in page.items if event.version is not None), None)

    def _dataset(self, pending: Pending) -> Dataset:
        dataset_id = pending.body["dataset_id"]
        for dataset in self._parts.catalog.list_datasets(dropped=True):
            if dataset.dataset_id == dataset_id:
                if dataset.active:
                    return dataset
                raise NotFound(
                    "the dataset was dropped",
                    where=dataset.name,
                    hint=f"lakecore undrop {dataset.name}, or reject the change",
                )
        entry = pending.body["new_dataset"]
        if entry is None:
            raise NotFound("the dataset is gone", where=pending.dataset, hint="reject the change")
        if self._parts.catalog.find(pending.dataset) is not None:
            raise Conflict(
                "there is another dataset of that name by now",
                where=pending.dataset,
                hint="reject the change, and ask for it anew",
            )
        return Dataset.from_body(pending.dataset, -1, entry)

    def _check_approver(self, pending: Pending, approver: Author) -> None:
        decision = pending.decision
        if decision["demanded"] == "auto":
            return  # only its author wanted to look at it first
        wanted = decision["approval"]
        if wanted.get("by", "another") == "another" and approver.actor == pending.author.actor:
            raise Refused(
                "somebody else has to approve it",
                where=pending.id,
                found=f"{approver.actor} asked for it",
            )
        roles = set(wanted.get("roles") or ())
        if roles and not roles & set(self._parts.principals.principal(approver).roles):
            raise Refused(
                "a role is needed to approve it",
                where=pending.id,
                expected=" or ".join(sorted(roles)),
                found=approver.actor,
            )

    def _forget(self, pending: Pending) -> None:
        """Remove what is of no use any more; what stays is removed by `Changes.tidy`."""
        with suppress(LakecoreError):
            for path in (pending.body["rows"], pending.body["diff"]):
                if path is not None:
                    self._parts.store.delete(path)
        workspace = (pending.body.get("simulation") or {}).get("workspace")
        if workspace is not None and self._parts.simulator is not None:
            with suppress(LakecoreError):
                self._parts.simulator.discard(workspace)


class _Named:
    """The dataset of a pending change, as events name it."""

    def __init__(self, pending: Pending) -> None:
        self.name = pending.dataset
        self.dataset_id = pending.body["dataset_id"]


def lapse(
    pendings: Pendings, pending: Pending, now_us: int, reason: str = "it waited too long"
) -> Pending:
    """Have a change that waits be over, in the name of who asked for it."""

    def step(now: Pending) -> Mapping[str, Any]:
        still(now, WAITING, APPROVED)
        return _over(LAPSED, None, now_us, reason)

    return pendings.change(pending.id, step, author=pending.author, action="lapse")


def _over(state: str, by: str | None, now_us: int, reason: str | None = None) -> dict[str, Any]:
    return {
        "state": state,
        "claim": None,
        "decided_by": by,
        "decided_us": now_us,
        "reason": reason,
    }


def _mine(now: Pending, claimed: Pending) -> None:
    if now.body["claim"] != claimed.body["claim"]:
        raise Conflict("somebody else took the approval over", where=now.id, hint="look again")


def _members(result: MutationResult) -> dict[str, Any]:
    return {name: getattr(result, name) for name in MutationResult.__dataclass_fields__}
