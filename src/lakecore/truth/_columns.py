"""Where a path leads in a batch of contexts: an Arrow leaf with its nulls, or a shared value.

A batch is a record batch whose columns are members of the contexts, and members that all rows
share. Shared ones are looked up as in one context. Nulls are kept apart from values: whoever
compares a value has to look at `Leaf.null` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.truth._path import MISSING, find

Mask = npt.NDArray[np.bool_]


class Unsupported(Exception):
    """This cannot be evaluated by columns; the message says what."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A value that is the same for all rows."""

    value: Any


@dataclass(frozen=True, slots=True)
class Absent:
    """No row has such a member."""

    above_null: Mask | None
    """Rows where something above it is null; None for no row."""


class Leaf:
    """An Arrow array that a path leads to, of any type but dictionary and run-end encoded."""

    def __init__(self, array: pa.Array, above_null: Mask | None) -> None:
        self.array = array
        self.type: pa.DataType = array.type
        self.above_null = above_null
        """Rows where something above the leaf is null; None for no row."""

    @cached_property
    def null(self) -> Mask | None:
        """Rows without a value, here or above; None for no row."""
        own = null_mask(self.array)
        if own is None or self.above_null is None:
            return self.above_null if own is None else own
        return own | self.above_null

    @cached_property
    def numbers(self) -> npt.NDArray[Any]:
        """The values of an integer or float array; anything where there is a null.

        Narrow floats are widened: a row sees them as Python's.
        """
        values = fixed_width(self.array)
        return values.astype(np.float64) if values.dtype.kind == "f" else values

    @cached_property
    def booleans(self) -> Mask:
        """The values of a boolean array; anything where there is a null."""
        return mask_of(self.array)

    @cached_property
    def microseconds(self) -> npt.NDArray[np.int64]:
        """The values of a timestamp array, since 1970; anything where there is a null."""
        unit = pa.timestamp("us", self.type.tz)
        values = self.array if self.type == unit else self.array.cast(unit, safe=False)
        return fixed_width(values, np.dtype(np.int64))

    @cached_property
    def days(self) -> npt.NDArray[np.int32]:
        """The values of a date array, since 1970; anything where there is a null."""
        values = self.array if pa.types.is_date32(self.type) else self.array.cast(pa.date32())
        return fixed_width(values, np.dtype(np.int32))


Found = Shared | Absent | Leaf


class Batch:
    """Contexts by columns."""

    def __init__(self, rows: pa.RecordBatch, shared: Mapping[str, Any]) -> None:
        self.rows = rows
        self.shared = shared
        self.length: int = rows.num_rows
        self._indices = {name: index for index, name in enumerate(rows.schema.names)}
        self._found: dict[tuple[str, ...], Found] = {}

    def find(self, segments: tuple[str, ...]) -> Found:
        """Where a path leads."""
        found = self._found.get(segments)
        if found is None:
            found = self._found[segments] = self._look(segments)
        return found

    def _look(self, segments: tuple[str, ...]) -> Found:
        index = self._indices.get(segments[0])
        if index is None:
            value = find(self.shared, segments)
            return Absent(None) if value is MISSING else Shared(value)
        if len(segments) == 1:
            return Leaf(decoded(self.rows.column(index)), None)
        above = self.find(segments[:-1])
        if not isinstance(above, Leaf):
            return above
        if pa.types.is_struct(above.type):
            position = above.type.get_field_index(segments[-1])
            if position >= 0:
                return Leaf(decoded(above.array.field(position)), above.null)
            names = [above.type.field(i).name for i in range(above.type.num_fields)]
            if segments[-1] in names:
                raise Unsupported(f"two columns named {segments[-1]}")
            return Absent(above.null)
        if pa.types.is_nested(above.type):
            raise Unsupported(f"a path into {above.type}")
        return Absent(above.null)


def decoded(array: pa.Array) -> pa.Array:
    """The array without an encoding that the kernels do not know."""
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    if pa.types.is_run_end_encoded(array.type):
        return pc.run_end_decode(array)
    if isinstance(array, pa.ExtensionArray):
        return decoded(array.storage)
    return array


def null_mask(array: pa.Array) -> Mask | None:
    """Where the array itself is null; None where nowhere."""
    if array.null_count == 0:
        return None
    return mask_of(array.is_null())


def mask_of(array: pa.BooleanArray) -> Mask:
    """A boolean array as NumPy's, nulls as anything."""
    values = array.buffers()[1]
    if values is None or len(array) == 0:
        return np.zeros(len(array), dtype=np.bool_)
    start, stop = array.offset // 8, (array.offset + len(array) + 7) // 8
    packed = np.frombuffer(values, dtype=np.uint8)[start:stop]
    first = array.offset - start * 8
    bits = np.unpackbits(packed, bitorder="little")[first : first + len(array)]
    return bits.view(np.bool_)


def truth_of(array: pa.BooleanArray) -> Mask:
    """A boolean array as NumPy's, nulls as False."""
    return mask_of(array if array.null_count == 0 else array.fill_null(False))


def fixed_width(array: pa.Array, dtype: np.dtype[Any] | None = None) -> npt.NDArray[Any]:
    """The values of a primitive array without a copy, nulls as anything."""
    dtype = np.dtype(array.type.to_pandas_dtype()) if dtype is None else dtype
    values = array.buffers()[1]
    if values is None or len(array) == 0:
        return np.zeros(len(array), dtype=dtype)
    return np.frombuffer(values, dtype=dtype)[array.offset : array.offset + len(array)]


def is_ascii(texts: pa.Array) -> bool:
    """Whether no text of a string array needs more than seven bits a character."""
    _, offsets, content = texts.buffers()
    if content is None or len(texts) == 0:
        return True
    wide = pa.types.is_large_string(texts.type)
    bounds = np.frombuffer(offsets, dtype=np.int64 if wide else np.int32)
    start, stop = int(bounds[texts.offset]), int(bounds[texts.offset + len(texts)])
    return stop == start or int(np.frombuffer(content, dtype=np.uint8)[start:stop].max()) < 0x80
