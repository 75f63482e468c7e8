"""A rule: whom it concerns, what it asks, what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lakecore.truth._condition import Condition


class Action(StrEnum):
    """What follows where a rule fires, the weakest first.

    The list is closed because a change has only these four ways on: it goes through, goes
    through with a remark, waits for somebody, or is refused. The strongest of the rules that
    fire is the decision's. What else should be done is text for people, in a rule's `actions`.
    """

    ALLOW = "allow"
    """Go on. Of use where a rule set's default is stricter: it lifts that default."""

    WARN = "warn"
    """Go on, and say so."""

    REQUIRE_APPROVAL = "require_approval"
    """Wait until somebody approves."""

    DENY = "deny"
    """Refuse."""

    @property
    def strength(self) -> int:
        """0 for `ALLOW` to 3 for `DENY`: the code in a batch's array of actions."""
        return _STRENGTH[self]


ACTIONS: tuple[Action, ...] = tuple(Action)
"""By strength: `ACTIONS[code]` names a batch's code."""

_STRENGTH = {action: code for code, action in enumerate(ACTIONS)}


class Severity(StrEnum):
    """How grave it is, for people and for sorting; it decides nothing."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class OnError(StrEnum):
    """What a rule that cannot be evaluated counts as; more than its action, if that is stronger."""

    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    WARN = "warn"
    SKIP = "skip"
    """Not fired. The error is reported all the same."""


class Missing(StrEnum):
    """What a path is that leads nowhere, for `field_equals` and `field_greater`."""

    ERROR = "error"
    """The rule cannot be evaluated: a misspelt column does not switch a rule off."""

    NULL = "null"


class Expectation(StrEnum):
    """What a test expects of its rule."""

    FIRED = "fired"
    NOT_FIRED = "not_fired"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class RuleTest:
    """A context, and what the rule says of it."""

    name: str
    context: Mapping[str, Any]
    expect: Expectation

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "context": dict(self.context), "expect": self.expect.value}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; see docs/truth.md for what each member means."""

    id: str
    task_classes: tuple[str, ...]
    when: Condition
    action: Action
    severity: Severity
    message: str
    description: str = ""
    actions: tuple[str, ...] = ()
    on_error: OnError = OnError.DENY
    missing: Missing = Missing.ERROR
    tests: tuple[RuleTest, ...] = ()

    def concerns(self, task_class: str) -> bool:
        """Whether the rule is asked about tasks of this class."""
        return "*" in self.task_classes or task_class in self.task_classes

    @property
    def action_on_error(self) -> Action | None:
        """What the rule counts as where it cannot be evaluated; None: not fired."""
        if self.on_error is OnError.SKIP:
            return None
        declared = Action(self.on_error.value)
        if self.on_error is OnError.DENY:
            return declared
        return max(declared, self.action, key=lambda action: action.strength)

    def to_dict(self) -> dict[str, Any]:
        """The canonical form: every member, defaults included."""
        return {
            "id": self.id,
            "description": self.description,
            "task_class": list(self.task_classes),
            "when": self.when.to_dict(),
            "action": self.action.value,
            "severity": self.severity.value,
            "message": self.message,
            "actions": list(self.actions),
            "on_error": self.on_error.value,
            "missing": self.missing.value,
            "test": [test.to_dict() for test in self.tests],
        }
