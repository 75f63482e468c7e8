"""Changes as they are asked for: through the gate, and kept where they have to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.base import InvalidInput, LakecoreError, Refused, Unavailable, uuid7
from lakecore.catalog import Dataset
from lakecore.changes._arguments import encode_arguments, repeatable
from lakecore.changes._decided import Decided
from lakecore.changes._gate import WORKSPACES, Passage, RuleGate, record_decision
from lakecore.changes._kept import (
    DIFF_SCHEMA,
    FOLDER,
    DiffSpool,
    store_rows,
    sweep,
    teed,
)
from lakecore.changes._pending import FORMAT, OPEN, WAITING, document_name
from lakecore.changes._ports import (
    TIERS,
    ChangeParts,
    ChangeResult,
    Derive,
    Simulation,
    nothing_derived,
)
from lakecore.changes._spool import Spool
from lakecore.tables import DatasetRef, IngestNote, MutationResult, Tables
from lakecore.truth import Tier

if TYPE_CHECKING:
    from lakecore.journal import Author

_TASK: Final = {
    "append": "insert",
    "insert": "insert",
    "upsert": "upsert",
    "replace": "replace",
    "update": "update",
    "delete": "delete",
    "restore": "restore",
    "revert": "revert",
    "merge": "merge",
}
_OF_VERSIONS: Final = ("restore", "revert", "merge")
"""Calls that go by versions of the dataset, which a workspace does not have."""
_DAY_US: Final = 24 * 3600 * 1_000_000


class Changes:
    """Makes changes by the rules. Threads may share it."""

    def __init__(self, parts: ChangeParts, *, gate: RuleGate) -> None:
        self._parts = parts
        self._gate = gate

    def make(
        self,
        call: str,
        dataset: Dataset,
        rows: pa.RecordBatchReader | None = None,
        *,
        author: Author,
        tier: str = "auto",
        mutation_id: str | None = None,
        ingest: IngestNote | None = None,
        before_commit: Callable[[], None] | None = None,
        **arguments: Any,
    ) -> ChangeResult:
        """Make one change: commit it, keep it for an approval, or say why not.

        Args:
            call: the method of `Tables`; `arguments` are its own.
            tier: ``auto``; ``dry_run`` and ``sim`` have it wait whatever the rules say;
                ``preview`` computes it and keeps nothing.

        Raises:
            Refused: rules or gradient say no; the refusal is on record.
            And whatever the call raises.
        """
        if tier not in TIERS:
            raise InvalidInput("unknown tier", expected=" | ".join(TIERS), found=tier)
        asked = _Asked(
            call,
            dataset,
            {name: repeatable(value) for name, value in arguments.items()},
            author,
            ingest,
            before_commit,
            derive=self._parts.derive,
        )
        mutation_id = mutation_id or uuid7(self._parts.clock)
        passage = Passage(
            requested=Tier.AUTO if tier == "preview" else Tier(tier),
            preview=tier == "preview",
            asks_for_all=asked.take_all(),
        )
        passage.keeps = not passage.preview and self._may_wait(asked, passage.requested)
        kept = _Kept(self._parts.settings.pending_bytes)
        try:
            if rows is not None:
                asked.rows = teed(rows, kept.rows) if passage.keeps else rows
            result = asked.run(
                self._parts.tables,
                mutation_id=mutation_id,
                dry_run=tier != "auto",
                grant=passage,
                diff=kept.diff if passage.keeps else None,
            )
            decided = passage.decided
            if passage.preview:
                return replace(_with(result, decided), held=False)
            # A dry run's result does not say that it was held: it would not be committed anyway.
            if decided is None or decided.outcome != "held":
                return _with(result, decided)
            if decided.tier == Tier.SIM:
                decided, simulation = self._simulated(asked, kept, decided, mutation_id)
            else:
                simulation = None
            self._keep(asked, kept, result, passage, decided, simulation)
            return replace(_with(result, decided), held=True)
        finally:
            kept.close()

    def tidy(self) -> int:
        """Have what waited too long lapse, and remove files that nothing needs; how many."""
        from lakecore.changes._approvals import lapse

        wanted: dict[str, set[str] | None] = {}
        now_us = self._parts.clock.now_us()
        for pending in self._parts.pendings.list_pending():
            if pending.is_over(now_us):
                with suppress(LakecoreError):
                    pending = lapse(self._parts.pendings, pending, now_us)
            kept = {pending.body["rows"], pending.body["diff"]} - {None}
            wanted[pending.id] = kept if pending.state in OPEN else None
        return sweep(self._parts.store, self._parts.clock, wanted, _DAY_US)

    # -- inside -----------------------------------------------------------------------

    def _may_wait(self, asked: _Asked, requested: Tier) -> bool:
        if asked.dataset.location.startswith(WORKSPACES) and requested is Tier.AUTO:
            return False
        principal = self._parts.principals.principal(asked.author)
        if requested is not Tier.AUTO:
            return True
        return self._gate.may_hold(asked.op, asked.dataset.name, principal)

    def _simulated(
        self, asked: _Asked, kept: _Kept, decided: Decided, mutation_id: str
    ) -> tuple[Decided, Simulation | None]:
        """The change in a workspace, where there can be one; refused when a check fails."""
        simulator = self._parts.simulator
        if simulator is None or asked.call in _OF_VERSIONS:
            reason = {
                "source": "gate",
                "tier": Tier.SIM.value,
                "message": "it cannot be tried in a workspace: it waits like a dry run",
            }
            return replace(decided, reasons=(*decided.reasons, reason)), None

        def apply(dataset: DatasetRef, author: Author) -> MutationResult:
            again = asked.again(dataset, author, kept.reader())
            # An id of its own: the change itself has its events under `mutation_id`.
            tried = uuid7(self._parts.clock)
            return again.run(self._parts.tables, mutation_id=tried, dry_run=False, grant=Passage())

        found = simulator.simulate(
            asked.dataset, apply, author=asked.author, mutation_id=mutation_id
        )
        if found.passed:
            return decided, found
        failed = [check for check in found.checks if not check.get("passed")]
        told = tuple(
            {"source": "sim", "tier": "block", "message": f"{one.get('name')}: {one.get('text')}"}
            for one in failed
        ) or ({"source": "sim", "tier": "block", "message": "a check in the workspace failed"},)
        refused = replace(
            decided,
            outcome="refused",
            tier=Tier.BLOCK.value,
            reasons=(*told, *decided.reasons),
        )
        record_decision(self._parts.journal, refused, mutation_id, asked.dataset, asked.author)
        if found.workspace is not None:
            simulator.discard(found.workspace)
        raise refused.refusal(asked.dataset.name)

    def _keep(
        self,
        asked: _Asked,
        kept: _Kept,
        result: MutationResult,
        passage: Passage,
        decided: Decided,
        simulation: Simulation | None,
    ) -> None:
        """Have a change wait. The commit point is its document; the files are there before.

        A crash leaves files that no document names (`tidy`), and perhaps the decision's event.
        """
        self._check_room(asked, kept)
        name = document_name(result.mutation_id)
        paths = self._store_files(name, kept)
        try:
            record_decision(
                self._parts.journal, decided, result.mutation_id, asked.dataset, asked.author
            )
            body = self._body(asked, result, passage, decided) | paths
            body["simulation"] = simulation.to_dict() if simulation is not None else None
            pending = self._parts.pendings.create(name, body, author=asked.author)
        except LakecoreError:
            # Unless the answer alone was lost, no document names them; else `tidy` finds out.
            if not self._is_kept(name):
                self._drop(paths)
            raise
        if pending.body["diff"] != paths["diff"]:
            # The same change was kept before, under the same id.
            self._drop(paths)

    def _check_room(self, asked: _Asked, kept: _Kept) -> None:
        if kept.overflowed:
            raise Refused(
                "the change is too large to wait for an approval",
                expected=f"at most {self._parts.settings.pending_bytes:,} bytes",
                where=asked.dataset.name,
                hint="make it in several parts, or raise [truth] pending_bytes",
            )
        self.tidy()
        waiting = [one for one in self._parts.pendings.list_pending() if one.state in OPEN]
        if len(waiting) >= self._parts.settings.pending_max:
            raise Unavailable(
                "too many changes wait for an approval",
                expected=f"fewer than {self._parts.settings.pending_max:,}",
                hint="approve or reject some: see `lakecore pending`",
            )

    def _store_files(self, name: str, kept: _Kept) -> dict[str, Any]:
        token = uuid7(self._parts.clock)
        paths: dict[str, Any] = {"rows": None, "diff": f"{FOLDER}{name}/{token}-diff-1.arrow"}
        if kept.rows.schema is not None:
            paths["rows"] = f"{FOLDER}{name}/{token}-rows.arrow"
            schema = kept.rows.schema
            store_rows(
                self._parts.store, paths["rows"], schema, kept.rows.tables(), name=name, what="rows"
            )
        diff = kept.diff.spool
        store_rows(
            self._parts.store, paths["diff"], DIFF_SCHEMA, diff.tables(), name=name, what="diff"
        )
        return paths | {"diff_rows": diff.rows}

    def _body(
        self, asked: _Asked, result: MutationResult, passage: Passage, decided: Decided
    ) -> dict[str, Any]:
        now_us = self._parts.clock.now_us()
        dataset = asked.dataset
        known = self._parts.catalog.find(dataset.name)
        is_new = known is None or known.dataset_id != dataset.dataset_id
        return {
            "format": FORMAT,
            "state": WAITING,
            "mutation_id": result.mutation_id,
            "op": asked.op,
            "call": asked.call,
            "requested": passage.requested.value,
            "dataset": dataset.name,
            "dataset_id": dataset.dataset_id,
            "location": dataset.location,
            "new_dataset": dataset.to_body() if is_new else None,
            "arguments": encode_arguments(asked.arguments),
            "ingest": asdict(asked.ingest) if asked.ingest is not None else None,
            "author": asdict(asked.author) | {"context": dict(asked.author.context)},
            "base_version": passage.base_version,
            "digest": passage.digest,
            "counts": _counts(result),
            "changes": [dict(change) for change in result.changes],
            "decision": decided.to_dict(),
            "rule_set": dict(decided.rule_set),
            "shown": 1,
            "created_us": now_us,
            "expires_us": now_us + int(self._parts.settings.pending_days * _DAY_US),
            "claim": None,
            "decided_by": None,
            "decided_us": None,
            "reason": None,
            "version": None,
        }

    def _is_kept(self, name: str) -> bool:
        try:
            self._parts.pendings.get(name)
        except LakecoreError as error:
            return error.type != "not-found"
        return True

    def _drop(self, paths: Mapping[str, Any]) -> None:
        for path in (paths["rows"], paths["diff"]):
            if path is not None:
                with suppress(LakecoreError):
                    self._parts.store.delete(path)


class _Kept:
    """What has to be at hand in case the change waits."""

    def __init__(self, max_bytes: int) -> None:
        self.rows = Spool(max_bytes=max_bytes)
        self.diff = DiffSpool(max_bytes)

    @property
    def overflowed(self) -> bool:
        return self.rows.overflowed or self.diff.spool.overflowed

    def reader(self) -> pa.RecordBatchReader | None:
        """The input rows again."""
        schema = self.rows.schema
        if schema is None:
            return None
        batches = (batch for table in self.rows.tables() for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(schema, batches)

    def close(self) -> None:
        self.rows.close()
        self.diff.spool.close()


class _Asked:
    """One change as it was asked for."""

    def __init__(
        self,
        call: str,
        dataset: Any,
        arguments: dict[str, Any],
        author: Author,
        ingest: IngestNote | None = None,
        before_commit: Callable[[], None] | None = None,
        rows: pa.RecordBatchReader | None = None,
        derive: Derive = nothing_derived,
    ) -> None:
        self.call = call
        self.dataset = dataset
        self.arguments = arguments
        self.author = author
        self.ingest = ingest
        self.before_commit = before_commit
        self.rows = rows
        self.derive = derive

    @property
    def op(self) -> str:
        """Its class, as the tables tell the gate."""
        if self.ingest is not None and self.call != "replace":
            return "ingest"
        return _TASK.get(self.call, "schema")

    def take_all(self) -> bool:
        """Whether every row may be meant; a condition beside "all" means it may match all."""
        given = self.arguments.get("where") is not None
        asks = bool(self.arguments.get("all_rows"))
        if given and asks:
            self.arguments["all_rows"] = False
        return asks or not given

    def again(self, dataset: Any, author: Author, rows: pa.RecordBatchReader | None) -> _Asked:
        """The same for another dataset."""
        return _Asked(self.call, dataset, self.arguments, author, rows=rows, derive=self.derive)

    def run(self, tables: Tables, **options: Any) -> MutationResult:
        """Call the tables."""
        given: list[Any] = [self.dataset]
        if self.rows is not None:
            given.append(self.rows)
        if self.ingest is not None:
            options["ingest"] = self.ingest
        if self.before_commit is not None:
            options["before_commit"] = self.before_commit
        options |= self.derive(self.call, self.dataset, self.arguments)
        result: MutationResult = getattr(tables, self.call)(
            *given, author=self.author, **options, **self.arguments
        )
        return result


def _counts(result: MutationResult) -> dict[str, int]:
    names = ("inserted", "updated", "deleted", "unchanged", "events")
    return {name: getattr(result, name) for name in names}


def _with(result: MutationResult, decided: Decided | None) -> ChangeResult:
    values = {member.name: getattr(result, member.name) for member in fields(MutationResult)}
    if decided is not None:
        values["tier"] = decided.tier
        values["decision"] = decided.to_dict()
    return ChangeResult(**values)
