"""What a rule set has to know of a change: which columns of a row, and what else.

A rule that cannot fire, given what is known beforehand, needs nothing: where its condition
comes out false by parts that look at known members only, as `dataset`, no other part could
make it true or fail (see `_several`: a part that does not hold outweighs one that fails).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakecore.truth import _cel_syntax as syntax
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
from lakecore.truth._path import MISSING, find
from lakecore.truth._values import Literal, NotComparable, is_empty

if TYPE_CHECKING:
    from lakecore.truth._rule import Rule

_Paths = Iterable[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Needs:
    """What rules look at; see `RuleSet.needs`.

    A column that is named here may be one that the dataset does not have: leave it out, the
    rule then decides what that means (by default it fails closed).
    """

    before: frozenset[str] | None
    """Columns of the row as it is; None: all."""

    after: frozenset[str] | None
    """Columns of the row as it would be; None: all."""

    changed: bool
    """Whether the names of the changed columns are looked at."""

    size: bool
    """Whether the size of the whole change is looked at by a rule."""

    @property
    def rows(self) -> bool:
        """Whether rows are looked at; if not, one decision holds for the whole change."""
        return self.changed or self.before != frozenset() or self.after != frozenset()

    @property
    def columns(self) -> frozenset[str] | None:
        """`before` and `after` together."""
        if self.before is None or self.after is None:
            return None
        return self.before | self.after


def needs_of(rules: Iterable[Rule], known: Mapping[str, Any]) -> Needs:
    """What these rules need where the members in `known` are what they are."""
    read: set[tuple[str, ...]] = set()
    for rule in rules:
        if answer(rule.when, known) is not False:
            read.update(paths_of(rule.when))
    return Needs(
        before=_columns(read, "before"),
        after=_columns(read, "after"),
        changed=any(path[0] == "changed" for path in read),
        size=any(path[0] == "size" for path in read),
    )


def paths_of(condition: Condition) -> Iterator[tuple[str, ...]]:
    """The paths that a condition reads, those inside of expressions included."""
    for part in walk(condition):
        if isinstance(part, FieldEquals | FieldGreater | FieldEmpty):
            yield part.path.segments
        elif isinstance(part, Cel):
            yield from syntax.paths(parse_expression(part.expression))


def answer(condition: Condition, known: Mapping[str, Any]) -> bool | None:
    """What the condition is by the members in `known` alone; None where that does not tell."""
    if isinstance(condition, Always):
        return True
    if isinstance(condition, Not):
        return _opposite(answer(condition.part, known))
    if isinstance(condition, All | AnyOf):
        answers = (answer(part, known) for part in condition.parts)
        return _several(answers, decisive=isinstance(condition, AnyOf))
    if isinstance(condition, Cel):
        return _expression(parse_expression(condition.expression), known)
    path = condition.path.segments
    if path[0] not in known or (found := find(known, path)) is MISSING:
        return None
    if isinstance(condition, FieldEmpty):
        return is_empty(found)
    literal = Literal(condition.value)
    try:
        equality = isinstance(condition, FieldEquals)
        return (literal.equals if equality else literal.exceeded_by)(found)
    except (NotComparable, ArithmeticError):
        return None


def _expression(node: syntax.Node, known: Mapping[str, Any]) -> bool | None:
    """`answer` of an expression: of texts that are equal or not, and what combines those."""
    if not isinstance(node, syntax.Call):
        return None
    function, args = node.function, node.args
    if function in ("_&&_", "_||_"):
        return _several((_expression(part, known) for part in args), decisive=function == "_||_")
    if function == "!_":
        return _opposite(_expression(args[0], known))
    if function in ("_==_", "_!=_"):
        left, right = (_text(part, known) for part in args)
        if left is None or right is None:
            return None
        return (left == right) is (function == "_==_")
    if function == "@in" and isinstance(args[1], syntax.Items):
        item, items = _text(args[0], known), [_text(part, known) for part in args[1].elements]
        return None if item is None or None in items else item in items
    return None


def _text(node: syntax.Node, known: Mapping[str, Any]) -> str | None:
    if isinstance(node, syntax.Const):
        return node.value if isinstance(node.value, str) else None
    path = syntax.path_of(node)
    if path is None or path[0] not in known:
        return None
    found = find(known, path)
    return found if isinstance(found, str) else None


def _several(answers: Iterable[bool | None], *, decisive: bool) -> bool | None:
    unknown = False
    for one in answers:
        if one is decisive:
            return decisive
        unknown = unknown or one is None
    return None if unknown else not decisive


def _opposite(one: bool | None) -> bool | None:
    return None if one is None else not one


def _columns(read: _Paths, side: str) -> frozenset[str] | None:
    mine = [path for path in read if path[0] == side]
    # Of a row as a whole every column is a part: whether it is empty, or has a member.
    return None if any(len(path) == 1 for path in mine) else frozenset(path[1] for path in mine)
