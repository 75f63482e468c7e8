"""Embedding on this machine: short texts a second, the cache, loading; no peer.

Texts are sentences about flights. The rate is told by processor time, as two
cores have it that do nothing else; what the clock says is beside it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.pairs import Result, line
from lakecore.embeddings import CachedEmbedder, LocalEmbedder

TEXTS = int(os.environ.get("LAKECORE_BENCH_TEXTS", "2000"))
THREADS = 2
REACH_A_SECOND = 300
SEED = 7

PLACES = ("Newark", "La Guardia", "Kennedy", "Chicago", "Atlanta", "Miami", "Boston", "Denver")
CAUSES = (
    "because of a storm over the coast",
    "since the crew came late from another flight",
    "after a warning light in the cockpit",
    "for no reason that anybody wrote down",
    "as the runway was closed for snow",
)
ENDS = (
    "passengers were booked on the next plane of the day",
    "nobody missed a connection in spite of the delay",
    "the bags arrived a day later by courier",
    "the airline paid for a hotel near the airport",
)


def texts(count: int, *, long: bool = False) -> list[str]:
    """Sentences that are all different: of about 13 words, or of about 28."""
    chance = random.Random(SEED)
    made = []
    for number in range(count):
        text = f"Flight {number} from {chance.choice(PLACES)} was late {chance.choice(CAUSES)}"
        if long:
            text += f", to {chance.choice(PLACES)} and back, and {chance.choice(ENDS)}"
        made.append(text)
    return made


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of the processor."""
    began_s, spent_s = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began_s, time.process_time() - spent_s


def told(
    name: str, taken: tuple[float, float], count: int, note: str, reach: float | None
) -> Result:
    """A row: seconds on the clock; a second's texts in the note."""
    wall_s, processor_s = taken
    rate = f"{count / wall_s:,.0f} a second" if count else ""
    result = Result(
        name=f"embed: {name}",
        ours_s=wall_s,
        peer_s=None,
        ratio=None,
        reach=reach,
        runs=1,
        note="; ".join(filter(None, (rate, note))),
        details={"processor_s": processor_s, "wall_s": wall_s},
    )
    print(line(result), flush=True)
    return result


def run(folder: Path) -> list[Result]:
    made: list[LocalEmbedder] = []
    loading = measured(lambda: made.append(LocalEmbedder(threads=THREADS)))
    embedder = made[0]
    given, longer = texts(TEXTS), texts(TEXTS // 2, long=True)
    embedder.embed(given[:64])
    results = [told("load the model, hashes compared", loading, 0, "", None)]
    for name, some in ("short texts, about 13 words", given), ("texts of about 28 words", longer):
        wall_s, processor_s = measured(lambda some=some: embedder.embed(some))
        taken = (processor_s / THREADS, processor_s)
        note = (
            f"processor time over {THREADS} cores; on the clock {len(some) / wall_s:,.0f} a second"
        )
        reach = len(some) / REACH_A_SECOND if some is given else None
        results.append(told(f"{len(some):,} {name}", taken, len(some), note, reach))
        results[-1].details["wall_s"] = wall_s
    one = measured(lambda: [embedder.embed([text]) for text in given[:100]])
    results.append(told("100 questions, one by one", one, 100, "", None))
    cached = CachedEmbedder(embedder, folder / "embed-state")
    cold = measured(lambda: cached.embed(given))
    warm = measured(lambda: cached.embed(given))
    results.append(told("through the cache, empty", cold, TEXTS, "", None))
    results.append(told("through the cache, full", warm, TEXTS, "", None))
    cached.close()
    return results
