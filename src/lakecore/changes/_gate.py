"""The gate of the tables: every attempt at a change is asked about before it is committed.

    rows, as they stream --> rules --+
    the plan: how much ----> gradient +--> the strictest --> commit | hold | refuse
    what was asked for --------------+

- Nothing passes by accident: an error in here, whatever it is, ends the attempt.
- A refusal is journaled, durably, before its author hears of it; a commit carries its
  decision; what is held is journaled by who keeps it (`_hold`).
- Datasets of the schema ``system`` are exempt: the lake's own records would feed on itself.
  So is the first version of a workspace's table: it is what another one was, unchanged.
- Rules that look at no row are asked once, about the change as a whole, its `before` and
  `after` null; so is a change without changed rows, such as one of the schema.
- In a workspace rules refuse, but hold nothing: its merge passes here like any change.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa

from lakecore.base import Bug, LakecoreError, Refused, Retry, Stop
from lakecore.changes._asking import Asking, Input, contexts_of
from lakecore.changes._decided import Decided, sha256_of
from lakecore.changes._principal import Principals
from lakecore.changes._spool import Spool
from lakecore.tables import ChangeFacts, Plan, Ruling
from lakecore.truth import Action, RuleSet, Size, Tier, decide

if TYPE_CHECKING:
    from lakecore.journal import Event
    from lakecore.truth import Principal, Resolution

SYSTEM: Final = "system."
WORKSPACES: Final = "workspaces/"
_ENTITY: Final = "decision"


class RulesInForce(Protocol):
    """Knows the rule set that decides now."""

    def current(self) -> RuleSet:
        """The newest rule set; one without rules where none was ever applied."""
        ...


class Recorder(Protocol):
    """Makes direct events durable; `lakecore.journal.Journal` does."""

    def record(self, event: Event) -> str:
        """Returns the event's id once it is durable."""
        ...


@dataclass(frozen=True, slots=True)
class Expected:
    """What an approval is for: it holds for exactly this and nothing else."""

    digest: str
    rule_hash: str
    input: str
    approved_by: str
    not_yet: Callable[[int], None]
    """Raises `Conflict` when the change is in the table up to this version already."""


@dataclass(slots=True)
class Passage:
    """What a change brings along to the gate (`grant`), and what it takes from there.

    `keeps`: what is held is kept by the caller. `decided` and `differs` are of the last
    attempt: what was decided, and how it differs from what was approved.
    """

    requested: Tier = Tier.AUTO
    preview: bool = False
    asks_for_all: bool = True
    """False where a condition is given: it must not match every row."""

    keeps: bool = False
    expected: Expected | None = None
    decided: Decided | None = None
    digest: str = ""
    base_version: int = -1
    differs: tuple[str, ...] = ()


class RuleGate:
    """`Gate` of the tables by rules and gradient. Threads may share it."""

    def __init__(self, rules: RulesInForce, principals: Principals, journal: Recorder) -> None:
        self._rules = rules
        self._principals = principals
        self._journal = journal

    def judge(self, facts: ChangeFacts) -> RuleJudge | None:
        """The judge of one attempt, by the rules that are in force now."""
        if facts.dataset.name.startswith(SYSTEM) or facts.op == "clone":
            return None
        try:
            rules = self._rules.current()
            principal = self._principals.principal(facts.author)
            passage = facts.grant if isinstance(facts.grant, Passage) else Passage()
            if passage.expected is not None:
                passage.expected.not_yet(facts.base_version)
            return RuleJudge(facts, rules, principal, passage, self._journal)
        except LakecoreError as error:
            if isinstance(error, Bug):
                raise _failed(facts, error) from error
            raise
        except Exception as error:
            raise _failed(facts, error) from error

    def may_hold(self, op: str, dataset: str, principal: Principal) -> bool:
        """Whether rules or gradient may hold such a change, as they are now."""
        rules = self._rules.current()
        held = Action.REQUIRE_APPROVAL
        if rules.default is held or any(
            held in (rule.action, rule.action_on_error) for rule, _ in rules.programs(op)
        ):
            return True
        for entry in rules.tiers:
            if entry.matches(principal.name, principal.kind, dataset, op):
                return entry.dry_run is not None or entry.sim is not None
        return False


class RuleJudge:
    """Judges one attempt."""

    def __init__(
        self,
        facts: ChangeFacts,
        rules: RuleSet,
        principal: Principal,
        passage: Passage,
        journal: Recorder,
    ) -> None:
        self._facts = facts
        self._rules = rules
        self._principal = principal
        self._passage = passage
        self._journal = journal
        self._shared: dict[str, Any] = {
            "task_class": facts.op,
            "op": facts.op,
            "dataset": facts.dataset.name,
            "entity_type": facts.dataset.entity_type or facts.dataset.name,
            "principal": principal.to_dict(),
        }
        self._needs = rules.needs(facts.op, self._shared)
        self._watched = passage.keeps or passage.expected is not None
        self._input = Input()
        self._lock = threading.Lock()
        self._failure: Exception | None = None
        # Rules that look at the size cannot be asked before all rows were seen.
        self._spools: dict[tuple[bool, bool], Spool] = {}
        self._asking = None if self._needs.size else self._new_asking(self._shared)
        passage.decided, passage.digest, passage.differs = None, "", ()
        passage.base_version = facts.base_version
        self._context: Mapping[str, object] = {}

    # -- what it wants to see ---------------------------------------------------------

    @property
    def columns(self) -> frozenset[str] | None:
        """The columns that rules look at, and the key, to name rows by."""
        if not self._needs.rows:
            return frozenset()
        wanted = self._needs.columns
        if wanted is None:
            return None
        key = frozenset(self._facts.dataset.key)
        # Rows without any column could not be counted.
        known = key or (wanted & frozenset(self._facts.schema.names))
        return wanted | key if known else None

    @property
    def wants_changed(self) -> bool:
        return self._needs.changed

    @property
    def wants_digest(self) -> bool:
        return self._watched

    # -- what it sees -----------------------------------------------------------------

    def rows(
        self, before: pa.Table | None, after: pa.Table | None, changed: pa.ListArray | None
    ) -> None:
        """Ask about these rows, or keep them until the size is known."""
        if self._failure is not None:
            return
        try:
            if self._watched:
                self._input.add(before, after)
            contexts = contexts_of(before, after, changed)
            if self._asking is not None:
                self._asking.add(contexts)
            else:
                self._spool_of(before, after).write(contexts)
        except Exception as error:
            # `decide` refuses for it, so that the refusal is on record.
            self._failure = self._failure or error

    def decide(self, plan: Plan) -> Ruling:
        """The ruling; raises `Refused` with what the rules found."""
        try:
            if self._failure is not None:
                raise self._failure
            return self._decide(plan)
        except (Refused, Retry, Stop):
            raise
        except Exception as error:
            decided = Decided(
                op=self._facts.op,
                outcome="refused",
                tier=Tier.BLOCK.value,
                demanded=Tier.BLOCK.value,
                rule_set=_named(self._rules),
                reasons=({"source": "gate", "message": _told(error)},),
            )
            self._record(decided)
            raise _failed(self._facts, error) from error
        finally:
            for spool in self._spools.values():
                spool.close()

    def context(self) -> Mapping[str, object]:
        """The decision as the commit has it."""
        return self._context

    # -- inside -----------------------------------------------------------------------

    def _decide(self, plan: Plan) -> Ruling:
        size = _size(plan)
        asking = self._asked(size)
        name = self._facts.dataset.name
        gradient = self._rules.tier(self._principal, name, self._facts.op, size)
        passage = self._passage
        resolution = decide(asking.decision(), gradient, passage.requested)
        decided = self._decided(resolution, asking, size)
        if self._matches_all(plan):
            decided = _blocked(decided, _MATCHES_ALL)
        held = decided.tier in (Tier.DRY_RUN, Tier.SIM)
        if held and self._facts.dataset.location.startswith(WORKSPACES):
            held = passage.requested is not Tier.AUTO
        if held and not (passage.keeps or passage.preview or passage.expected):
            decided, held = _blocked(decided, _NOBODY_KEEPS_IT), False
        if decided.tier == Tier.BLOCK:
            return self._refuse(decided)
        if self._watched:
            passage.digest = plan.digest()
        if passage.expected is not None:
            passage.differs = self._differences(passage.expected, decided)
            held = bool(passage.differs)
        decided = replace(decided, outcome="held" if held else "committed")
        if passage.preview:
            decided = replace(decided, outcome="preview")
        passage.decided = decided
        self._context = self._said(decided)
        return Ruling.HOLD if held else Ruling.COMMIT

    def _asked(self, size: Size) -> Asking:
        asking = self._asking
        if asking is None:
            asking = self._new_asking({**self._shared, "size": asdict(size)})
            for spool in self._spools.values():
                for contexts in spool.tables():
                    asking.add(contexts)
        if asking.is_unasked:
            asking.once()
        return asking

    def _decided(self, resolution: Resolution, asking: Asking, size: Size) -> Decided:
        said = resolution.to_dict()
        read = {
            **{name: self._shared[name] for name in ("op", "dataset", "entity_type", "principal")},
            "size": asdict(size) if self._needs.size else None,
            "demanded": resolution.demanded.value,
            "entry": resolution.gradient.entry,
            "rows": self._input.to_dict(),
        }
        return Decided(
            op=self._facts.op,
            outcome="refused",
            tier=resolution.tier.value,
            demanded=resolution.demanded.value,
            rule_set=_named(self._rules),
            reasons=tuple(said["reasons"]),
            rules=tuple(asking.rules_said),
            samples=tuple(asking.samples),
            size=asdict(size),
            approval=resolution.approval.to_dict(),
            input=sha256_of(read),
        )

    def _matches_all(self, plan: Plan) -> bool:
        touched = plan.updated + plan.deleted
        return not self._passage.asks_for_all and touched >= plan.base_rows > 1

    def _refuse(self, decided: Decided) -> Ruling:
        passage = self._passage
        if passage.preview:
            passage.decided = replace(decided, outcome="preview")
            return Ruling.HOLD
        passage.decided = decided = replace(decided, outcome="refused")
        self._record(decided)
        raise decided.refusal(self._facts.dataset.name)

    def _differences(self, expected: Expected, decided: Decided) -> tuple[str, ...]:
        parts = (
            ("the rows it changes", expected.digest, self._passage.digest),
            ("the rules", expected.rule_hash, self._rules.hash),
            ("what the rules look at", expected.input, decided.input),
        )
        return tuple(name for name, before, now in parts if before != now)

    def _said(self, decided: Decided) -> dict[str, object]:
        said: dict[str, object] = decided.committed()
        if self._passage.expected is not None:
            said["approved_by"] = self._passage.expected.approved_by
        return said

    def _new_asking(self, shared: Mapping[str, Any]) -> Asking:
        return Asking(self._rules, self._facts.op, shared, self._facts.dataset.key)

    def _spool_of(self, before: pa.Table | None, after: pa.Table | None) -> Spool:
        kind = (before is None, after is None)
        with self._lock:
            if kind not in self._spools:
                self._spools[kind] = Spool()
            return self._spools[kind]

    def _record(self, decided: Decided) -> None:
        facts = self._facts
        record_decision(self._journal, decided, facts.mutation_id, facts.dataset, facts.author)


def record_decision(
    journal: Recorder, decided: Decided, mutation_id: str, dataset: Any, author: Any
) -> None:
    """One event for one decision: durable on return."""
    from lakecore.journal import Event

    context = {**author.context, **decided.to_dict()}
    if author.reason:
        context["reason"] = author.reason
    journal.record(
        Event(
            entity_type=_ENTITY,
            entity_id=mutation_id,
            action=decided.outcome,
            actor=author.actor,
            source=author.source,
            workspace_id=author.workspace_id,
            dataset=dataset.name,
            dataset_id=dataset.dataset_id,
            mutation_id=mutation_id,
            context=json.dumps(context, ensure_ascii=False, sort_keys=True, default=str),
        )
    )


_MATCHES_ALL: Final = {
    "source": "request",
    "tier": Tier.BLOCK.value,
    "message": "the condition matches every row",
    "actions": ["ask for every row if that is meant (--all, all=True)"],
}
_NOBODY_KEEPS_IT: Final = {
    "source": "request",
    "tier": Tier.BLOCK.value,
    "message": "it needs an approval, and nothing is there to keep it for one",
    "actions": ["make the change by the lake's own calls, once more if it was by those"],
}


def _blocked(decided: Decided, reason: Mapping[str, Any]) -> Decided:
    return replace(decided, tier=Tier.BLOCK.value, reasons=(reason, *decided.reasons))


def _size(plan: Plan) -> Size:
    rows = plan.inserted + plan.updated + plan.deleted
    fraction = rows / plan.base_rows if plan.base_rows else 1.0
    return Size(rows=rows, fields=plan.fields, bytes=plan.bytes, fraction=fraction)


def _named(rules: RuleSet) -> dict[str, Any]:
    return {"name": rules.name, "version": rules.version, "hash": rules.hash}


def _told(error: Exception) -> str:
    return f"the rules could not be asked: {type(error).__name__}: {error}"[:500]


def _failed(facts: ChangeFacts, error: Exception) -> Refused:
    return Refused(
        "the rules could not be asked, so nothing is changed",
        where=facts.dataset.name,
        found=f"{type(error).__name__}: {error}"[:300],
    )
