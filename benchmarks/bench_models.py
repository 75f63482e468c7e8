"""The door to models: what it adds to a call, 64 at a time, beside asking the server itself.

The model's server is the tests' oracle in a process of its own, which answers after a while, as a
model would. Every call through the door is authenticated, looked through for secrets, reserved and
settled durably. Both ways are asked by the same client, in turn.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

import lakecore
from benchmarks.pairs import Result
from lakecore.app import open_gateway

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


@contextmanager
def door(folder: Path, model_url: str) -> Iterator[tuple[str, str]]:
    """A gateway with one rung and room for all callers; its URL and a key."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "lakecore.toml"
    config.write_text(
        "[auth]\nenabled = true\n[gateway]\nport = 0\nmax_waiting = 256\n"
        "[llm]\nbudget_day_usd = 1000\nbudget_key_usd = 1000\n"
        f'[[llm.rung]]\nname = "one"\nbase_url = "{model_url}"\nmodel = "m"\n'
        "max_concurrent = 64\nprompt_usd_per_million = 1\ncompletion_usd_per_million = 1\n"
    )
    with lakecore.open(folder / "lake", actor="bench", config=config) as lake:
        key = lake.keys.create("bench", scopes=["model:*"]).text
        gateway = open_gateway(lake)
        started = threading.Event()
        thread = threading.Thread(target=lambda: gateway.run(started.set))
        thread.start()
        started.wait(30)
        try:
            yield f"{gateway.url}/v1", key
        finally:
            gateway.stop()
            thread.join()


async def ask(url: str, key: str, calls: int, text: str) -> list[float]:
    """Seconds of each call, `CALLERS` at a time."""
    body = {"model": "one", "messages": [{"role": "user", "content": text}]}
    limits = httpx.Limits(max_connections=CALLERS, keepalive_expiry=2.0)
    headers = {"Authorization": f"Bearer {key}"}
    seconds: list[float] = []
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=120) as client:

        async def one() -> None:
            for _ in range(calls // CALLERS):
                began_s = time.perf_counter()
                answer = await client.post(f"{url}/chat/completions", json=body)
                seconds.append(time.perf_counter() - began_s)
                assert answer.status_code == 200, answer.text

        await asyncio.gather(*(one() for _ in range(CALLERS)))
    return seconds


def run(folder: Path) -> list[Result]:
    slow = f"!slow {DELAY_S} How many seats has N10156?"
    with model_server() as url, door(folder / "models", url) as (ours_url, key):
        for target in (url, ours_url):
            asyncio.run(ask(target, key, 2 * CALLERS, "warm"))
        pairs = [
            (asyncio.run(ask(ours_url, key, CALLS, slow)), asyncio.run(ask(url, key, CALLS, slow)))
            for _ in range(ROUNDS)
        ]
        latency = _added(pairs)
        spent = [_processor_s(lambda: asyncio.run(ask(ours_url, key, CALLS, "now")))]
        spent.append(_processor_s(lambda: asyncio.run(ask(url, key, CALLS, "now"))))
    return [latency, _work(spent)]


def _added(pairs: list[tuple[list[float], list[float]]]) -> Result:
    """The difference of medians, the middle of all rounds."""
    added = sorted(statistics.median(ours) - statistics.median(peer) for ours, peer in pairs)
    middle_s = added[len(added) // 2]
    ours, peer = pairs[0]
    return Result(
        name=f"models: what the door adds to a call of {DELAY_S:g} s, {CALLERS} at a time",
        ours_s=middle_s,
        peer_s=None,
        ratio=None,
        reach=REACH_MS / 1_000,
        runs=len(pairs),
        note="difference of the medians of both ways; goal 5 ms; all on the same cores",
        details={
            "ours_p50_s": statistics.median(ours),
            "ours_p95_s": statistics.quantiles(ours, n=20)[-1],
            "direct_p50_s": statistics.median(peer),
            "direct_p95_s": statistics.quantiles(peer, n=20)[-1],
            **{f"added_{at}_s": value for at, value in enumerate(added)},
        },
    )


def _work(spent: list[float]) -> Result:
    """Processor time of this process: the door and the client, without the client alone."""
    ours_s, peer_s = spent
    return Result(
        name="models: processor time that the door takes for a call",
        ours_s=(ours_s - peer_s) / CALLS,
        peer_s=None,
        ratio=None,
        reach=REACH_MS / 1_000,
        runs=CALLS,
        note="both ways are asked by one client in the process of the door; the difference",
        details={
            "with_door_s": ours_s / CALLS,
            "client_alone_s": peer_s / CALLS,
            "in_clients": (ours_s - peer_s) / peer_s,
        },
    )


def _processor_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s
