"""Rules held against a dataset's schema: columns that it lacks, values that cannot compare."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakecore.truth import _cel_syntax as syntax
from lakecore.truth._cel import parse_expression
from lakecore.truth._change import MEMBERS
from lakecore.truth._condition import Cel, FieldEmpty, FieldEquals, FieldGreater, walk
from lakecore.truth._finding import Finding
from lakecore.truth._needs import answer, paths_of
from lakecore.truth._path import join
from lakecore.truth._rule import Missing, Rule, Severity
from lakecore.truth._tier import SIZE_MEMBERS, matches
from lakecore.truth._values import day_of, moment_of

if TYPE_CHECKING:
    from lakecore.truth._ruleset import RuleSet

_SIDES = ("before", "after")
_NO_DATASET = "no_dataset"
_MAX_NAMED = 3
_COMPARISONS = {"_==_": "=", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}


@dataclass(frozen=True, slots=True)
class _Wrong:
    message: str
    nearest: tuple[str, ...] = ()


def check_against(
    rules: RuleSet, schema: pa.Schema | Mapping[str, pa.DataType]
) -> tuple[Finding, ...]:
    """See `RuleSet.check_against`."""
    if isinstance(schema, pa.Schema):
        columns = {member.name: member.type for member in schema}
    else:
        columns = dict(schema)
    return tuple(finding for rule in rules.rules for finding in _rule(rule, columns))


def check_datasets(rules: RuleSet, schemas: Mapping[str, pa.Schema | None]) -> tuple[Finding, ...]:
    """See `RuleSet.check_datasets`."""
    columns = {
        name: {} if schema is None else {member.name: member.type for member in schema}
        for name, schema in schemas.items()
    }
    found: list[Finding] = []
    for rule in rules.rules:
        if not any(path[0] in _SIDES for path in paths_of(rule.when)):
            found += _rule(rule, {})
        found += _in_datasets(rule, columns)
    for number, entry in enumerate(rules.tiers, start=1):
        if schemas and not any(matches(entry.dataset, name) for name in schemas):
            message = f"tier entry {number} is about no dataset that there is: {entry.dataset}"
            near = _near(entry.dataset, schemas)
            found.append(
                Finding(_NO_DATASET, Severity.WARNING, (), message, f"tier[{number - 1}]", near)
            )
    return tuple(found)


def _in_datasets(rule: Rule, columns: Mapping[str, Mapping[str, pa.DataType]]) -> Iterator[Finding]:
    """What is wrong in every dataset that the rule concerns is an error, in some a warning."""
    concerned = [n for n in columns if answer(rule.when, {"dataset": n}) is not False]
    if columns and not concerned and answer(rule.when, {}) is not False:
        message = "the rule concerns no dataset that there is"
        yield Finding(_NO_DATASET, Severity.WARNING, (rule.id,), message)
    if not any(path[0] in _SIDES for path in paths_of(rule.when)):
        return
    held = [name for name in concerned if columns[name]]
    wrong: dict[tuple[str, str], list[tuple[str, Finding]]] = {}
    for name in held:
        for finding in _rule(rule, columns[name]):
            wrong.setdefault((finding.kind, finding.path), []).append((name, finding))
    for (kind, path), places in wrong.items():
        _, first = places[0]
        everywhere = len({name for name, _ in places}) == len(held)
        lenient = kind == "unknown_path" and rule.missing is Missing.NULL
        if lenient and not everywhere:
            continue
        names = sorted({name for name, _ in places})
        where = ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
        near = tuple(dict.fromkeys(name for _, one in places for name in one.nearest))
        severity = Severity.ERROR if everywhere and not lenient else Severity.WARNING
        message = f"{first.message} (in {where})"
        yield Finding(kind, severity, (rule.id,), message, path, near[:_MAX_NAMED])


def _rule(rule: Rule, columns: Mapping[str, pa.DataType]) -> Iterator[Finding]:
    seen: set[tuple[str, ...]] = set()
    for part in walk(rule.when):
        if isinstance(part, Cel):
            tree = parse_expression(part.expression)
            for path in sorted(set(syntax.paths(tree))):
                if path not in seen:
                    seen.add(path)
                    yield from _path(rule, path, columns)
            yield from _expression(rule, tree, columns)
        elif isinstance(part, FieldEmpty | FieldEquals | FieldGreater):
            path = part.path.segments
            if path not in seen:
                seen.add(path)
                yield from _path(rule, path, columns)
            found = resolve(path, columns)
            if isinstance(found, pa.DataType) and not isinstance(part, FieldEmpty):
                equality = isinstance(part, FieldEquals)
                if not comparable(found, part.value, equality=equality):
                    yield _unlike(rule, path, found, "=" if equality else ">", part.value)


def _path(
    rule: Rule, path: tuple[str, ...], columns: Mapping[str, pa.DataType]
) -> Iterator[Finding]:
    found = resolve(path, columns)
    if isinstance(found, _Wrong):
        yield Finding(
            "unknown_path", Severity.ERROR, (rule.id,), found.message, join(path), found.nearest
        )


def resolve(
    path: tuple[str, ...], columns: Mapping[str, pa.DataType]
) -> pa.DataType | _Wrong | None:
    """The type at a path of a change's context; None where it is not told by the schema."""
    root, *rest = path
    if root not in MEMBERS:
        return _Wrong(f"a change has no member {root}", _near(root, MEMBERS))
    if root == "size" and rest and rest[0] not in SIZE_MEMBERS:
        return _Wrong(f"a change's size has no member {rest[0]}", _near(rest[0], SIZE_MEMBERS))
    if root not in _SIDES or not rest:
        return None
    if rest[0] not in columns:
        return _Wrong(f"there is no column {rest[0]}", _near(rest[0], columns))
    kind = columns[rest[0]]
    for name in rest[1:]:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind):
            names = [kind.field(index).name for index in range(kind.num_fields)]
            if name not in names:
                return _Wrong(f"there is no member {name}", _near(name, names))
            kind = kind.field(name).type
        elif (_is_list(kind) and name.isdigit()) or pa.types.is_map(kind):
            kind = kind.item_type if pa.types.is_map(kind) else kind.value_type
        else:
            return _Wrong(f"{kind} has no member {name}")
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def comparable(kind: pa.DataType, value: Any, *, equality: bool) -> bool:
    """Whether a value of a column can equal, or be ordered with, a rule's value."""
    types = pa.types
    if value is None or types.is_null(kind):
        return True
    if types.is_boolean(kind):
        return equality and isinstance(value, bool)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if types.is_timestamp(kind):
        moment = moment_of(value)
        return moment is not None and (moment.tzinfo is None) == (kind.tz is None)
    if types.is_date(kind):
        return day_of(value) is not None
    if _is_list(kind):
        return equality and isinstance(value, list)
    if types.is_struct(kind) or types.is_map(kind):
        return equality and isinstance(value, dict)
    ordered = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return isinstance(value, str) and (equality or ordered)


def _expression(
    rule: Rule, tree: syntax.Node, columns: Mapping[str, pa.DataType]
) -> Iterator[Finding]:
    for node in syntax.every(tree):
        if not isinstance(node, syntax.Call) or node.function not in _COMPARISONS:
            continue
        for side, other in (node.args, node.args[::-1]):
            path = syntax.path_of(side)
            if path is None or not isinstance(other, syntax.Const):
                continue
            found = resolve(path, columns)
            equality = node.function in ("_==_", "_!=_")
            value = other.value
            if isinstance(found, pa.DataType) and not _cel_comparable(found, value, equality):
                yield _unlike(
                    rule, path, found, _COMPARISONS[node.function], value, _cel_hint(found)
                )


def _cel_comparable(kind: pa.DataType, value: Any, equality: bool) -> bool:
    """As `comparable`, where decimals, dates, times and binary are text."""
    types = pa.types
    if isinstance(value, syntax.Unsigned):
        return bool(types.is_integer(kind) or types.is_floating(kind))
    if types.is_decimal(kind) or types.is_temporal(kind) or types.is_binary(kind):
        return value is None or isinstance(value, str)
    if types.is_boolean(kind) and isinstance(value, bool):
        return True
    return (value is not None or equality) and comparable(kind, value, equality=equality)


def _cel_hint(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return "; CEL sees decimals as text: use field_greater or field_equals, or double(...)"
    if pa.types.is_temporal(kind):
        return "; CEL sees times as text: use field_greater, or timestamp(...)"
    return ""


def _unlike(
    rule: Rule, path: tuple[str, ...], kind: pa.DataType, sign: str, value: Any, hint: str = ""
) -> Finding:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return Finding(
        "not_comparable",
        Severity.ERROR,
        (rule.id,),
        f"{join(path)} is {kind}: it cannot be compared by {sign} {shown}{hint}",
        join(path),
    )


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(name, list(known), n=3))
