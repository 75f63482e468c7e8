"""One of several processes that ask models in every way at a time; see the test beside it.

``llm_worker.py URL STATE SEED SECONDS``: it prints a line for every call that it was answered, so
that a reader knows what must be on record even when this process is killed between two lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lakecore.llm import (
    AnswerStream,
    Ask,
    Budgets,
    By,
    Circuit,
    Ladder,
    Ledger,
    Policy,
    Prices,
    Rung,
)

PRICES = Prices.of_usd("2.5", 10)
DAY_NANO = 300_000_000
TIMEOUT_S = 1.0
KINDS = ("hi", "hi", "hi", "!500", "!429", "!broken", "!half", "!drop", "!hang", "!nousage", "!400")
KINDS += ("!error", "!empty", "!slow 0.05", "!503", "!pause")


class FileSink:
    """Rows as lines of a file, durable when `append` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, dataset: str, rows: Sequence[Mapping[str, object]]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps({"dataset": dataset, **row}, default=str) + "\n")
            file.flush()
            os.fsync(file.fileno())


def make_ladder(url: str, state: Path) -> Ladder:
    """Two rungs of one server; the second may be climbed to for everything."""
    given = {"base_url": url, "timeout_s": TIMEOUT_S, "retries": 1, "max_output_tokens": 60}
    rungs = [
        Rung(name="one", model="m1", prices=PRICES, max_concurrent=5, **given),  # type: ignore[arg-type]  # one dictionary for several types
        Rung(name="two", model="m2", prices=PRICES, max_concurrent=5, **given),  # type: ignore[arg-type]  # one dictionary for several types
    ]
    return Ladder(
        rungs,
        Ledger(state, circuit=Circuit(faults=50, open_s=0.1)),
        policy=Policy(backoff_s=0.01, max_pause_s=1.0),
        budgets=Budgets(day_nano=DAY_NANO),
        sink=FileSink(state / "rows.ndjson"),
    )


async def ask_on(ladder: Ladder, chance: random.Random, until_s: float) -> None:
    """One caller: asks, streams, and at times goes away."""
    while time.monotonic() < until_s:
        kind = chance.choice(KINDS)
        text = f"{kind} {'x' * chance.randint(0, 200)}"
        ask = Ask(messages=[{"role": "user", "content": text}])
        by = By(actor="worker", key=chance.choice("ab"), source="test", run=chance.choice("rs"))
        work = stream(ladder, ask, by) if chance.random() < 0.4 else ladder.ask(ask, by)
        leaves_s = 0.02 if chance.random() < 0.1 else None
        try:
            answer = await asyncio.wait_for(work, leaves_s)
        except TimeoutError:
            continue
        told = (answer.call_id, answer.outcome.value, answer.cost_nano, answer.attempts)
        print(json.dumps(told), flush=True)


async def stream(ladder: Ladder, ask: Ask, by: By):  # type: ignore[no-untyped-def]  # an Answer
    """The answer of a stream that was read to its end."""
    found = await ladder.stream(ask, by)
    if not isinstance(found, AnswerStream):
        return found
    try:
        async for _ in found:
            pass
    finally:
        found.close()
    return found.answer


async def main(url: str, state: Path, seed: int, seconds: float) -> None:
    ladder = make_ladder(url, state)
    chance = random.Random(seed)
    until_s = time.monotonic() + seconds
    callers = [random.Random(chance.random()) for _ in range(6)]
    await asyncio.gather(*(ask_on(ladder, caller, until_s) for caller in callers))
    await ladder.disconnect()
    await asyncio.to_thread(ladder.close)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
