"""`system.keys`: the keys as a table, without their hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.auth._keys import Keys

_TIMES: Final = ("created", "expires", "overlap_ends", "revoked")


def keys_table(keys: Keys) -> pa.Table:
    """One row a key, as of now; `last_used` is what this machine saw."""
    import pyarrow as pa

    text, texts, time = pa.string(), pa.list_(pa.string()), pa.timestamp("us", tz="UTC")
    schema = pa.schema(
        [
            ("id", text),
            ("state", text),
            ("principal", text),
            ("kind", text),
            ("roles", texts),
            ("trust", pa.float64()),
            ("scopes", texts),
            ("created", time),
            ("expires", time),
            ("last_used", time),
            ("rotated_from", text),
            ("rotated_to", text),
            ("overlap_ends", time),
            ("revoked", time),
            ("note", text),
        ]
    )
    used = keys.last_used_us()
    rows = []
    for key in keys.list_keys():
        row = key.to_dict()
        row |= {name: row[f"{name}_us"] for name in _TIMES}
        rows.append(row | {"state": str(keys.state(key)), "last_used": used.get(key.id)})
    return pa.Table.from_pylist(rows, schema=schema)
