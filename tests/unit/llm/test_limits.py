"""Budgets, rates, room, circuits; usage that cannot be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import Dial, answering, oracle, planned
from tests.unit.llm.conftest import ADA, Make, asked, attempts, rung

from lakecore.base import InvalidInput
from lakecore.llm import (
    Budgets,
    Circuit,
    Ledger,
    Outcome,
    Policy,
    Prices,
)


@pytest.mark.parametrize(
    "usage",
    [
        "none",
        [],
        {},
        {"prompt_tokens": "5", "completion_tokens": 5},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 10**9},
        {"prompt_tokens": 10**12, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 7},
        {"prompt_tokens": 5, "completion_tokens": True},
        {"prompt_tokens": 5, "completion_tokens": 1.5},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
)
def test_wrong_usage_is_not_believed(make: Make, tmp_path: Path, usage: Any) -> None:
    """The stated estimate counts instead, and is marked; what was said is kept beside."""
    text = "x" * 300
    with oracle(planned(answering(text, usage=usage))) as server:
        answer = make(rung(server.url)).complete(asked("a" * 300), ADA)
    (row,) = attempts(tmp_path / "state")
    assert row["tokens_from"] == "estimate"
    assert row["completion_tokens"] == 100
    read = len("a" * 300 + "user" + "role" + "content")
    assert row["prompt_tokens"] == -(-read // 3) + 4
    assert answer.cost_nano == row["cost_nano"] > 0
    assert (row["reported"] == "") == (usage == "none")
    assert make(rung(server.url)).usage().total.estimated == 1


def test_an_answer_without_an_end(make: Make, tmp_path: Path) -> None:
    """A request that nobody answered counts as the most that it can have cost."""
    with oracle(planned("hang")) as server:
        answer = make(rung(server.url, timeout_s=0.2, retries=0)).complete(asked(), ADA)
    (row,) = attempts(tmp_path / "state")
    assert (row["tokens_from"], row["cost_nano"]) == ("reserved", row["reserved_nano"])
    assert answer.cost_nano == row["reserved_nano"]


def test_budgets_stop_before_they_are_passed(make: Make) -> None:
    """Of a call, a run, a key, a day: the next request is not sent."""
    with oracle() as server:
        one = rung(server.url, max_output_tokens=100)
        most = make(one).complete(asked(), ADA).cost_nano
        reserve = 100 * 8_000 + (49 + 64 + 1_024) * 2_000
        for budgets, by in (
            (Budgets(call_nano=reserve // 2), ADA),
            (Budgets(run_nano=reserve + 3 * most), ADA.__class__(actor="x", run="r1")),
            (Budgets(key_nano=reserve + 3 * most), ADA.__class__(actor="y", key="k2")),
            (Budgets(day_nano=reserve + 10 * most), ADA.__class__(actor="z")),
        ):
            ladder = make(one, budgets=budgets)
            answers = [ladder.complete(asked(), by) for _ in range(20)]
            denied = [answer for answer in answers if not answer.ok]
            assert denied
            assert {answer.outcome for answer in denied} == {Outcome.BUDGET}
            assert "USD" in denied[0].detail
        total = ladder.usage().total
        assert total.cost_nano <= reserve + 10 * most
        assert total.requests == len(server.served)


def test_what_costs_nothing_needs_no_budget(make: Make) -> None:
    """A budget of nothing forbids what costs, and nothing else."""
    nothing = Budgets(call_nano=0, run_nano=0, key_nano=0, day_nano=0)
    with oracle() as server:
        free = rung(server.url, "free", prices=Prices())
        assert make(free, budgets=nothing).complete(asked(), ADA).ok
        answer = make(rung(server.url), free, budgets=nothing).complete(asked(), ADA)
    assert (answer.rung, answer.left[0].reason) == ("free", Outcome.BUDGET)


def test_ten_megabytes_of_prompt(make: Make) -> None:
    """Sent where it may be; too dear where it costs; refused where it is beyond the bound."""
    text = "seats " * 1_700_000
    with oracle() as server:
        free = rung(server.url, prices=Prices())
        assert make(free).complete(asked(text), ADA).ok
        budgets = Budgets(call_nano=10**9)
        answer = make(rung(server.url), budgets=budgets).complete(asked(text), ADA)
        assert answer.outcome is Outcome.BUDGET
        with pytest.raises(InvalidInput, match="prompt is too long"):
            make(free).complete(asked(text * 2), ADA)
        assert len(server.served) == 1


def test_a_circuit_opens_and_closes(make: Make, tmp_path: Path) -> None:
    """After faults on end nothing is sent for a while; then one finds out for all."""
    ledger = Ledger(tmp_path / "state", circuit=Circuit(faults=3, open_s=0.4))
    with oracle(planned("500")) as server:
        ladder = make(rung(server.url, retries=0), ledger=ledger)
        outcomes = [str(ladder.complete(asked(), ADA).outcome) for _ in range(5)]
        assert outcomes == ["transport"] * 3 + ["asleep"] * 2
        assert len(server.served) == 3
        time.sleep(0.5)
        assert str(ladder.complete(asked(), ADA).outcome) == "transport"
        assert str(ladder.complete(asked(), ADA).outcome) == "asleep"
        server.plan = planned(Dial())
        time.sleep(0.5)
        assert all(ladder.complete(asked(), ADA).ok for _ in range(3))


def test_room_and_rate_of_a_rung(make: Make) -> None:
    """No more at a time, no more a minute, whatever comes at once."""

    async def many(count: int, **given: Any) -> list[Outcome]:
        ladder = make(rung(server.url, **given), policy=Policy(max_pause_s=5, backoff_s=0.01))
        calls = [ladder.ask(asked("!slow 0.05"), ADA) for _ in range(count)]
        found = [answer.outcome for answer in await asyncio.gather(*calls)]
        await ladder.disconnect()
        return found

    with oracle() as server:
        assert set(asyncio.run(many(12, max_concurrent=3))) == {Outcome.OK}
        assert server.most_open == 3
        before = len(server.served)
        found = asyncio.run(many(8, name="slow", requests_per_minute=5))
        assert sorted(found) == [Outcome.OK] * 5 + [Outcome.RATE] * 3
        assert len(server.served) - before == 5
        found = asyncio.run(many(4, name="few", tokens_per_minute=150, max_output_tokens=100))
        assert sorted(found) == [Outcome.OK] + [Outcome.RATE] * 3
