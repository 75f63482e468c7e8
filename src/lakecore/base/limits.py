"""Bounds that several packages share; a bound of one package is where it is used."""

from __future__ import annotations

from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

MAX_NAME_BYTES: Final = 128
"""A dataset, schema or index name."""

MAX_EVENT_TEXT_BYTES: Final = 1 * KIB
"""Every text field of an event but `old_value`, `new_value` and `context`, escaped as in JSON."""

MAX_INLINE_VALUE_BYTES: Final = 16 * KIB
"""Values that are longer when escaped enter the leaf as {bytes, sha256}; all are stored whole."""

MAX_VALUE_BYTES: Final = 64 * MIB
"""One `old_value`, `new_value` or `context`."""

MAX_DOCUMENT_BYTES: Final = 16 * MIB
"""One version of one document."""

MAX_COLUMNS: Final = 16_384
"""Columns of one dataset."""

MAX_COMMIT_RETRIES: Final = 32
"""Attempts of one mutation at committing, before `Conflict`."""

SEGMENT_EVENTS: Final = 1 << 16
"""A segment never crosses a multiple of this many events."""
