"""The door to models: what it adds to a call, 64 at a time, beside asking the server itself.

The model's server is the tests' oracle in a process of its own, which answers after a while, as a
model would; the door is a process of its own, too, so its processor time is its own alone. Every
call through it is authenticated, looked through for secrets, reserved and settled durably.

Both ways are asked in turn by 64 callers with a connection each, as 64 programs have. (One httpx
client for all looks at all its connections for each call: more work than the door's.) They begin
evenly over the time that an answer takes; what they wait when all begin at once is told, too.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.bench_gateway import cpu_s
from benchmarks.pairs import Result, line

CALLERS = 64
CALLS = int(os.environ.get("LAKECORE_BENCH_CALLS", "1280"))
DELAY_S = 1.0
"""What the model takes for an answer: so 64 callers make 64 calls a second."""

REACH_MS = 5.0
ROUNDS = 3
ORACLE = Path(__file__).parent.parent / "tests/fakes/model_server.py"


@contextmanager
def model_server() -> Iterator[str]:
    """The oracle, as a process."""
    command = [sys.executable, str(ORACLE), "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


SERVER = """
import sys, threading
import lakecore
from lakecore.app import open_gateway

with lakecore.open(sys.argv[1], actor="bench", config=sys.argv[2]) as lake:
    key = lake.keys.create("bench", scopes=["model:*"]).text
    gateway = open_gateway(lake)

    def wait():
        sys.stdin.read()
        gateway.stop()

    threading.Thread(target=wait, daemon=True).start()
    gateway.run(lambda: print(gateway.url, key, flush=True))
"""


@contextmanager
def door(folder: Path, model_url: str) -> Iterator[tuple[str, str, int]]:
    """A gateway with one rung and room for all callers; its URL, a key, and its process."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "lakecore.toml"
    config.write_text(
        "[auth]\nenabled = true\n[gateway]\nport = 0\nmax_waiting = 256\n"
        "[llm]\nbudget_day_usd = 1000\nbudget_key_usd = 1000\n"
        f'[[llm.rung]]\nname = "one"\nbase_url = "{model_url}"\nmodel = "m"\n'
        "max_concurrent = 64\nprompt_usd_per_million = 1\ncompletion_usd_per_million = 1\n"
    )
    command = [sys.executable, "-c", SERVER, str(folder / "lake"), str(config)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url, key = process.stdout.readline().split()
            yield f"{url}/v1", key, process.pid
        finally:
            process.stdin.close()
            process.wait(60)


async def ask(url: str, key: str, calls: int, text: str, spread_s: float = 0.0) -> list[float]:
    """Seconds of each call, by `CALLERS` that begin within `spread_s`."""
    body = {"model": "one", "messages": [{"role": "user", "content": text}]}
    headers = {"Authorization": f"Bearer {key}"}
    seconds: list[float] = []

    async def one(number: int) -> None:
        async with httpx.AsyncClient(headers=headers, timeout=120) as client:
            await asyncio.sleep(spread_s * number / CALLERS)
            for _ in range(calls // CALLERS):
                began_s = time.perf_counter()
                answer = await client.post(f"{url}/chat/completions", json=body)
                seconds.append(time.perf_counter() - began_s)
                assert answer.status_code == 200, answer.text

    await asyncio.gather(*map(one, range(CALLERS)))
    return seconds


def run(folder: Path) -> list[Result]:
    slow = f"!slow {DELAY_S} How many seats has N10156?"
    with model_server() as url, door(folder / "models", url) as (ours_url, key, pid):
        for target in (url, ours_url):
            asyncio.run(ask(target, key, 2 * CALLERS, "warm"))

        def both(spread_s: float) -> tuple[list[float], list[float]]:
            ours = asyncio.run(ask(ours_url, key, CALLS, slow, spread_s))
            return ours, asyncio.run(ask(url, key, CALLS, slow, spread_s))

        latency = _added([both(DELAY_S) for _ in range(ROUNDS)], [both(0.0)])
        began_s = cpu_s(pid)
        asyncio.run(ask(ours_url, key, CALLS, "now"))
        each_s = (cpu_s(pid) - began_s) / CALLS
    work = Result(
        name="models: processor time that the door takes for a call",
        ours_s=each_s,
        peer_s=None,
        ratio=None,
        reach=REACH_MS / 1_000,
        runs=CALLS,
        note="of the gateway's process, all its threads",
    )
    print(line(latency), line(work), sep="\n", flush=True)
    return [latency, work]


def _added(
    pairs: list[tuple[list[float], list[float]]], at_once: list[tuple[list[float], list[float]]]
) -> Result:
    """The difference of medians, the middle of all rounds."""
    added, bursts = (
        sorted(statistics.median(ours) - statistics.median(peer) for ours, peer in found)
        for found in (pairs, at_once)
    )
    middle_s = added[len(added) // 2]
    ours, peer = pairs[0]
    return Result(
        name=f"models: what the door adds to a call of {DELAY_S:g} s, {CALLERS} at a time",
        ours_s=middle_s,
        peer_s=None,
        ratio=None,
        reach=REACH_MS / 1_000,
        runs=len(pairs),
        note="difference of the medians of both ways; goal 5 ms; all on the same cores; "
        f"{bursts[0] * 1_000:.0f} ms when all {CALLERS} begin at once",
        details={
            "ours_p50_s": statistics.median(ours),
            "ours_p95_s": statistics.quantiles(ours, n=20)[-1],
            "direct_p50_s": statistics.median(peer),
            "direct_p95_s": statistics.quantiles(peer, n=20)[-1],
            **{f"added_{at}_s": value for at, value in enumerate(added)},
        },
    )
