"""Conditions compiled to functions of one context: the reference that batches are held to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lakecore.truth._cel import CelFailure, Engine, parse_expression, run
from lakecore.truth._cel_syntax import paths
from lakecore.truth._condition import (
    Always,
    AnyOf,
    Cel,
    Condition,
    FieldEmpty,
    FieldEquals,
    FieldGreater,
    Not,
)
from lakecore.truth._path import MISSING, find, join
from lakecore.truth._rule import Missing
from lakecore.truth._values import Literal, NotComparable, is_empty, shown

_MAX_CHECKED_PATHS = 8


class Failure(Exception):
    """A condition has no answer for a context."""


class Scope:
    """One context under evaluation, and what was looked at so far."""

    __slots__ = ("_activation", "_engine", "context", "seen")

    def __init__(self, context: Mapping[str, Any], engine: Engine | None) -> None:
        self.context = context
        self.seen: list[tuple[str, Any, str, bool | None]] = []
        self._engine = engine
        self._activation: Any = None

    def activation(self) -> Any:
        """The context as the CEL engine takes it, converted once."""
        if self._activation is None:
            if self._engine is None:
                raise CelFailure("no expression was compiled")
            try:
                self._activation = self._engine.activate(self.context)
            except CelFailure as error:
                self._activation = error
        if isinstance(self._activation, CelFailure):
            raise self._activation
        return self._activation


Runner = Callable[[Scope], bool]


def compile_condition(condition: Condition, missing: Missing, engine: Engine | None) -> Runner:
    """The function that tells whether a context fulfils `condition`; it raises `Failure`."""
    if isinstance(condition, Always):
        return _always
    if isinstance(condition, FieldEquals | FieldGreater):
        return _field(condition, missing)
    if isinstance(condition, FieldEmpty):
        return _empty(condition)
    if isinstance(condition, Cel):
        return _cel(condition, engine)
    if isinstance(condition, Not):
        part = compile_condition(condition.part, missing, engine)
        return lambda scope: not part(scope)
    parts = tuple(compile_condition(part, missing, engine) for part in condition.parts)
    return _several(parts, decisive=isinstance(condition, AnyOf))


def _always(scope: Scope) -> bool:
    return True


def _field(condition: FieldEquals | FieldGreater, missing: Missing) -> Runner:
    literal = Literal(condition.value)
    equality = isinstance(condition, FieldEquals)
    holds = literal.equals if equality else literal.exceeded_by
    sign = "=" if equality else ">"
    expected = f"{sign} {json.dumps(shown(condition.value), ensure_ascii=False)}"
    segments, path = condition.path.segments, str(condition.path)
    missing_is_null = missing is Missing.NULL

    def look(scope: Scope) -> bool:
        found = find(scope.context, segments)
        if found is MISSING:
            if not missing_is_null:
                scope.seen.append((path, found, expected, None))
                raise Failure(f"{path} is not there")
            found = None
        try:
            answer = holds(found)
        except (NotComparable, ArithmeticError) as error:
            scope.seen.append((path, found, expected, None))
            raise Failure(f"{path}: {error}") from None
        scope.seen.append((path, found, expected, answer))
        return answer

    return look


def _empty(condition: FieldEmpty) -> Runner:
    segments, path = condition.path.segments, str(condition.path)

    def look(scope: Scope) -> bool:
        found = find(scope.context, segments)
        answer = is_empty(found)
        scope.seen.append((path, found, "empty", answer))
        return answer

    return look


def _cel(condition: Cel, engine: Engine | None) -> Runner:
    if engine is None:
        raise Failure("no engine for expressions")
    program = engine.compile(condition.expression)
    tree = parse_expression(condition.expression)
    read = tuple((join(path), path) for path in sorted(set(paths(tree)))[:_MAX_CHECKED_PATHS])
    expected = f"such that {condition.expression}"

    def look(scope: Scope) -> bool:
        answer: bool | None = None
        try:
            answer = run(program, scope.activation())
        except CelFailure as error:
            raise Failure(f"{condition.expression}: {error}") from None
        finally:
            context = scope.context
            for text, path in read:
                scope.seen.append((text, find(context, path), expected, answer))
        return answer

    return look


def _several(parts: tuple[Runner, ...], *, decisive: bool) -> Runner:
    """`any` where True is decisive, `all` where False is; as CEL's || and &&, in any order."""

    def look(scope: Scope) -> bool:
        failure: Failure | None = None
        for part in parts:
            try:
                if part(scope) is decisive:
                    return decisive
            except Failure as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive

    return look
