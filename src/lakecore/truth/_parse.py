"""Reading a rule set, from TOML or from its JSON form: what is not understood is refused.

Every error names the file, the rule's id, and the member's path in the rule, with what was
expected there and what was found.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from lakecore.base import InvalidInput, UnsupportedFormat
from lakecore.truth import _bounds as bounds
from lakecore.truth._cel import parse_expression
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
    walk,
)
from lakecore.truth._parse_tier import parse_tiers
from lakecore.truth._path import Path
from lakecore.truth._reading import (
    At,
    at_most,
    check_members,
    choice_of,
    classes_of,
    located,
    refusal,
    table_of,
    text_of,
    texts_of,
    unicode_text,
)
from lakecore.truth._rule import (
    Action,
    Expectation,
    Missing,
    OnError,
    Rule,
    RuleTest,
    Severity,
)
from lakecore.truth._tier import TierEntry

FORMAT = 1

_CONDITIONS = (
    "all",
    "always",
    "any",
    "cel",
    "field_empty",
    "field_equals",
    "field_greater",
    "not",
)
_SEVERITY = {
    Action.ALLOW: Severity.INFO,
    Action.WARN: Severity.WARNING,
    Action.REQUIRE_APPROVAL: Severity.WARNING,
    Action.DENY: Severity.ERROR,
}


class Parsed(NamedTuple):
    """What a rule set's text says."""

    name: str
    description: str
    default: Action
    rules: tuple[Rule, ...]
    tiers: tuple[TierEntry, ...]


def parse_toml(text: str, source: str) -> Parsed:
    """Read a rule set in TOML; `source` is what errors call it."""
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > bounds.MAX_SOURCE_BYTES:
        raise InvalidInput(
            "the rule set is too large",
            expected=f"at most {bounds.MAX_SOURCE_BYTES} bytes",
            found=size_bytes,
            where=source,
        )
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput(f"the rule set is not TOML: {error}", where=source) from None
    return parse_document(document, source)


def parse_document(document: Mapping[str, Any], source: str) -> Parsed:
    """Read a rule set in its JSON form."""
    at = At(source)
    check_members(document, ("format", "name", "description", "default", "rule", "tier"), at)
    version = document.get("format", FORMAT)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise refusal(at.member("format"), "the format is not a number", FORMAT, version)
    if version > FORMAT:
        raise UnsupportedFormat(
            "the rule set is of a newer format", expected=FORMAT, found=version, where=source
        )
    tables = document.get("rule", [])
    if not isinstance(tables, list | tuple):
        raise refusal(at.member("rule"), "the rules are not a list", "[[rule]] tables", tables)
    at_most(len(tables), bounds.MAX_RULES, at.member("rule"), "rules")
    rules: dict[str, Rule] = {}
    for number, table in enumerate(tables, start=1):
        rule = _rule(table, at, number)
        if rule.id in rules:
            raise InvalidInput(
                "two rules have the same id",
                expected="an id of its own for each rule",
                found=f"{rule.id}, again as rule number {number}",
                where=at.rule(rule.id),
            )
        rules[rule.id] = rule
    return Parsed(
        name=text_of(document, "name", at, default=""),
        description=text_of(document, "description", at, default=""),
        default=choice_of(document, "default", Action, at, Action.ALLOW),
        rules=tuple(rules.values()),
        tiers=parse_tiers(document.get("tier", ()), at.member("tier")),
    )


def _rule(table: Any, parent: At, number: int) -> Rule:
    at = parent.rule(f"number {number}")
    if not isinstance(table, Mapping):
        raise refusal(at, "a rule is not a table", "a [[rule]] table", table)
    name = text_of(table, "id", at)
    at = parent.rule(name)
    if not name.strip() or not name.isprintable():
        raise refusal(at.member("id"), "the id is no name", "printable characters", name)
    known = (
        *("id", "description", "task_class", "when", "action", "severity"),
        *("message", "actions", "on_error", "missing", "test"),
    )
    check_members(table, known, at)
    action = choice_of(table, "action", Action, at)
    if "when" not in table:
        raise refusal(at.member("when"), "the rule has no condition", "a condition", None)
    when = _condition(table["when"], at.member("when"), depth=1)
    at_most(
        sum(1 for _ in walk(when)), bounds.MAX_CONDITIONS_PER_RULE, at.member("when"), "conditions"
    )
    return Rule(
        id=name,
        task_classes=classes_of(table.get("task_class"), at.member("task_class")),
        when=when,
        action=action,
        severity=choice_of(table, "severity", Severity, at, _SEVERITY[action]),
        message=text_of(table, "message", at),
        description=text_of(table, "description", at, default=""),
        actions=texts_of(table.get("actions", ()), at.member("actions")),
        on_error=choice_of(table, "on_error", OnError, at, OnError.DENY),
        missing=choice_of(table, "missing", Missing, at, Missing.ERROR),
        tests=_tests(table.get("test", ()), at.member("test")),
    )


def _condition(value: Any, at: At, depth: int) -> Condition:
    if depth > bounds.MAX_CONDITION_DEPTH:
        raise refusal(
            at, "conditions nest too deeply", f"at most {bounds.MAX_CONDITION_DEPTH} levels", depth
        )
    if not isinstance(value, Mapping) or len(value) != 1:
        found = sorted(map(str, value)) if isinstance(value, Mapping) else value
        raise refusal(at, "not one condition", f"one of {', '.join(_CONDITIONS)}", found)
    ((kind, body),) = value.items()
    check_members(value, _CONDITIONS, at)
    at = at.member(kind)
    if kind == "always":
        if body is not True:
            raise refusal(at, "not a condition", "always = true", body)
        return Always()
    if kind == "not":
        return Not(_condition(body, at, depth + 1))
    if kind in ("all", "any"):
        if not isinstance(body, list | tuple) or not body:
            raise refusal(at, "no conditions", "a list of at least one condition", body)
        at_most(len(body), bounds.MAX_CONDITIONS_PER_RULE, at, "conditions")
        parts = tuple(
            _condition(part, at.item(index), depth + 1) for index, part in enumerate(body)
        )
        return All(parts) if kind == "all" else AnyOf(parts)
    if kind == "cel":
        if not isinstance(body, str):
            raise refusal(at, "not an expression", "text", body)
        try:
            parse_expression(body)
        except InvalidInput as error:
            raise located(error, at) from None
        return Cel(body)
    if kind == "field_empty":
        if isinstance(body, str):
            body = {"path": body}
        return FieldEmpty(_path(table_of(body, ("path",), at), at))
    table = table_of(body, ("path", "value"), at)
    if "value" not in table:
        raise refusal(at.member("value"), "no value to compare with", "a value", None)
    wanted = literal(table["value"], at.member("value"))
    if kind == "field_equals":
        return FieldEquals(_path(table, at), wanted)
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | float):
        raise refusal(
            at.member("value"), "nothing is greater than this", "a number or a text", wanted
        )
    return FieldGreater(_path(table, at), wanted)


def literal(value: Any, at: At, depth: int = 0, *, bounded: bool = True) -> Any:
    """`value` as JSON: TOML's dates and times as their text.

    Args:
        bounded: refuse integers that are in no column: those beyond 64 bits.
    """
    if depth > bounds.MAX_LITERAL_DEPTH:
        raise refusal(
            at, "the value nests too deeply", f"{bounds.MAX_LITERAL_DEPTH} levels", "more"
        )
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise refusal(at, "the number is not finite", "a finite number", value)
    if isinstance(value, int) and bounded and not -(1 << 63) <= value < 1 << 64:
        raise refusal(at, "the integer is too large", "64 bits", value)
    if isinstance(value, str):
        return unicode_text(value, at)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [
            literal(item, at.item(index), depth + 1, bounded=bounded)
            for index, item in enumerate(value)
        ]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {
            unicode_text(name, at): literal(item, at.member(name), depth + 1, bounded=bounded)
            for name, item in value.items()
        }
    raise refusal(at, "not a JSON value", "text, number, boolean, null, list or object", value)


def _tests(value: Any, at: At) -> tuple[RuleTest, ...]:
    if not isinstance(value, list | tuple):
        raise refusal(at, "the tests are not a list", "[[rule.test]] tables", value)
    at_most(len(value), bounds.MAX_TESTS_PER_RULE, at, "tests")
    tests = []
    for index, item in enumerate(value):
        here = at.item(index)
        table = table_of(item, ("name", "context", "expect"), here)
        context = table.get("context")
        if not isinstance(context, Mapping):
            raise refusal(here.member("context"), "the test has no context", "a table", context)
        tests.append(
            RuleTest(
                name=text_of(table, "name", here, default=f"test {index + 1}"),
                context=literal(context, here.member("context"), bounded=False),
                expect=choice_of(table, "expect", Expectation, here),
            )
        )
    return tuple(tests)


def _path(table: Mapping[str, Any], at: At) -> Path:
    try:
        return Path.parse(text_of(table, "path", at))
    except InvalidInput as error:
        if error.where is not None:
            raise
        raise located(error, at.member("path")) from None
