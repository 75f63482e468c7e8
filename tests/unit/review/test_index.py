"""From a term to files, findings and reviews: ranked with reasons, incremental, bounded."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakecore.review import Hit, ReviewIndex
from lakecore.review._words import POINTS, words

START = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = 15


@dataclass
class Rows:
    """A lake's rows; how many were read is counted."""

    reviews: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    read_rows: int = 0

    def count(self, kind: str, until: datetime | None) -> tuple[int, datetime | None]:
        rows = [r for r in getattr(self, kind) if until is None or r["time"] <= until]
        return len(rows), max((r["time"] for r in rows), default=None)

    def read(self, kind: str, since: datetime | None) -> Iterable[Mapping[str, Any]]:
        for row in sorted(getattr(self, kind), key=lambda row: row["time"]):
            if since is None or row["time"] > since:
                self.read_rows += 1
                yield row

    def finding(self, minute: float, **given: Any) -> None:
        row = {"repository": "r", "bar": "b", "finding_id": f"f{len(self.findings)}", "line": 7}
        row |= {"path": "src/app/ladder.py", "symbol": "Ladder.ask", "severity": "major"}
        row |= {"state": "new", "claim": "it waits for ever", "quote": "while True: pass"}
        self.findings.append(row | {"time": START + timedelta(minutes=minute)} | given)

    def review(self, minute: float, **given: Any) -> None:
        row = {"repository": "r", "bar": "b", "run_id": f"run{len(self.reviews)}"}
        row |= {"path": "src/app/ladder.py", "purpose": "review", "outcome": "ok"}
        row |= {"verdict": "needs_work", "answer": "the retry budget is never spent"}
        self.reviews.append(row | {"time": START + timedelta(minutes=minute)} | given)


def found(index: ReviewIndex, term: str, **given: Any) -> list[tuple[str, str]]:
    return [(hit.row["kind"], hit.row["id"]) for hit in index.search(term, **given)]


def test_every_way_to_a_hit_and_why(tmp_path: Path) -> None:
    """By symbol, its parts, the path, the claim, the quote, an answer; points add up."""
    rows, index = Rows(), ReviewIndex(tmp_path / "index.sqlite")
    rows.finding(0)
    rows.finding(1, symbol="RetryBudget.spend", severity="critical", claim="ask is not counted")
    rows.finding(2, symbol="other", path="src/ask/model.py", state="confirmed_fixed")
    rows.review(3)
    rows.review(4, purpose="blind", answer="nobody sees the ask of this")
    index.sync(rows.count, rows.read)
    assert found(index, "ask", kind="finding") == [
        ("finding", "f0"),
        ("finding", "f2"),
        ("finding", "f1"),
    ]
    first = index.search("ask", kind="finding")[0]
    assert dict(first.why) == {"is the symbol": 8.0, "open, major": 0.5}
    assert first.score == sum(points for _, points in first.why)
    assert set(dict(first.why)) - {"open, major"} <= POINTS.keys()
    assert found(index, "budget", kind="finding") == [("finding", "f1")]
    assert found(index, "Ladder.ask")[0] == ("finding", "f0")
    assert ("file", "src/app/ladder.py") in found(index, "ladder")
    assert found(index, "retry budget spent") == [("review", "run0:src/app/ladder.py")]
    assert found(index, "while true pass", kind="finding")
    assert found(index, "ask", repository="another") == []
    assert found(index, "nowhere") == found(index, '"') == found(index, "* OR ask NOT") == []
    body = first.to_body()
    assert body["why"][0] == {"reason": "is the symbol", "points": 8.0}


def test_words_are_names_and_their_parts() -> None:
    """Snake, camel, digits; nothing is lost that a name has."""
    assert words("HTTPServer_v2.fromJson") == [
        *("httpserver_v2", "http", "server", "v", "2"),
        *("fromjson", "from", "json"),
    ]
    assert words("größe Ünder") == ["größe", "gr", "öß", "e", "ünder", "ü", "nder"]


def everything(index: ReviewIndex) -> list[tuple[Any, ...]]:
    terms = ("ask", "src", "step", "wrong", "answer", "module", "budget")
    hits: list[tuple[str, Hit]] = [(t, hit) for t in terms for hit in index.search(t, limit=200)]
    return [(term, *sorted(hit.to_body().items(), key=str)) for term, hit in hits]


def test_grown_in_steps_it_is_the_same_as_made_at_once(tmp_path: Path) -> None:
    """Over seeds: rows in any portions, some late, findings that change state; restarts between."""
    for seed in range(SEEDS):
        chance = random.Random(seed)
        rows, file = Rows(), tmp_path / f"{seed}.sqlite"
        for step in range(30):
            number = chance.randrange(12)
            minute = step * 3 - (chance.random() * 60 if chance.random() < 0.1 else 0)
            if chance.random() < 0.7:
                rows.finding(
                    minute,
                    finding_id=f"f{number}",
                    path=f"src/module_{number % 4}.py",
                    symbol=f"step_{number}",
                    claim=f"wrong {step}",
                    state=chance.choice(["new", "persistent", "confirmed_fixed"]),
                )
            else:
                rows.review(minute, path=f"src/module_{number % 4}.py", answer=f"answer {step}")
            if chance.random() < 0.4:
                ReviewIndex(file).sync(rows.count, rows.read)  # another process each time
        ReviewIndex(file).sync(rows.count, rows.read)
        whole = ReviewIndex(tmp_path / f"{seed}-whole.sqlite")
        whole.sync(rows.count, rows.read)
        assert everything(ReviewIndex(file)) == everything(whole), seed
        assert ReviewIndex(file).size() == whole.size()
    print(f"seeds 0 to {SEEDS - 1}")


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    """A minute's margin aside; rows that came late are noticed, and all is read."""
    rows, index = Rows(), ReviewIndex(tmp_path / "index.sqlite")
    for minute in range(100):
        rows.finding(minute)
    assert index.sync(rows.count, rows.read) == 100
    assert index.sync(rows.count, rows.read) == 1
    rows.finding(101)
    assert index.sync(rows.count, rows.read) == 2
    rows.finding(5.5, symbol="late")
    assert index.sync(rows.count, rows.read) == 102
    assert found(index, "late")[0][0] == "finding"


def test_killed_halfway_it_is_what_it_was(tmp_path: Path) -> None:
    """A sync that dies leaves nothing; the next one takes all."""
    rows, file = Rows(), tmp_path / "index.sqlite"
    rows.finding(0)
    ReviewIndex(file).sync(rows.count, rows.read)
    rows.finding(5, symbol="second")
    rows.finding(6, symbol="third")

    def dying(kind: str, since: datetime | None) -> Iterable[Mapping[str, Any]]:
        for number, row in enumerate(rows.read(kind, since)):
            if number == 1:
                raise KeyboardInterrupt
            yield row

    with pytest.raises(KeyboardInterrupt):
        ReviewIndex(file).sync(rows.count, dying)
    assert found(ReviewIndex(file), "second") == []
    ReviewIndex(file).sync(rows.count, rows.read)
    assert [kind for kind, _ in found(ReviewIndex(file), "second")] == ["finding", "file"]


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    """It is derived: garbage and other versions are thrown away."""
    rows, file = Rows(), tmp_path / "index.sqlite"
    rows.finding(0)
    file.write_bytes(b"not a database, but long enough to be looked at " * 99)
    ReviewIndex(file).sync(rows.count, rows.read)
    assert found(ReviewIndex(file), "ask")
    with sqlite3.connect(file) as database:
        database.execute("pragma user_version = 99")
    database.close()
    ReviewIndex(file).sync(rows.count, rows.read)
    assert found(ReviewIndex(file), "ask")


def test_it_is_bounded(tmp_path: Path) -> None:
    """The oldest reviews go first, then closed findings; what is open stays."""
    rows, index = Rows(), ReviewIndex(tmp_path / "index.sqlite", max_documents=30)
    for minute in range(20):
        rows.finding(minute, state="new" if minute % 2 else "removed")
        rows.review(minute + 0.5)
    index.sync(rows.count, rows.read)
    sizes = index.size()
    assert sum(sizes.values()) == 30
    assert (sizes["finding"], sizes["file"]) == (20, 1)
    rows.finding(30, state="new")
    for _ in range(12):
        rows.finding(31, state="new")
    index.sync(rows.count, rows.read)
    sizes = index.size()
    assert ("review" in sizes, sum(sizes.values())) == (False, 30)
    assert len(found(index, "ask", kind="finding", limit=200)) == sizes["finding"]
    assert sum(h.row["is_open"] for h in index.search("ask", kind="finding", limit=200)) == 23
