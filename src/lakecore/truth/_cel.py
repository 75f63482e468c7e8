"""CEL expressions: checked when a rule set is read, compiled once, evaluated within bounds.

The engine is cel-cpp (`cel-expr-python`); docs/decisions/0008-cel-engine.md says why. It bounds
itself: 1,000 characters, 32 levels, 10,000 loop steps, regular expressions by RE2. An
evaluation answers true or false, or with the reason why it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from lakecore.base import InvalidInput
from lakecore.truth._bounds import MAX_EXPRESSION_CHARACTERS
from lakecore.truth._cel_syntax import Node, free_names, parse_tree
from lakecore.truth._values import NotComparable, plain

_AS_IT_IS = frozenset((str, int, float, bool, type(None)))


class CelFailure(Exception):
    """An expression has no answer for a context."""


@lru_cache(maxsize=4_096)
def parse_expression(expression: str) -> Node:
    """The syntax tree of an expression whose types and functions are right.

    Raises:
        InvalidInput: it does not parse, calls what does not exist, compares what cannot be
            compared, or cannot be a truth value.
    """
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise InvalidInput(
            "the expression is too long",
            expected=f"at most {MAX_EXPRESSION_CHARACTERS} characters",
            found=len(expression),
        )
    if not expression.isascii() and any("\ud800" <= letter <= "\udfff" for letter in expression):
        raise InvalidInput("the expression is not Unicode text", found=ascii(expression))
    try:
        parsed = _environment(()).compile(expression, disable_check=True)
        tree = parse_tree(parsed.serialize())
        checked = _environment(free_names(tree)).compile(expression)
    except (RuntimeError, TypeError, RecursionError) as error:
        raise _refused(expression, error) from None
    kind = checked.return_type().name().lower()
    if kind not in ("bool", "dyn"):
        raise InvalidInput(
            "the expression is not a condition",
            expected="true or false",
            found=f"{kind}: {expression}",
        )
    return tree


class Engine:
    """Programs that share their variables, so that a context is converted once for all.

    Args:
        read: the paths that the programs read. Of a variable that is only ever read by its
            members, no other member is converted: a row may have thousands of columns.
    """

    def __init__(self, read: Iterable[tuple[str, ...]]) -> None:
        members: dict[str, set[str] | None] = {}
        for path in read:
            of_name = members.setdefault(path[0], set())
            if len(path) == 1:
                members[path[0]] = None
            elif of_name is not None:
                of_name.add(path[1])
        self._members = {
            name: None if wanted is None else tuple(sorted(wanted))
            for name, wanted in sorted(members.items())
        }
        self._environment = _environment(self._members)

    def compile(self, expression: str) -> Any:
        """The program of an expression that `parse_expression` has passed."""
        return self._environment.compile(expression)

    def activate(self, context: Mapping[str, Any]) -> Any:
        """What programs are evaluated over.

        Raises:
            CelFailure: the context holds a value that is not JSON and has no JSON text.
        """
        try:
            values = {}
            for name, members in self._members.items():
                if name not in context:
                    continue
                value = context[name]
                if members is None or value.__class__ is not dict:
                    values[name] = plain(value)
                else:
                    values[name] = {
                        # Most are of JSON's own kinds, which stay as they are.
                        m: value[m] if value[m].__class__ in _AS_IT_IS else plain(value[m])
                        for m in members
                        if m in value
                    }
            return self._environment.Activation(values)
        except (NotComparable, RuntimeError, TypeError, ValueError) as error:
            raise CelFailure(str(error)) from None


def run(program: Any, activation: Any) -> bool:
    """Whether the expression holds.

    Raises:
        CelFailure: it has no answer, or one that is neither true nor false.
    """
    try:
        result = program.eval(activation)
        value = result.value()
    except Exception as error:
        # The engine names no class for what may go wrong; whatever it is, the rule fails closed.
        raise CelFailure(_reason(str(error))) from None
    if value is True or value is False:
        return value
    kind = result.type().name().lower()
    if kind == "error":
        raise CelFailure(_reason(str(value)))
    raise CelFailure(f"the expression answered {kind}, not true or false")


def _environment(names: Iterable[str]) -> Any:
    from cel_expr_python import cel

    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN))


def _reason(text: str) -> str:
    """The engine's message without its status word: the first line, in one sentence."""
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    status, colon, rest = first.partition(": ")
    return rest if colon and status.isupper() else first


def _refused(expression: str, error: Exception) -> InvalidInput:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else "no reason given"
    reason = first.rsplit("ERROR: ", 1)[-1].removeprefix("<input>:")
    for status in ("INVALID_ARGUMENT: ", "CANCELLED: "):
        reason = reason.removeprefix(status)
    reason = reason.removesuffix(" [CANCELLED]").removesuffix(" [INVALID_ARGUMENT]")
    return InvalidInput(f"the CEL expression does not compile: {reason}", found=repr(expression))
