"""Ladders over an oracle."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakecore.llm import Ask, By, Ladder, Ledger, Policy, Prices, Rung

ADA = By(actor="ada", key="key1", source="test")
PRICES = Prices.of_usd(2, 8)


def rung(url: str, name: str = "one", **given: Any) -> Rung:
    """A rung of an oracle."""
    known = {"model": "m", "prices": PRICES, "retries": 1, "timeout_s": 5.0}
    return Rung(**{"name": name, "base_url": url, **known, **given})


def asked(text: str = "How many seats has N10156?", **given: Any) -> Ask:
    """A question."""
    return Ask(messages=[{"role": "user", "content": text}], **given)


Make = Callable[..., Ladder]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes ladders that are closed at the end."""
    made: list[Ladder] = []

    def ladder(*rungs: Rung, folder: Path | None = None, **given: Any) -> Ladder:
        ledger = given.pop("ledger", None) or Ledger(folder or tmp_path / "state")
        given.setdefault("policy", Policy(backoff_s=0.01))
        made.append(Ladder(rungs, ledger, **given))
        return made[-1]

    yield ladder
    for one in made:
        one.close()


def attempts(folder: Path) -> list[dict[str, Any]]:
    """All attempts of a ledger as they are on disk, in order."""
    connection = sqlite3.connect(folder / "llm-ledger.sqlite")
    connection.row_factory = sqlite3.Row
    try:
        found = connection.execute("SELECT * FROM attempts ORDER BY number").fetchall()
        return [dict(row) for row in found]
    finally:
        connection.close()
