"""How many bytes a text takes inside JSON: what the bounds of a leaf are measured in.

A leaf holds texts as RFC 8785 writes them: a quote or a backslash takes two bytes, a
control character up to six. Measured so, eleven texts of 1 KiB and three values of
16 KiB stay below the 65,535 bytes that an entry of a C2SP log may have.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

MAX_GROWTH: Final = 6
"""A byte of text takes at most so many: ``\\u001f``."""


def escaped_size(text: str) -> int:
    """Bytes of `text` between the quotes of its RFC 8785 form."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def escaped_sizes(column: pa.ChunkedArray, limit: int) -> pa.ChunkedArray:
    """`escaped_size` of each cell that it takes beyond `limit`; of others at least a lower bound.

    Null for null. Only cells that could pass the limit are looked into.
    """
    import pyarrow.compute as pc

    sizes = pc.binary_length(column)
    if (pc.max(sizes).as_py() or 0) * MAX_GROWTH <= limit:
        return sizes
    two = pc.count_substring_regex(column, '["\\\\\b\t\n\f\r]')
    six = pc.count_substring_regex(column, r"[\x00-\x07\x0b\x0e-\x1f]")
    return pc.add(sizes, pc.add(two, pc.multiply(six, 5)))
