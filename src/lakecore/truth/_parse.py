"""Reading a rule set, from TOML or from its JSON form: what is not understood is refused.

Every error names the file, the rule's id, and the member's path in the rule, with what was
expected there and what was found.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

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
from lakecore.truth._path import Path
from lakecore.truth._rule import (
    Action,
    Expectation,
    Missing,
    OnError,
    Rule,
    RuleTest,
    Severity,
)

FORMAT = 1
_Choice = TypeVar("_Choice", bound=StrEnum)

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


class _At(NamedTuple):
    """Where the parser is: the source, the rule, and the path in it."""

    source: str
    path: str = ""

    def member(self, name: str) -> _At:
        return self._replace(path=f"{self.path}.{name}" if self.path else name)

    def item(self, index: int) -> _At:
        return self._replace(path=f"{self.path}[{index}]")

    def rule(self, name: str) -> _At:
        return _At(f"{self.source}: rule {name}")

    def __str__(self) -> str:
        return f"{self.source}: {self.path}" if self.path else self.source


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
    at = _At(source)
    _members(document, ("format", "name", "description", "default", "rule"), at)
    version = document.get("format", FORMAT)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _refuse(at.member("format"), "the format is not a number", FORMAT, version)
    if version > FORMAT:
        raise UnsupportedFormat(
            "the rule set is of a newer format", expected=FORMAT, found=version, where=source
        )
    tables = document.get("rule", [])
    if not isinstance(tables, list | tuple):
        raise _refuse(at.member("rule"), "the rules are not a list", "[[rule]] tables", tables)
    _at_most(len(tables), bounds.MAX_RULES, at.member("rule"), "rules")
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
        name=_text(document, "name", at, default=""),
        description=_text(document, "description", at, default=""),
        default=_choice(document, "default", Action, at, Action.ALLOW),
        rules=tuple(rules.values()),
    )


def _rule(table: Any, parent: _At, number: int) -> Rule:
    at = parent.rule(f"number {number}")
    if not isinstance(table, Mapping):
        raise _refuse(at, "a rule is not a table", "a [[rule]] table", table)
    name = _text(table, "id", at)
    at = parent.rule(name)
    if not name.strip() or not name.isprintable():
        raise _refuse(at.member("id"), "the id is no name", "printable characters", name)
    known = (
        *("id", "description", "task_class", "when", "action", "severity"),
        *("message", "actions", "on_error", "missing", "test"),
    )
    _members(table, known, at)
    action = _choice(table, "action", Action, at)
    if "when" not in table:
        raise _refuse(at.member("when"), "the rule has no condition", "a condition", None)
    when = _condition(table["when"], at.member("when"), depth=1)
    _at_most(
        sum(1 for _ in walk(when)), bounds.MAX_CONDITIONS_PER_RULE, at.member("when"), "conditions"
    )
    return Rule(
        id=name,
        task_classes=_task_classes(table, at),
        when=when,
        action=action,
        severity=_choice(table, "severity", Severity, at, _SEVERITY[action]),
        message=_text(table, "message", at),
        description=_text(table, "description", at, default=""),
        actions=_texts(table.get("actions", ()), at.member("actions")),
        on_error=_choice(table, "on_error", OnError, at, OnError.DENY),
        missing=_choice(table, "missing", Missing, at, Missing.ERROR),
        tests=_tests(table.get("test", ()), at.member("test")),
    )


def _task_classes(table: Mapping[str, Any], at: _At) -> tuple[str, ...]:
    value = table.get("task_class")
    at = at.member("task_class")
    classes = _texts([value] if isinstance(value, str) else value, at)
    if not classes or not all(classes) or len(set(classes)) < len(classes):
        raise _refuse(at, "the task class is wrong", 'a name, several different, or "*"', value)
    return classes


def _condition(value: Any, at: _At, depth: int) -> Condition:
    if depth > bounds.MAX_CONDITION_DEPTH:
        raise _refuse(
            at, "conditions nest too deeply", f"at most {bounds.MAX_CONDITION_DEPTH} levels", depth
        )
    if not isinstance(value, Mapping) or len(value) != 1:
        found = sorted(map(str, value)) if isinstance(value, Mapping) else value
        raise _refuse(at, "not one condition", f"one of {', '.join(_CONDITIONS)}", found)
    ((kind, body),) = value.items()
    _members(value, _CONDITIONS, at)
    at = at.member(kind)
    if kind == "always":
        if body is not True:
            raise _refuse(at, "not a condition", "always = true", body)
        return Always()
    if kind == "not":
        return Not(_condition(body, at, depth + 1))
    if kind in ("all", "any"):
        if not isinstance(body, list | tuple) or not body:
            raise _refuse(at, "no conditions", "a list of at least one condition", body)
        _at_most(len(body), bounds.MAX_CONDITIONS_PER_RULE, at, "conditions")
        parts = tuple(
            _condition(part, at.item(index), depth + 1) for index, part in enumerate(body)
        )
        return All(parts) if kind == "all" else AnyOf(parts)
    if kind == "cel":
        if not isinstance(body, str):
            raise _refuse(at, "not an expression", "text", body)
        try:
            parse_expression(body)
        except InvalidInput as error:
            raise _located(error, at) from None
        return Cel(body)
    if kind == "field_empty":
        if isinstance(body, str):
            body = {"path": body}
        return FieldEmpty(_path(_table(body, ("path",), at), at))
    table = _table(body, ("path", "value"), at)
    if "value" not in table:
        raise _refuse(at.member("value"), "no value to compare with", "a value", None)
    wanted = literal(table["value"], at.member("value"))
    if kind == "field_equals":
        return FieldEquals(_path(table, at), wanted)
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | float):
        raise _refuse(
            at.member("value"), "nothing is greater than this", "a number or a text", wanted
        )
    return FieldGreater(_path(table, at), wanted)


def literal(value: Any, at: _At, depth: int = 0, *, bounded: bool = True) -> Any:
    """`value` as JSON: TOML's dates and times as their text.

    Args:
        bounded: refuse integers that are in no column: those beyond 64 bits.
    """
    if depth > bounds.MAX_LITERAL_DEPTH:
        raise _refuse(
            at, "the value nests too deeply", f"{bounds.MAX_LITERAL_DEPTH} levels", "more"
        )
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise _refuse(at, "the number is not finite", "a finite number", value)
    if isinstance(value, int) and bounded and not -(1 << 63) <= value < 1 << 64:
        raise _refuse(at, "the integer is too large", "64 bits", value)
    if isinstance(value, str):
        return _unicode(value, at)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [
            literal(item, at.item(index), depth + 1, bounded=bounded)
            for index, item in enumerate(value)
        ]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {
            _unicode(name, at): literal(item, at.member(name), depth + 1, bounded=bounded)
            for name, item in value.items()
        }
    raise _refuse(at, "not a JSON value", "text, number, boolean, null, list or object", value)


def _tests(value: Any, at: _At) -> tuple[RuleTest, ...]:
    if not isinstance(value, list | tuple):
        raise _refuse(at, "the tests are not a list", "[[rule.test]] tables", value)
    _at_most(len(value), bounds.MAX_TESTS_PER_RULE, at, "tests")
    tests = []
    for index, item in enumerate(value):
        here = at.item(index)
        table = _table(item, ("name", "context", "expect"), here)
        context = table.get("context")
        if not isinstance(context, Mapping):
            raise _refuse(here.member("context"), "the test has no context", "a table", context)
        tests.append(
            RuleTest(
                name=_text(table, "name", here, default=f"test {index + 1}"),
                context=literal(context, here.member("context"), bounded=False),
                expect=_choice(table, "expect", Expectation, here),
            )
        )
    return tuple(tests)


def _path(table: Mapping[str, Any], at: _At) -> Path:
    try:
        return Path.parse(_text(table, "path", at))
    except InvalidInput as error:
        if error.where is not None:
            raise
        raise _located(error, at.member("path")) from None


def _table(value: Any, known: Iterable[str], at: _At) -> Mapping[str, Any]:
    known = tuple(known)
    if not isinstance(value, Mapping):
        raise _refuse(at, "not a table", f"a table with {', '.join(known)}", value)
    _members(value, known, at)
    return value


def _members(table: Mapping[str, Any], known: Iterable[str], at: _At) -> None:
    known = tuple(known)
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise InvalidInput(
                "not a member that is known here",
                expected=" or ".join(near) or f"one of {', '.join(known)}",
                found=str(name)[: bounds.MAX_SHOWN_CHARACTERS],
                where=at.member(str(name)[: bounds.MAX_SHOWN_CHARACTERS]),
            )


def _text(table: Mapping[str, Any], name: str, at: _At, *, default: str | None = None) -> str:
    value = table.get(name, default)
    at = at.member(name)
    if not isinstance(value, str):
        raise _refuse(at, f"{name} is not a text", "text", value)
    _at_most(len(value), bounds.MAX_TEXT_CHARACTERS, at, "characters")
    return _unicode(value, at)


def _unicode(value: str, at: _At) -> str:
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _refuse(at, "not Unicode text", "Unicode text", ascii(value))
    return value


def _texts(value: Any, at: _At) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _refuse(at, "not a list of texts", "texts", value)
    _at_most(len(value), bounds.MAX_ACTIONS, at, "texts")
    return tuple(_text({"item": item}, "item", at.item(index)) for index, item in enumerate(value))


def _choice(
    table: Mapping[str, Any],
    name: str,
    kind: type[_Choice],
    at: _At,
    default: _Choice | None = None,
) -> _Choice:
    value = table.get(name, default)
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(kind)
        raise _refuse(at.member(name), f"{name} is not known", f"one of {choices}", value) from None


def _at_most(count: int, bound: int, at: _At, what: str) -> None:
    if count > bound:
        raise _refuse(at, f"too many {what}", f"at most {bound:,}", f"{count:,}")


def _refuse(at: _At, message: str, expected: object, found: object) -> InvalidInput:
    shown = "nothing" if found is None else str(found)[: bounds.MAX_SHOWN_CHARACTERS]
    return InvalidInput(message, expected=expected, found=shown, where=at)


def _located(error: InvalidInput, at: _At) -> InvalidInput:
    return InvalidInput(error.message, expected=error.expected, found=error.found, where=at)
