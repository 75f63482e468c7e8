"""A rule set asked about many contexts at once.

Each rule is evaluated by columns where that is possible, chunk by chunk so that a chunk stays
in the cache; where it is not, row by row by the same functions that decide one context. Rows
beyond `MAX_FALLBACK_ROWS` for a rule are not looked at: there the rule fails closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.truth import _bounds as bounds
from lakecore.truth._columns import Batch, Mask, Unsupported
from lakecore.truth._decision import Decision
from lakecore.truth._needs import paths_of
from lakecore.truth._pylist import context_rows
from lakecore.truth._row import Failure, Runner, Scope
from lakecore.truth._rule import ACTIONS, Action, Rule
from lakecore.truth._vector import evaluate_condition
from lakecore.truth._verdict import Verdict

if TYPE_CHECKING:
    from lakecore.truth._ruleset import RuleSet

_CHUNK_ROWS = 1 << 16
_PYTHON_ROWS = 4_096
"""Rows that are Python objects at one time."""


@dataclass(slots=True)
class RuleCount:
    """What one rule said of the rows."""

    rule: Rule
    fired: int = 0
    """Rows on which it fired, those included where it failed and counts as fired."""

    errors: int = 0
    """Rows for which it could not be evaluated."""

    samples: list[int] = field(default_factory=list)
    """The first rows on which it fired or failed, at most `MAX_SAMPLES`."""

    error: str | None = None
    """Why it failed, on the first row where it did."""

    rows_one_by_one: int = 0
    """Rows that had to be looked at one by one."""

    rows_not_evaluated: int = 0
    """Rows beyond the bound of those: they count as errors."""

    reason: str | None = None
    """Why not all could be had by columns."""

    @property
    def rule_id(self) -> str:
        return self.rule.id

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule.id,
            "action": self.rule.action.value,
            "severity": self.rule.severity.value,
            "message": self.rule.message,
            "fired": self.fired,
            "errors": self.errors,
            "samples": list(self.samples),
            "error": self.error,
            "rows_one_by_one": self.rows_one_by_one,
            "rows_not_evaluated": self.rows_not_evaluated,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class BatchDecision:
    """What all rules said of all rows."""

    task_class: str
    action: Action
    """The strongest of any row's; the rule set's default where there is no row."""

    actions: npt.NDArray[np.int8]
    """Each row's action as its strength: `ACTIONS[code]`."""

    rules: tuple[RuleCount, ...]
    rule_set: RuleSet
    _rows: pa.Table
    _shared: Mapping[str, Any]

    @property
    def counts(self) -> dict[Action, int]:
        """How many rows got which action."""
        found = np.bincount(self.actions, minlength=len(ACTIONS))
        return {action: int(found[action.strength]) for action in ACTIONS}

    def decision(self, row: int) -> Decision:
        """The whole decision about one row, with its reasons."""
        if not 0 <= row < len(self.actions):
            raise InvalidInput("no such row", expected=f"0 to {len(self.actions) - 1}", found=row)
        (context,) = context_rows(self._rows.slice(row, 1).to_batches()[0])
        return self.rule_set.evaluate(self.task_class, {**self._shared, **context})

    def to_dict(self) -> dict[str, Any]:
        """Counts and samples as JSON; no row's values."""
        return {
            "task_class": self.task_class,
            "action": self.action.value,
            "rule_set": {
                "name": self.rule_set.name,
                "version": self.rule_set.version,
                "hash": self.rule_set.hash,
            },
            "rows": len(self.actions),
            "counts": {action.value: count for action, count in self.counts.items()},
            "rules": [count.to_dict() for count in self.rules],
        }


def evaluate_rows(
    rules: RuleSet,
    task_class: str,
    rows: pa.Table | pa.RecordBatch,
    shared: Mapping[str, Any],
) -> BatchDecision:
    """See `RuleSet.evaluate_rows`."""
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    names = table.column_names
    if len(set(names)) < len(names):
        raise InvalidInput("two columns of the contexts have one name", found=", ".join(names))
    # A column wins over a shared member of its name, for every way of evaluating.
    shared = {name: value for name, value in shared.items() if name not in names}
    asked = [_Asked(rule, runner, rules) for rule, runner in rules.programs(task_class)]
    actions = np.zeros(table.num_rows, dtype=np.int8)
    start = 0
    for chunk in table.to_batches(max_chunksize=_CHUNK_ROWS):
        batch = Batch(chunk, shared)
        here = actions[start : start + batch.length]
        lifted = np.zeros(1, dtype=np.bool_)
        for one in asked:
            allows = one.ask(batch, start, here)
            lifted = lifted if allows is None else lifted | allows
        if rules.default is not Action.ALLOW:
            np.maximum(here, np.where(lifted, 0, rules.default.strength), out=here)
        start += batch.length
    strongest = ACTIONS[int(actions.max())] if len(actions) else rules.default
    return BatchDecision(
        task_class, strongest, actions, tuple(one.count for one in asked), rules, table, shared
    )


class _Asked:
    """One rule on its way through the chunks."""

    def __init__(self, rule: Rule, runner: Runner, rules: RuleSet) -> None:
        self.rule = rule
        self.count = RuleCount(rule)
        self._runner = runner
        self._rules = rules
        self._on_error = rule.action_on_error

    def ask(self, batch: Batch, start: int, actions: npt.NDArray[np.int8]) -> Mask | None:
        """Evaluate a chunk, raise its rows' actions, count.

        Returns:
            the rows that the rule allows, where that is its action.
        """
        if batch.length == 0:
            return None
        try:
            verdict = evaluate_condition(self.rule.when, self.rule.missing, batch)
        except Unsupported as why:
            self.count.reason = self.count.reason or str(why)
            verdict = self._one_by_one(batch)
        verdict = verdict.spread(batch.length)
        holds, failed, count = verdict.holds, verdict.failed, self.count
        _raise_to(actions, holds, self.rule.action.strength)
        count.fired += int(np.count_nonzero(holds))
        noted = holds
        if failed is not None and (failures := int(np.count_nonzero(failed))):
            noted = holds | failed
            count.errors += failures
            if self._on_error is not None:
                count.fired += failures
                _raise_to(actions, failed, self._on_error.strength)
            if count.error is None:
                count.error = self._why(batch, int(np.argmax(failed)))
        missing = bounds.MAX_SAMPLES - len(count.samples)
        if missing > 0:
            count.samples += (np.flatnonzero(noted)[:missing] + start).tolist()
        return holds if self.rule.action is Action.ALLOW else None

    def _one_by_one(self, batch: Batch) -> Verdict:
        count = self.count
        length = min(batch.length, bounds.MAX_FALLBACK_ROWS - count.rows_one_by_one)
        holds = np.zeros(batch.length, dtype=np.bool_)
        failed = np.zeros(batch.length, dtype=np.bool_)
        for row, context in enumerate(self._contexts(batch, 0, length)):
            try:
                holds[row] = self._runner(self._scope(context))
            except Exception as error:
                # As in `RuleSet.evaluate`: whatever it is, the rule fails closed.
                failed[row] = True
                count.error = count.error or _told(error)
        count.rows_one_by_one += length
        if length < batch.length:
            failed[length:] = True
            count.rows_not_evaluated += batch.length - length
            count.error = count.error or (
                f"{count.reason}: not more than {bounds.MAX_FALLBACK_ROWS:,} rows are looked at"
                " one by one"
            )
        return Verdict(holds, failed if failed.any() else None)

    def _why(self, batch: Batch, row: int) -> str:
        (context,) = self._contexts(batch, row, 1)
        try:
            self._runner(self._scope(context))
        except Exception as error:
            return _told(error)
        return "it could not be evaluated"

    def _scope(self, context: Mapping[str, Any]) -> Scope:
        return Scope(context, self._rules.engine)

    def _contexts(self, batch: Batch, start: int, length: int) -> Iterator[dict[str, Any]]:
        rows = _pruned(batch.rows, paths_of(self.rule.when))
        for first in range(start, start + length, _PYTHON_ROWS):
            part = rows.slice(first, min(_PYTHON_ROWS, start + length - first))
            for context in context_rows(part):
                yield {**batch.shared, **context}


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"


def _raise_to(actions: npt.NDArray[np.int8], where: Mask, strength: int) -> None:
    if strength:
        np.maximum(actions, where.view(np.int8) * np.int8(strength), out=actions)


def _pruned(rows: pa.RecordBatch, read: Iterable[tuple[str, ...]]) -> pa.RecordBatch:
    """Only the members that are read: a row may have thousands of columns."""
    arrays, names = [], []
    read = tuple(read)
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        mine = [path for path in read if path[0] == name]
        if not mine:
            continue
        if pa.types.is_struct(column.type) and all(len(path) > 1 for path in mine):
            members = sorted({path[1] for path in mine})
            column = _with_members(column, members)
        arrays.append(column)
        names.append(name)
    if not arrays:  # the number of rows has to be kept
        return pa.RecordBatch.from_arrays([pa.nulls(rows.num_rows)], names=[""])
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _with_members(column: pa.StructArray, members: list[str]) -> pa.StructArray:
    indices = [column.type.get_field_index(member) for member in members]
    kept = [(index, name) for index, name in zip(indices, members, strict=True) if index >= 0]
    if not kept:
        return column
    return pa.StructArray.from_arrays(
        [column.field(index) for index, _ in kept],
        names=[name for _, name in kept],
        mask=column.is_null(),
    )
