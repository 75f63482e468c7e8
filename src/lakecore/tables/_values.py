"""The journal's JSON text, comparison and multiset hash of values, as changes use them."""

from __future__ import annotations

from lakecore.journal._values import (
    MultisetHash,
    changed,
    encode_value,
    json_text,
    multiset_hash,
    row_json,
)

__all__ = ["MultisetHash", "changed", "encode_value", "json_text", "multiset_hash", "row_json"]
