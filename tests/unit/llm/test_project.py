"""Settled attempts get into the dataset by themselves, each once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.model_server import oracle
from tests.unit.llm.conftest import ADA, Make, asked, rung
from tests.unit.llm.test_streams import streamed

from lakecore.base import Unavailable


class Sink:
    """A dataset; at first it does not answer."""

    def __init__(self, failures: int = 0) -> None:
        self.rows: list[Mapping[str, object]] = []
        self.failures = failures

    def append(self, dataset: str, rows: Sequence[Mapping[str, object]]) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the store does not answer")
        assert dataset == "system.usage"
        self.rows += rows


def wait_for(sink: Sink, count: int) -> None:
    """Until so many rows are there, or too long."""
    deadline_s = time.monotonic() + 20
    while len(sink.rows) < count and time.monotonic() < deadline_s:
        time.sleep(0.05)


def test_rows_come_by_themselves(make: Make) -> None:
    """Of whole answers and of streams."""
    sink = Sink()
    with oracle() as server:
        ladder = make(rung(server.url), sink=sink)
        asyncio.run(streamed(ladder, asked()))
        wait_for(sink, 1)
        assert ladder.complete(asked(), ADA).ok
        wait_for(sink, 2)
    assert [row["outcome"] for row in sink.rows] == ["ok", "ok"]
    assert ladder.project() == 0


def test_a_sink_that_fails_loses_nothing(make: Make, tmp_path: Path) -> None:
    """Rows wait in the ledger, and are handed on by the next process."""
    with oracle() as server:
        one = rung(server.url)
        first = make(one, sink=Sink(failures=10**6))
        answers = [first.complete(asked(), ADA) for _ in range(3)]
        first.close()
        sink = Sink()
        second = make(one, sink=sink)
        assert second.project() == 3
    calls: list[Any] = [row["call_id"] for row in sink.rows]
    assert calls == [answer.call_id for answer in answers]
    assert second.project() == 0
