"""The syntax tree of a CEL expression, from the engine's own serialisation.

The engine parses; it hands a program out as a `cel.expr.ParsedExpr` or `CheckedExpr` message
(cel-spec, proto/cel/expr/syntax.proto and checked.proto). Only the few fields that are needed
are read here: that is less than the protobuf runtime would cost, and no grammar of our own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lakecore.base import Bug


@dataclass(frozen=True, slots=True)
class Const:
    """A literal: None, bool, int, float, str, bytes, or `Unsigned`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A literal like ``3u``."""

    value: int


@dataclass(frozen=True, slots=True)
class Ident:
    """A name."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``, or ``has(operand.field)`` where `test_only`."""

    operand: Node
    field: str
    test_only: bool


@dataclass(frozen=True, slots=True)
class Call:
    """``target.function(args)``, ``function(args)``, or an operator such as ``_&&_``."""

    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """A map literal, or a message: keys and values in turn."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """What `all`, `exists`, `map` and `filter` are expanded to."""

    variables: tuple[str, ...]
    outer: tuple[Node, ...]
    """Evaluated outside of the loop: the range and the start."""
    inner: tuple[Node, ...]


Node = Const | Ident | Select | Call | Items | Members | Comprehension

_TYPE_NAMES = frozenset(
    (
        *("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"),
        *("google.protobuf.Duration", "google.protobuf.Timestamp"),
    )
)


def parse_tree(serialized: bytes) -> Node:
    """The tree in a serialised program."""
    message = dict(_fields(dict(_fields(serialized))[2]))
    # ParsedExpr.expr is field 2, CheckedExpr.expr field 4.
    return _node(message[4] if 4 in message else message[2])


def free_names(node: Node) -> set[str]:
    """The variables that an expression reads."""
    return {path[0] for path in paths(node)}


def paths(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
    """The paths that an expression reads: a variable and the members selected from it."""
    path = path_of(node)
    if path is not None:
        if path[0] not in bound and path[0] not in _TYPE_NAMES:
            yield path
        return
    if isinstance(node, Comprehension):
        for part in node.outer:
            yield from paths(part, bound)
        for part in node.inner:
            yield from paths(part, bound | set(node.variables))
        return
    for part in children(node):
        yield from paths(part, bound)


def path_of(node: Node) -> tuple[str, ...] | None:
    """The path that a node is, where it is nothing else: ``after.name``, ``after['name']``."""
    if isinstance(node, Ident):
        return (node.name.removeprefix("."),)
    if isinstance(node, Select):
        above = path_of(node.operand)
        return None if above is None else (*above, node.field)
    if isinstance(node, Call) and node.function == "_[_]":
        operand, index = node.args
        above = path_of(operand)
        if above is not None and isinstance(index, Const) and isinstance(index.value, str):
            return (*above, index.value)
    return None


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Call):
        return node.args if node.target is None else (node.target, *node.args)
    if isinstance(node, Items):
        return node.elements
    if isinstance(node, Members):
        return node.nodes
    if isinstance(node, Comprehension):
        return (*node.outer, *node.inner)
    return ()


def every(node: Node) -> Iterator[Node]:
    """The node and all below."""
    yield node
    for part in children(node):
        yield from every(part)


def _node(data: bytes) -> Node:
    for number, value in _fields(data):
        if number == 3:
            return Const(_constant(value))
        if number == 4:
            return Ident(_text(dict(_fields(value)).get(1, b"")))
        if number == 5:
            parts = dict(_fields(value))
            return Select(_node(parts[1]), _text(parts.get(2, b"")), bool(parts.get(3, 0)))
        if number == 6:
            call = list(_fields(value))
            named = dict(call)
            return Call(
                function=_text(named.get(2, b"")),
                target=_node(named[1]) if 1 in named else None,
                args=tuple(_node(item) for field, item in call if field == 3),
            )
        if number == 7:
            return Items(tuple(_node(item) for field, item in _fields(value) if field == 1))
        if number == 8:
            entries = [item for field, item in _fields(value) if field == 2]
            inside = (
                item for entry in entries for field, item in _fields(entry) if field in (3, 4)
            )
            return Members(tuple(_node(item) for item in inside))
        if number == 9:
            loop = dict(_fields(value))
            names = (_text(loop[field]) for field in (1, 3, 8) if field in loop)
            return Comprehension(
                variables=tuple(names),
                outer=tuple(_node(loop[field]) for field in (2, 4) if field in loop),
                inner=tuple(_node(loop[field]) for field in (5, 6, 7) if field in loop),
            )
    raise Bug("an expression without a kind in the engine's syntax tree", found=data[:32].hex())


def _constant(data: bytes) -> Any:
    for number, value in _fields(data):
        if number == 1:
            return None
        if number == 2:
            return bool(value)
        if number == 3:
            return value - (1 << 64) if value >> 63 else value
        if number == 4:
            return Unsigned(value)
        if number == 5:
            return struct.unpack("<d", value)[0]
        if number == 6:
            return _text(value)
        if number == 7:
            return value
    return Unsigned(-1)  # a kind that is not known: nothing is concluded from it


def _text(data: bytes) -> str:
    return data.decode("utf-8")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message: number, and an int or bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, position = _varint(data, position)
        if size is None or position + size > len(data):
            raise Bug("the engine's syntax tree does not read", found=f"wire type {kind}")
        yield key >> 3, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
