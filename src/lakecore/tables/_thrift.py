"""Thrift's compact protocol, without a schema: what Parquet footers are written in (pure).

A struct is read as its fields by number, each with its type, so that fields which nobody here
knows are written again as they were. (pyarrow reads footers and writes new ones; it cannot
write one for column chunks that exist already. The `thrift` package would do, with a generated
module of all of Parquet's structs, and it is one dependency more for every installation.)

Specification: Apache Thrift, doc/specs/thrift-compact-protocol.md.

>>> data = write_struct({1: (I32, -3), 4: (LIST, (BINARY, [b"a", b"b"]))})
>>> data.hex()
'150539280161016200'
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from lakecore.base import CorruptData

TRUE: Final = 1
FALSE: Final = 2
BYTE: Final = 3
I16: Final = 4
I32: Final = 5
I64: Final = 6
DOUBLE: Final = 7
BINARY: Final = 8
LIST: Final = 9
SET: Final = 10
MAP: Final = 11
STRUCT: Final = 12

Struct = dict[int, tuple[int, Any]]
"""Fields by number: (type, value). A list is (type, values), a map (types, pairs)."""

_MAX_DEPTH: Final = 64
_INTEGERS: Final = (I16, I32, I64)
_MAX_SHIFT: Final = 63
_LONG: Final = 15


def read_struct(data: bytes) -> Struct:
    """The struct that `data` begins with.

    Raises:
        CorruptData: it is none.
    """
    try:
        return _Reader(data).struct(0)
    except (IndexError, struct.error) as error:
        raise CorruptData("a Thrift struct is cut off", found=error) from error


def write_struct(fields: Struct) -> bytes:
    """The bytes of a struct, its fields in the order of their numbers."""
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> Struct:
        if depth > _MAX_DEPTH:
            raise CorruptData("Thrift structs are nested too deeply")
        fields: Struct = {}
        number = 0
        while head := self._byte():
            kind, delta = head & 15, head >> 4
            number = number + delta if delta else _unzigzag(self._varint())
            fields[number] = (kind, self._value(kind, depth))
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return _unzigzag(self._varint())
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self._byte()
            count = head >> 4
            if count == _LONG:
                count = self._varint()
            return head & 15, [self._element(head & 15, depth) for _ in range(count)]
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self._byte()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            key, item = kinds >> 4, kinds & 15
            pairs = [(self._element(key, depth), self._element(item, depth)) for _ in range(count)]
            return kinds, pairs
        raise CorruptData("not a Thrift type", found=kind)

    def _element(self, kind: int, depth: int) -> Any:
        # Of a field the type is the value of a boolean; in a list there is a byte for it.
        return self._byte() if kind in (TRUE, FALSE) else self._value(kind, depth)

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise IndexError("the data ends before")
        found = self._data[self._at : end]
        self._at = end
        return found

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > _MAX_SHIFT:
                raise CorruptData("a Thrift number is too long")
        return value | byte << shift


def _write_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for number, (kind, value) in sorted(fields.items()):
        if kind in (TRUE, FALSE):
            kind = TRUE if value else FALSE
        delta = number - last
        if 0 < delta <= _LONG:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            _write_varint(out, _zigzag(number))
        last = number
        if kind not in (TRUE, FALSE):
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_varint(out, _zigzag(value))
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind in (LIST, SET):
        _write_list(out, *value)
    elif kind in (TRUE, FALSE, BYTE):
        out.append(value)
    elif kind == DOUBLE:
        out += value
    else:
        kinds, pairs = value
        _write_varint(out, len(pairs))
        if pairs:
            out.append(kinds)
        for key, item in pairs:
            _write_value(out, kinds >> 4, key)
            _write_value(out, kinds & 15, item)


def _write_list(out: bytearray, kind: int, values: Sequence[Any]) -> None:
    if len(values) < _LONG:
        out.append(len(values) << 4 | kind)
    else:
        out.append(_LONG << 4 | kind)
        _write_varint(out, len(values))
    for value in values:
        _write_value(out, kind, value)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -(value >> 1) - 1
