"""The bounds of the MCP door: of answers, of what is kept for later pages, of time."""

from __future__ import annotations

from typing import Final

from lakecore.base.limits import KIB, MIB

PAGE_ROWS: Final = 200
"""Rows of one answer."""

ANSWER_BYTES: Final = 64 * KIB
"""Text of one answer, all of it."""

WORDS_BYTES: Final = 2 * KIB
"""Of an answer, what Lakecore itself says: counts, the cursor, the marks around the data."""

HEAD_BYTES: Final = 24 * KIB
"""Of an answer, what is no row: columns, a decision, a report."""

ROW_BYTES: Final = 16 * KIB
"""One row; longer ones are cut, and say so."""

PAGE_BYTES: Final = ANSWER_BYTES - WORDS_BYTES - HEAD_BYTES
"""Rows of one answer, together; so the first row always fits."""

KEPT_ROWS: Final = 10_000
"""Rows of one result that can be had page by page; what is beyond is said to be cut off."""

KEPT_BYTES: Final = 4 * MIB
"""The same in bytes."""

KEPT_RESULTS: Final = 16
"""Results of one client that are kept at a time; the oldest goes."""

KEPT_TOTAL_BYTES: Final = 64 * MIB
"""Of all clients together; the oldest goes."""

KEPT_S: Final = 600.0
"""A result is kept so long, from its last page on."""

CALLS: Final = 8
"""Calls of one client at a time."""

QUERY_S: Final = 30.0
"""A query may run so long when it does not say."""

MAX_QUERY_S: Final = 300.0
CALL_S: Final = 330.0
"""Whatever a tool does is waited for so long."""

ASKING_S: Final = 600.0
"""A person has so long to answer; then the change waits for somebody else."""

SHOWN_CHANGES: Final = 20
"""Changed fields in the question to a person."""

PROPOSED_ROWS: Final = 1_000
"""Rows of one proposal."""

BODY_BYTES: Final = 1 * MIB
"""One message of a client: it is parsed where all others wait."""

SESSIONS: Final = 512
SESSION_IDLE_S: Final = 900.0
