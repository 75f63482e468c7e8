"""Which columns can be indexed."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types as pat


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts."""
    if pat.is_dictionary(kind):
        kind = kind.value_type
    return bool(pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind))


def is_vector(kind: pa.DataType) -> bool:
    """Whether values are lists of numbers."""
    is_list = pat.is_list(kind) or pat.is_large_list(kind) or pat.is_fixed_size_list(kind)
    return bool(is_list and (pat.is_floating(kind.value_type) or pat.is_integer(kind.value_type)))
