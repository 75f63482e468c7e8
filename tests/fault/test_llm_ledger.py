"""What models served is what the ledger says, exactly, whatever fails and whoever is killed.

Two processes ask an oracle in every way that an answer can fail; one or both are killed with
SIGKILL at a random moment, twice, and the ledger is opened again. `LAKECORE_SOAK_ROUNDS` is the
number of seeds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import Served, oracle
from tests.fault.llm_worker import DAY_NANO, PRICES, TIMEOUT_S, make_ladder
from tests.unit.llm.test_ledger import granted, reservation

from lakecore.llm import Ledger

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "2"))
SEED = int(os.environ.get("LAKECORE_SOAK_SEED", "20261129"))
REPOSITORY = Path(__file__).parents[2]
WORKER = [sys.executable, "-m", "tests.fault.llm_worker"]
ERRORS = {"500": "transport", "429": "rate", "400": "refused", "503": "asleep"}


def begin(url: str, state: Path, seed: int, log: Path) -> subprocess.Popen[bytes]:
    """A worker in a process of its own."""
    with log.open("ab") as told:
        command = [*WORKER, url, str(state), str(seed), "20"]
        return subprocess.Popen(command, stdout=told, cwd=REPOSITORY)


def rows_of(state: Path) -> list[dict[str, Any]]:
    """All attempts, as on disk."""
    connection = sqlite3.connect(state / "llm-ledger.sqlite")
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM attempts")]
    finally:
        connection.close()


def read_bytes(body: dict[str, Any]) -> int:
    """What an estimate is made of: names and texts of the messages."""
    return sum(
        len(str(name)) + len(str(value).encode())
        for message in body["messages"]
        for name, value in message.items()
    )


def estimate(served: Served, text: str) -> tuple[int, int]:
    """A token for three bytes, and four for a message."""
    prompt = -(-read_bytes(served.body) // 3) + 4 * len(served.body["messages"])
    return prompt, min(60, -(-len(text.encode()) // 3))


def is_whole(served: Served) -> bool:
    """Whether the answer was meant to arrive; some fail as streams alone."""
    return served.kind == "answer" or (served.kind in ("error", "pause") and not served.is_stream)


def check_attempt(row: dict[str, Any], served: Served) -> None:
    """One row against what the server did."""
    counted = (row["prompt_tokens"], row["completion_tokens"])
    outcome, origin = row["outcome"], row["tokens_from"]
    assert row["rung"] == {"m1": "one", "m2": "two"}[served.body["model"]]
    if outcome in ("unknown", "cancelled"):
        # Nobody saw the end: never less than what was served can have cost.
        if origin == "reserved":
            assert row["cost_nano"] == row["reserved_nano"]
        else:
            assert outcome == "cancelled"
            assert served.is_stream
            expected = (served.prompt_tokens, served.completion_tokens)
            assert origin == "estimate" or (origin, *counted) == ("provider", *expected)
    elif outcome == "transport" and row["duration_ms"] >= TIMEOUT_S * 1_000 and origin != "none":
        # The rung's patience was over: so it is with some kinds, and on a busy machine with any.
        assert origin == "reserved" or (served.is_stream and origin == "estimate")
    elif served.kind in ERRORS:
        assert (outcome, *counted, row["cost_nano"]) == (ERRORS[served.kind], 0, 0, 0)
    elif is_whole(served) and served.text:
        assert outcome == "ok"
        is_right = not served.body["messages"][0]["content"].startswith("!nousage")
        assert origin == ("provider" if is_right else "estimate")
        expected = (served.prompt_tokens, served.completion_tokens)
        assert counted == (expected if is_right else estimate(served, served.text))
    elif is_whole(served):
        assert outcome == "unparsable"
    else:
        assert outcome == "transport"
        assert origin in ("reserved", "estimate")
    if origin != "reserved":
        assert row["cost_nano"] == PRICES.cost_nano(*counted)


def check(state: Path, served: list[Served], told: list[list[Any]]) -> Counter[str]:
    """Everything that must hold once nobody works any more."""
    rows = rows_of(state)
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows)
    # Whatever reached the server was on record before, once.
    assert [one.attempt_id for one in served if one.attempt_id not in by_id] == []
    assert max(Counter(one.attempt_id for one in served).values()) == 1
    for one in served:
        check_attempt(by_id[one.attempt_id], one)
    # What was never served was not taken for an answer.
    reached = {one.attempt_id for one in served}
    assert {row["outcome"] for row in rows if row["id"] not in reached} <= {
        *("unknown", "cancelled", "asleep", "transport", "rate", "budget")
    }
    assert [row for row in rows if row["outcome"] is None] == []
    # What callers were told is what is on record.
    for call_id, outcome, cost_nano, attempts in told:
        mine = [row for row in rows if row["call_id"] == call_id]
        assert sum(row["cost_nano"] for row in mine) == cost_nano
        assert sum(row["is_sent"] for row in mine) == attempts
        assert any(row["outcome"] == outcome for row in mine)
    check_sums(state, rows)
    # The budget held, by the ledger and by what the server really served.
    assert sum(row["cost_nano"] for row in rows) <= DAY_NANO
    real = sum(
        PRICES.cost_nano(one.prompt_tokens, one.completion_tokens)
        for one in served
        if one.kind not in ERRORS
    )
    most = max((row["reserved_nano"] for row in rows), default=0)
    assert real <= DAY_NANO + most
    return Counter(row["outcome"] for row in rows)


def check_sums(state: Path, rows: list[dict[str, Any]]) -> None:
    """Sums and budgets are those of the rows."""
    connection = sqlite3.connect(state / "llm-ledger.sqlite")
    try:
        names = ("requests", "failed", "prompt_tokens", "completion_tokens", "cost_nano", "calls")
        query = f"SELECT {', '.join(f'sum({name})' for name in names)} FROM totals"
        sums = dict(zip(names, connection.execute(query).fetchone(), strict=True))
        sent = [row for row in rows if row["is_sent"]]
        assert sums["requests"] == len(sent)
        assert sums["failed"] == sum(row["outcome"] != "ok" for row in sent)
        for name in ("prompt_tokens", "completion_tokens", "cost_nano"):
            assert sums[name] == sum(row[name] for row in rows)
        assert sums["calls"] == sum(row["ordinal"] == 0 for row in rows)
        spent = connection.execute("SELECT scope, sum(nano) FROM spent GROUP BY 1").fetchall()
        assert {nano for _, nano in spent} == {sum(row["cost_nano"] for row in rows)}
    finally:
        connection.close()


def check_projection(state: Path) -> None:
    """Each settled attempt is a row, of its own id; what came twice is the same."""
    found: dict[str, Any] = {}
    for line in (state / "rows.ndjson").read_text().splitlines():
        row = json.loads(line)
        assert found.setdefault(row["id"], row) == row
    rows = {row["id"]: row for row in rows_of(state)}
    assert found.keys() == rows.keys()
    for id_, row in found.items():
        assert (row["cost_nano_usd"], row["outcome"]) == (
            rows[id_]["cost_nano"],
            rows[id_]["outcome"],
        )


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_ledger_is_what_was_served(tmp_path: Path, round_: int) -> None:
    """Over kills, for every way to fail, by two processes at a time."""
    seed = SEED + round_
    print(f"seed {seed}")
    chance = random.Random(seed)
    state, log = tmp_path / "state", tmp_path / "told"
    with oracle() as server:
        for turn in range(2):
            workers = [begin(server.url, state, chance.randint(0, 1 << 30), log) for _ in range(2)]
            deadline_s = time.monotonic() + 60
            want = len(server.served) + 10
            while len(server.served) < want and time.monotonic() < deadline_s:
                time.sleep(0.02)
            time.sleep(chance.uniform(0.1, 1.0))
            for worker in workers:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                if turn == 0:
                    time.sleep(chance.uniform(0, 0.2))
        # One that looks finds what they left; it hands on what they did not.
        ladder = make_ladder(server.url, state)
        assert ladder.usage().under_way == 0
        ladder.project()
        ladder.close()
        lines = log.read_text().splitlines()
        told = [json.loads(line) for line in lines if line.endswith("]")]
        counts = check(state, server.served, told)
        check_projection(state)
    assert counts["ok"] > 0
    print(counts)


def test_an_owner_that_lives_is_left_alone(tmp_path: Path) -> None:
    """A second ledger of the same machine does not settle what the first has open."""
    first, second = Ledger(tmp_path), Ledger(tmp_path)
    granted(first, reservation("a"))
    assert second.usage().under_way == 1
    first.close()
    third = Ledger(tmp_path)
    assert third.usage().under_way == 0
    assert rows_of(tmp_path)[0]["outcome"] == "unknown"
    second.close()
    third.close()
