"""What looks wrong with rules among themselves: as far as can be told without a context."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from lakecore.truth._cel import CelFailure, Engine, parse_expression, run
from lakecore.truth._cel_syntax import free_names
from lakecore.truth._condition import (
    All,
    Always,
    AnyOf,
    Cel,
    Condition,
    FieldEmpty,
    FieldEquals,
    FieldGreater,
    Not,
)
from lakecore.truth._finding import Finding
from lakecore.truth._lint_tiers import lint_tiers
from lakecore.truth._rule import Action, Rule, Severity
from lakecore.truth._tier import OPERATIONS
from lakecore.truth._values import Literal, NotComparable, is_empty, moment_of

if TYPE_CHECKING:
    from lakecore.truth._ruleset import RuleSet

_OPPOSITES = {
    frozenset((Action.ALLOW, Action.DENY)),
    frozenset((Action.ALLOW, Action.REQUIRE_APPROVAL)),
}


def lint(rules: RuleSet) -> tuple[Finding, ...]:
    """Contradictions, duplicates, rules that never fire, rule sets that deny everything."""
    return (
        *_pairs(rules.rules),
        *_never(rules.rules),
        *_everything(rules),
        *_untested(rules.rules),
        *_misspelt(rules.rules),
        *lint_tiers(rules.tiers),
    )


def _pairs(rules: Iterable[Rule]) -> Iterator[Finding]:
    by_condition: dict[str, list[Rule]] = {}
    for rule in rules:
        text = json.dumps(rule.when.to_dict(), sort_keys=True)
        by_condition.setdefault(text, []).append(rule)
    for alike in by_condition.values():
        for one, other in combinations(alike, 2):
            if not _overlap(one, other):
                continue
            pair = (one.id, other.id)
            if frozenset((one.action, other.action)) in _OPPOSITES:
                stronger = max(one.action, other.action, key=lambda action: action.strength)
                yield Finding(
                    "contradiction",
                    Severity.ERROR,
                    pair,
                    f"the same condition leads to {one.action} and to {other.action}:"
                    f" {stronger} wins",
                )
            elif one.action is other.action:
                yield Finding(
                    "duplicate",
                    Severity.WARNING,
                    pair,
                    f"the same condition leads to {one.action} twice",
                )


def _overlap(one: Rule, other: Rule) -> bool:
    if "*" in one.task_classes or "*" in other.task_classes:
        return True
    return not set(one.task_classes).isdisjoint(other.task_classes)


def _never(rules: Iterable[Rule]) -> Iterator[Finding]:
    for rule in rules:
        why = impossible(rule.when)
        if why is not None:
            yield Finding(
                "never_fires", Severity.WARNING, (rule.id,), f"the rule can never fire: {why}"
            )


def _everything(rules: RuleSet) -> Iterator[Finding]:
    for rule in rules.rules:
        if rule.action in (Action.DENY, Action.REQUIRE_APPROVAL) and certain(rule.when):
            every = "*" in rule.task_classes
            whom = "every task" if every else ", ".join(rule.task_classes)
            denied = every and rule.action is Action.DENY
            verb = "denies" if rule.action is Action.DENY else "asks for an approval of"
            yield Finding(
                "denies_everything",
                Severity.CRITICAL if denied else Severity.WARNING,
                (rule.id,),
                f"the rule {verb} {whom}, whatever the context is",
            )
    allowing = [rule for rule in rules.rules if rule.action is Action.ALLOW]
    if rules.default is Action.DENY and all(impossible(rule.when) for rule in allowing):
        yield Finding(
            "denies_everything",
            Severity.CRITICAL,
            (),
            "the default is deny, and no rule can allow anything",
        )


def _untested(rules: Iterable[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if not rule.tests:
            yield Finding("untested", Severity.INFO, (rule.id,), "the rule carries no test")


def _misspelt(rules: Iterable[Rule]) -> Iterator[Finding]:
    """Rules may be about other tasks than changes: only what is nearly a change's is reported."""
    for rule in rules:
        for name in rule.task_classes:
            near = difflib.get_close_matches(name, OPERATIONS, n=3, cutoff=0.75)
            if near and name not in OPERATIONS:
                message = f"no change is of the task class {name}"
                yield Finding(
                    "unknown_task_class", Severity.WARNING, (rule.id,), message, "", tuple(near)
                )


def impossible(condition: Condition) -> str | None:
    """Why no context fulfils the condition; None where one may."""
    if isinstance(condition, Not):
        return "what is denied always holds" if certain(condition.part) else None
    if isinstance(condition, AnyOf):
        reasons = [impossible(part) for part in condition.parts]
        return reasons[0] if all(reasons) else None
    if isinstance(condition, All):
        parts = list(_flat(condition))
        for part in parts:
            if (why := impossible(part)) is not None:
                return why
        for one, other in combinations(parts, 2):
            if (why := _exclude(one, other) or _exclude(other, one)) is not None:
                return why
    if isinstance(condition, Cel) and _constant(condition) is False:
        return f"{condition.expression} is false"
    return None


def certain(condition: Condition) -> bool:
    """Whether every context fulfils the condition, unless it cannot be told."""
    if isinstance(condition, Always):
        return True
    if isinstance(condition, Not):
        return impossible(condition.part) is not None
    if isinstance(condition, All):
        return all(certain(part) for part in condition.parts)
    if isinstance(condition, AnyOf):
        parts = condition.parts
        return any(certain(part) or Not(part) in parts for part in parts)
    return isinstance(condition, Cel) and _constant(condition) is True


def _flat(condition: All) -> Iterator[Condition]:
    for part in condition.parts:
        if isinstance(part, All):
            yield from _flat(part)
        else:
            yield part


def _exclude(one: Condition, other: Condition) -> str | None:
    """Why both cannot hold of one context, looked at from `one`."""
    if isinstance(other, Not) and other.part == one:
        return "a condition and its opposite are both required"
    if not isinstance(one, FieldEquals | FieldEmpty) or isinstance(other, Not):
        return None
    if not isinstance(other, FieldEquals | FieldGreater) or one.path != other.path:
        return None
    if isinstance(one, FieldEmpty):
        if isinstance(other, FieldGreater) or not is_empty(other.value):
            return f"{one.path} cannot be empty and {_asks(other)}"
        return None
    # One instant has several spellings.
    if moment_of(one.value) is not None and moment_of(other.value) is not None:
        return None
    literal = Literal(other.value)
    try:
        equality = isinstance(other, FieldEquals)
        both = (literal.equals if equality else literal.exceeded_by)(one.value)
    except NotComparable:
        return None
    return None if both else f"{one.path} cannot {_verb(one)} and {_asks(other)}"


def _asks(condition: FieldEquals | FieldGreater) -> str:
    sign = "=" if isinstance(condition, FieldEquals) else ">"
    return f"{sign} {json.dumps(condition.value, ensure_ascii=False)}"


def _verb(condition: FieldEquals) -> str:
    return f"be {json.dumps(condition.value, ensure_ascii=False)}"


def _constant(condition: Cel) -> bool | None:
    """What an expression answers that reads nothing; None where it reads something."""
    if free_names(parse_expression(condition.expression)):
        return None
    engine = Engine(())
    try:
        return run(engine.compile(condition.expression), engine.activate({}))
    except CelFailure:
        return None
