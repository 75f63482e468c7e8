"""The ledger's tables, version 1, and the statements over them."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
FILE_NAME: Final = "llm-ledger.sqlite"

SCHEMA: Final = """
CREATE TABLE day (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL, wall_us INTEGER NOT NULL, uptime_us INTEGER NOT NULL,
    boot TEXT NOT NULL
);
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, call_id TEXT NOT NULL, ordinal INTEGER NOT NULL,
    owner TEXT NOT NULL, boot TEXT NOT NULL, uptime_us INTEGER NOT NULL,
    at_us INTEGER NOT NULL, day TEXT NOT NULL,
    actor TEXT NOT NULL, key_id TEXT NOT NULL, source TEXT NOT NULL, run TEXT NOT NULL,
    rung TEXT NOT NULL, model TEXT NOT NULL,
    prompt_micro INTEGER NOT NULL, completion_micro INTEGER NOT NULL,
    reserved_nano INTEGER NOT NULL, prompt_most INTEGER NOT NULL, output_most INTEGER NOT NULL,
    tokens INTEGER NOT NULL, left_rungs TEXT NOT NULL, redactions INTEGER NOT NULL,
    outcome TEXT, is_sent INTEGER NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER,
    tokens_from TEXT, cost_nano INTEGER, reported TEXT, detail TEXT, status INTEGER,
    duration_ms REAL, is_projected INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attempts_open ON attempts (rung) WHERE outcome IS NULL;
CREATE INDEX attempts_recent ON attempts (rung, uptime_us);
CREATE INDEX attempts_new ON attempts (number) WHERE outcome IS NOT NULL AND is_projected = 0;
CREATE INDEX attempts_old ON attempts (day) WHERE is_projected = 1;
CREATE TABLE spent (
    scope TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, nano INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;
CREATE TABLE rungs (
    rung TEXT PRIMARY KEY, boot TEXT NOT NULL, faults INTEGER NOT NULL,
    open_until_us INTEGER NOT NULL, resume_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE totals (
    day TEXT NOT NULL, rung TEXT NOT NULL, model TEXT NOT NULL, source TEXT NOT NULL,
    key_id TEXT NOT NULL, actor TEXT NOT NULL,
    calls INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL,
    denied INTEGER NOT NULL, estimated INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL,
    PRIMARY KEY (day, rung, model, source, key_id, actor)
) WITHOUT ROWID
"""

INSERT_ATTEMPT: Final = """
INSERT INTO attempts (
    id, call_id, ordinal, owner, boot, uptime_us, at_us, day, actor, key_id, source, run, rung,
    model, prompt_micro, completion_micro, reserved_nano, prompt_most, output_most, tokens,
    left_rungs, redactions, is_sent
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

OPEN_ATTEMPT: Final = """
SELECT id, day, run, key_id, reserved_nano, rung, model, source, actor, ordinal,
       prompt_most, output_most, is_sent, prompt_micro, completion_micro
FROM attempts WHERE id = ? AND outcome IS NULL
"""

SETTLE_ATTEMPT: Final = """
UPDATE attempts SET outcome = ?, is_sent = ?, prompt_tokens = ?, completion_tokens = ?,
    tokens_from = ?, cost_nano = ?, reported = ?, detail = ?, status = ?, duration_ms = ?,
    tokens = ?
WHERE id = ?
"""

ADD_SPENT: Final = """
INSERT INTO spent (scope, name, day, nano) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, name) DO UPDATE SET nano = nano + excluded.nano, day = excluded.day
"""

FIGURES: Final = (
    "calls",
    "requests",
    "failed",
    "denied",
    "estimated",
    "prompt_tokens",
    "completion_tokens",
    "cost_nano",
)

ADD_TOTALS: Final = f"""
INSERT INTO totals (day, rung, model, source, key_id, actor, {", ".join(FIGURES)})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, rung, model, source, key_id, actor) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in FIGURES)}
"""

SET_RUNG: Final = """
INSERT INTO rungs (rung, boot, faults, open_until_us, resume_us) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (rung) DO UPDATE SET boot = excluded.boot, faults = excluded.faults,
    open_until_us = excluded.open_until_us, resume_us = excluded.resume_us
"""

SETTLED_ROWS: Final = """
SELECT number, id, call_id, ordinal, at_us, day, actor, key_id, source, run, rung, model,
       outcome, is_sent, prompt_tokens, completion_tokens, tokens_from, cost_nano, reserved_nano,
       duration_ms, status, left_rungs, detail, reported, redactions
FROM attempts WHERE outcome IS NOT NULL AND is_projected = 0 ORDER BY number LIMIT ?
"""
