"""What came of asking the rules about one context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from lakecore.truth._path import MISSING
from lakecore.truth._rule import Action, Rule
from lakecore.truth._values import shown


class Check(NamedTuple):
    """One thing that a rule looked at."""

    path: str
    found: Any
    """The value there; `MISSING` where the context has no such member."""

    expected: str
    holds: bool | None
    """None where it could not be told."""

    def to_dict(self) -> dict[str, Any]:
        entry = {"path": self.path, "found": shown(self.found), "expected": self.expected}
        missing = {"missing": True} if self.found is MISSING else {}
        return {**entry, **missing, "holds": self.holds}


class Outcome(NamedTuple):
    """What one rule said."""

    rule: Rule
    fired: bool
    """Its condition holds, or it could not be evaluated and counts as fired."""

    action: Action | None
    """What it demands; None where it did not fire."""

    seen: tuple[tuple[str, Any, str, bool | None], ...]
    """What `checks` are made of, when somebody asks."""

    error: str | None
    """Why it could not be evaluated; None where it could."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """Why: what was looked at, in order. Parts that could not matter any more are left out."""
        return tuple(map(Check._make, self.seen))

    @property
    def rule_id(self) -> str:
        return self.rule.id

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule.id,
            "fired": self.fired,
            "action": None if self.action is None else self.action.value,
            "severity": self.rule.severity.value,
            "message": self.rule.message,
            "actions": list(self.rule.actions),
            "error": self.error,
            "because": [check.to_dict() for check in self.checks],
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What all rules said of one context; the strongest action that is demanded decides."""

    task_class: str
    action: Action
    outcomes: tuple[Outcome, ...]
    """One for each rule that concerns the task class, in the rule set's order."""

    rule_set: str
    version: int | None
    """Of the rules' document, from 0; None where the rules are not from one."""

    hash: str
    """SHA-256 of the rule set's canonical form, hex."""

    @property
    def allowed(self) -> bool:
        """Whether the change may go on now: nothing refuses it or asks for an approval."""
        return self.action in (Action.ALLOW, Action.WARN)

    @property
    def fired(self) -> tuple[Outcome, ...]:
        """The outcomes of the rules that fired."""
        return tuple(outcome for outcome in self.outcomes if outcome.fired)

    @property
    def errors(self) -> tuple[Outcome, ...]:
        """The outcomes of the rules that could not be evaluated."""
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {
            "task_class": self.task_class,
            "action": self.action.value,
            "rule_set": {"name": self.rule_set, "version": self.version, "hash": self.hash},
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }
