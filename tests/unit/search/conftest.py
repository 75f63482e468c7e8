"""Indexes over three hundred rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.search import ADA, Bucket, SearchLab, docs

from lakecore.search import Question
from lakecore.storage import open_store

WORDS = (
    *("plane", "wing", "engine", "cabin", "crew", "runway"),
    *("fuel", "radar", "cloud", "storm", "tower", "gate"),
)
SMALL = {"exact_rows": 20, "connectivity": 8, "expansion_add": 32}
"""So few that a graph is built of what a test has."""


def texts(count: int, seed: int = 1) -> dict[int, str | None]:
    """Rows with some words each, and one of their own."""
    choose = random.Random(seed)
    return {n: f"{' '.join(choose.sample(WORDS, 3))} number{n}" for n in range(count)}


@pytest.fixture(params=["local", "remote"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SearchLab]:
    """Three hundred rows; on a disk, and in a store whose files are fetched."""
    store = open_store(str(tmp_path / "lake"))
    seen = store if request.param == "local" else Bucket(store)
    lab = SearchLab(seen, tmp_path, docs(texts(300)))
    lab.indexes._fresh_s = 0.0
    yield lab
    lab.close()
    store.close()


@pytest.fixture
def one(tmp_path: Path) -> Iterator[SearchLab]:
    """Three hundred rows on a disk."""
    store = open_store(str(tmp_path / "lake"))
    lab = SearchLab(store, tmp_path, docs(texts(300)))
    yield lab
    lab.close()
    store.close()


def create(lab: SearchLab, name: str = "i", **options: Any) -> Any:
    """An index over the texts."""
    return lab.indexes.create(name, "docs", ["text"], author=ADA, **options)


def found(lab: SearchLab, text: str, name: str = "i", **asked: Any) -> list[int]:
    """Ids, the best first."""
    question = Question(text=text, **asked)
    return [row["id"] for row in lab.indexes.search(name, question).to_pylist()]
