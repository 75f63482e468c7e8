"""The rules asked about the rows of one change, part by part, and what they said in all."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from lakecore.base import Bug
from lakecore.journal import MultisetHash, multiset_hash
from lakecore.tables import entity_id
from lakecore.truth import (
    ACTIONS,
    Action,
    BatchDecision,
    Decision,
    RuleCount,
    RuleSet,
    change_rows,
)

MAX_SAMPLES: Final = 20
"""Rows that a decision shows with their reasons."""

_MAX_TOLD: Final = 5
"""Rules of one row, and things that one rule looked at, that are shown."""

_NAMES: Final = pa.list_(pa.string())


class Asking:
    """Asks a rule set about rows as they come; threads may bring them at the same time.

    Counts are exact. At most `MAX_SAMPLES` rows are kept with their reasons, those that the
    strongest action is demanded for first.
    """

    def __init__(
        self, rules: RuleSet, op: str, shared: Mapping[str, Any], key: Sequence[str]
    ) -> None:
        self._rules = rules
        self._op = op
        self._shared = shared
        self._key = list(key)
        self._lock = threading.Lock()
        self._rows = 0
        self._strongest = -1
        self._counts: dict[str, RuleCount] = {}
        self._samples: dict[int, list[dict[str, Any]]] = {
            action.strength: [] for action in ACTIONS if action is not Action.ALLOW
        }

    def add(self, contexts: pa.Table) -> None:
        """Ask about these rows, as `contexts_of` makes them."""
        if not contexts.num_rows:
            return
        found = self._rules.evaluate_rows(self._op, contexts, self._shared)
        samples = self._samples_of(found, contexts)
        with self._lock:
            self._rows += contexts.num_rows
            self._strongest = max(self._strongest, found.action.strength)
            for count in found.rules:
                before = self._counts.get(count.rule_id)
                self._counts[count.rule_id] = count if before is None else _sum(before, count)
            for strength, more in samples.items():
                kept = self._samples[strength]
                kept.extend(more[: MAX_SAMPLES - len(kept)])

    def once(self) -> None:
        """Ask about the change as a whole: for one that no rule looks at the rows of."""
        nothing: dict[str, Any] = {"before": None, "after": None, "changed": []}
        self.add(pa.Table.from_pylist([nothing], schema=_CHANGE_ONLY))

    @property
    def is_unasked(self) -> bool:
        """Whether there was no row."""
        return not self._rows

    @property
    def samples(self) -> list[dict[str, Any]]:
        """The rows with reasons, JSON."""
        strongest_first = sorted(self._samples, reverse=True)
        return [one for strength in strongest_first for one in self._samples[strength]][
            :MAX_SAMPLES
        ]

    @property
    def rules_said(self) -> list[dict[str, Any]]:
        """For every rule that fired or failed on a row: on how many, and why it failed."""
        return [
            {
                "rule": count.rule_id,
                "action": count.rule.action.value,
                "message": count.rule.message,
                "fired": count.fired,
                "errors": count.errors,
                "error": count.error,
            }
            for count in self._counts.values()
            if count.fired or count.errors
        ]

    def decision(self) -> BatchDecision:
        """What the rules said of all rows together; the rows themselves are not kept."""
        if not self._rows:
            raise Bug("rules were asked about nothing")
        strongest = ACTIONS[self._strongest]
        # As long as there are rows, in the memory of one.
        actions = np.broadcast_to(np.int8(strongest.strength), (self._rows,))
        nothing = pa.table({})
        return BatchDecision(
            self._op,
            strongest,
            actions,
            tuple(self._counts.values()),
            self._rules,
            nothing,
            self._shared,
        )

    def _samples_of(
        self, found: BatchDecision, contexts: pa.Table
    ) -> dict[int, list[dict[str, Any]]]:
        samples: dict[int, list[dict[str, Any]]] = {}
        for strength, kept in self._samples.items():
            wanted = MAX_SAMPLES - len(kept)
            if wanted <= 0 or found.action.strength < strength:
                continue
            rows = np.flatnonzero(found.actions == strength)[:wanted].tolist()
            samples[strength] = [
                _sample(self._entity_of(contexts, row), found.decision(row)) for row in rows
            ]
        return samples

    def _entity_of(self, contexts: pa.Table, row: int) -> str:
        if not self._key:
            return ""
        for side in ("after", "before"):
            values = contexts.column(side)[row].as_py()
            if values is not None:
                return entity_id(self._key, values)
        return ""


def contexts_of(
    before: pa.Table | None, after: pa.Table | None, changed: pa.Array | None
) -> pa.Table:
    """Rows of a change as rules see them; what is inserted or deleted has no changed columns."""
    if changed is None:
        sides = [side for side in (before, after) if side is not None]
        rows = sides[0].num_rows if sides else 0
        offsets = pa.array(np.zeros(rows + 1, np.int32))
        changed = pa.ListArray.from_arrays(offsets, pa.array([], pa.string()))
    return change_rows(before, after, changed=changed)


class Input:
    """A hash of what rules read of the rows: a decision's input, whatever the order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hashes: dict[str, MultisetHash] = {}

    def add(self, before: pa.Table | None, after: pa.Table | None) -> None:
        """Rows as `Judge.rows` gets them; threads may bring them at the same time."""
        columns: dict[str, Any] = {}
        for side, rows in (("before", before), ("after", after)):
            if rows is not None:
                names = sorted(rows.schema.names)
                columns |= {f"{side}.{name}": rows.column(name) for name in names}
        if not columns:
            return
        found = multiset_hash(pa.table(columns))
        kind = "insert" if before is None else "delete" if after is None else "update"
        with self._lock:
            self._hashes.setdefault(kind, MultisetHash()).merge(found)

    def to_dict(self) -> dict[str, Any]:
        """Counts and sums by kind of row, JSON."""
        return {kind: self._hashes[kind].to_json() for kind in sorted(self._hashes)}


_CHANGE_ONLY: Final = pa.schema([("before", pa.null()), ("after", pa.null()), ("changed", _NAMES)])


def _sum(one: RuleCount, other: RuleCount) -> RuleCount:
    """Both counts; of reasons the first. Positions of rows mean nothing over several parts."""
    values: dict[str, Any] = {"samples": []}
    for member in fields(RuleCount):
        if member.name in ("rule", "samples"):
            continue
        mine, more = getattr(one, member.name), getattr(other, member.name)
        values[member.name] = mine + more if isinstance(mine, int) else mine or more
    return replace(one, **values)


def _sample(entity: str, decision: Decision) -> dict[str, Any]:
    told = [outcome for outcome in decision.outcomes if outcome.fired or outcome.error]
    return {
        "entity_id": entity,
        "action": decision.action.value,
        "rules": [
            {
                "rule": outcome.rule_id,
                "action": None if outcome.action is None else outcome.action.value,
                "message": outcome.rule.message,
                "error": outcome.error,
                "because": [check.to_dict() for check in outcome.checks[:_MAX_TOLD]],
            }
            for outcome in told[:_MAX_TOLD]
        ],
    }
