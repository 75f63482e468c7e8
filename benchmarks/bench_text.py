"""Full text over a million rows: building, searching, updating, beside LanceDB's and SQLite's FTS5.

Words are of Zipf's distribution, 8 to 24 to a row, as in notes and titles. Queries are 1 to 3 words
of some row, without the 50 commonest, which people leave out of their questions; a second set has
them too. All are asked in turn, each of the same questions, on one thread.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.pairs import Result, line
from lakecore.fulltext import TextIndex

ROWS = int(os.environ.get("LAKECORE_BENCH_ROWS", "1000000"))
QUESTIONS = 200
WORDS = 50_000
COMMON = 50
LIMIT = 10
REACH_S = 0.010
SEED = 7

Search = Callable[[str], object]


def corpus(rows: int) -> tuple[pa.Table, list[str]]:
    """Rows of text under keys, and all words, the commonest first."""
    chance = np.random.default_rng(SEED)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    lengths = chance.integers(3, 10, WORDS)
    words = sorted({"".join(chance.choice(letters, length)) for length in lengths}, key=hash_of)
    weights = 1 / np.arange(1, len(words) + 1)
    counts = chance.integers(8, 25, rows)
    chosen = chance.choice(len(words), counts.sum(), p=weights / weights.sum()).astype(np.int32)
    ends = np.concatenate([[0], counts.cumsum()]).astype(np.int32)
    texts = pa.ListArray.from_arrays(pa.array(ends), pa.array(words).take(pa.array(chosen)))
    keys = pc.cast(pa.array(np.arange(rows)), pa.string())
    return pa.table({"key": keys, "text": pc.binary_join(texts, " ")}), words


def hash_of(word: str) -> int:
    """An order that has nothing to do with the alphabet, and is the same every time."""
    return hash(sum(ord(letter) * 131**at for at, letter in enumerate(word)) % 1_000_003)


def questions(table: pa.Table, words: list[str], *, common: bool) -> list[str]:
    """1 to 3 words of some row each."""
    chance = np.random.default_rng(SEED + common)
    left_out = set() if common else set(words[:COMMON])
    asked: list[str] = []
    while len(asked) < QUESTIONS:
        row = str(table["text"][int(chance.integers(len(table)))])
        known = [word for word in dict.fromkeys(row.split()) if word not in left_out]
        count = min(len(known), int(chance.integers(1, 4)))
        if count:
            asked.append(" ".join(chance.choice(known, count, replace=False)))
    return asked


@contextmanager
def ours(folder: Path, table: pa.Table) -> Iterator[tuple[float, Any]]:
    """Lakecore's: seconds to build it, and the index."""
    began_s = time.perf_counter()
    index = TextIndex.create(folder / "ours", ["text"])
    index.update(table)
    yield time.perf_counter() - began_s, index
    index.close()


@contextmanager
def sqlite(folder: Path, table: pa.Table) -> Iterator[tuple[float, Any]]:
    """SQLite's FTS5, with its words' positions as ours."""
    began_s = time.perf_counter()
    db = sqlite3.connect(folder / "fts5.sqlite")
    db.execute("CREATE VIRTUAL TABLE t USING fts5(key UNINDEXED, text, content='', columnsize=1)")
    texts = table["text"].to_pylist()
    db.executemany("INSERT INTO t (rowid, text) VALUES (?, ?)", enumerate(texts))
    db.commit()
    yield time.perf_counter() - began_s, db
    db.close()


@contextmanager
def lance(folder: Path, table: pa.Table) -> Iterator[tuple[float, Any]]:
    """LanceDB's own full-text index; None where it is not installed."""
    try:
        import lancedb
    except ImportError:
        yield 0.0, None
        return
    began_s = time.perf_counter()
    opened = lancedb.connect(str(folder / "lance")).create_table("t", table)
    opened.create_fts_index("text", with_position=True, stem=False, remove_stop_words=False)
    yield time.perf_counter() - began_s, opened


def seconds_of(search: Search, asked: list[str]) -> list[float]:
    """Of each question, after all of them once."""
    for text in asked:
        search(text)
    taken = []
    for text in asked:
        began_s = time.perf_counter()
        search(text)
        taken.append(time.perf_counter() - began_s)
    return taken


def asking(
    name: str, searches: dict[str, Search | None], asked: list[str], reach_s: float | None
) -> list[Result]:
    """One row for each peer that is there; the median of the questions."""
    taken = {peer: seconds_of(search, asked) for peer, search in searches.items() if search}
    mine = taken.pop("Lakecore")
    rows = [("", [], None)] if not taken else [(p, t, None) for p, t in taken.items()]
    results = []
    for peer, theirs, _ in rows:
        peer_s = statistics.median(theirs) if theirs else None
        result = Result(
            name=f"text: {name}",
            ours_s=statistics.median(mine),
            peer_s=peer_s,
            ratio=None,
            reach=reach_s,
            runs=len(asked),
            peer=peer,
            note=f"p50 of {len(asked)} questions, {ROWS:,} rows",
            details={
                "p95_s": statistics.quantiles(mine, n=20)[-1],
                "max_s": max(mine),
                **({"peer_p95_s": statistics.quantiles(theirs, n=20)[-1]} if theirs else {}),
            },
        )
        print(line(result), flush=True)
        results.append(result)
    return results


def once(name: str, ours_s: float, peers: dict[str, float], note: str = "") -> list[Result]:
    """What was done one time."""
    results = [
        Result(f"text: {name}", ours_s, peer_s, None, None, 1, peer=peer, note=note)
        for peer, peer_s in (peers or {"": None}).items()
    ]
    for result in results:
        print(line(result), flush=True)
    return results


def run(folder: Path) -> list[Result]:
    table, words = corpus(ROWS)
    work = folder / "text"
    work.mkdir()
    with (
        ours(work, table) as (ours_s, index),
        sqlite(work, table) as (sqlite_s, db),
        lance(work, table) as (lance_s, opened),
    ):
        size = sum(path.stat().st_size for path in (work / "ours").rglob("*"))
        note = f"ours fsynced, {size / 2**20:.0f} MiB on disk"
        peers = {"SQLite FTS5": sqlite_s} | ({"LanceDB": lance_s} if opened else {})
        results = once(f"build, {ROWS:,} rows", ours_s, peers, note)

        def fts5(text: str) -> object:
            query = "SELECT rowid, rank FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?"
            return db.execute(query, (text, LIMIT)).fetchall()

        def lancedb(query: object) -> object:
            found = opened.search(query, query_type="fts").limit(LIMIT).select(["key", "_score"])
            return found.to_arrow()

        def theirs(make: Callable[[str], object]) -> Search | None:
            return (lambda text: lancedb(make(text))) if opened else None

        usual = questions(table, words, common=False)
        every = questions(table, words, common=True)
        results += asking(
            "any of 1 to 3 words",
            {
                "Lakecore": lambda text: index.search(text, LIMIT),
                "SQLite FTS5": lambda text: fts5(" OR ".join(text.split())),
                "LanceDB": theirs(lambda text: text),
            },
            usual,
            REACH_S,
        )
        results += asking(
            "any of 1 to 3 words, the commonest too",
            {
                "Lakecore": lambda text: index.search(text, LIMIT),
                "SQLite FTS5": lambda text: fts5(" OR ".join(text.split())),
                "LanceDB": theirs(lambda text: text),
            },
            every[:10],
            None,
        )
        results += asking(
            "all of 1 to 3 words",
            {
                "Lakecore": lambda text: index.search(" AND ".join(text.split()), LIMIT),
                "SQLite FTS5": fts5,
            },
            usual,
            REACH_S,
        )
        pairs = [" ".join(str(text).split()[2:4]) for text in table["text"][:QUESTIONS]]
        results += asking(
            "a phrase of two words",
            {
                "Lakecore": lambda text: index.search(f'"{text}"', LIMIT),
                "SQLite FTS5": lambda text: fts5(f'"{text}"'),
                "LanceDB": theirs(_phrase),
            },
            pairs,
            REACH_S,
        )
        results += asking(
            "a prefix of three letters",
            {
                "Lakecore": lambda text: index.search(text.split()[0][:3] + "*", LIMIT),
                "SQLite FTS5": lambda text: fts5(text.split()[0][:3] + "*"),
            },
            usual,
            REACH_S,
        )
        keys = [str(at * 17) for at in range(1_000)]
        results += asking(
            "any of 1 to 3 words, among 1,000 keys",
            {"Lakecore": lambda text: index.search(text, LIMIT, keys=keys)},
            usual,
            REACH_S,
        )
        began_s = time.perf_counter()
        index.update(table.slice(0, ROWS // 100))
        updated_s = time.perf_counter() - began_s
        part = f"{updated_s / ours_s:.3f} of a build; goal 0.05"
        results += once("update of 1% of the rows", updated_s, {}, part)
        began_s = time.perf_counter()
        TextIndex.open(work / "ours").close()
        results += once("open, all checksums compared", time.perf_counter() - began_s, {})
    return results


def _phrase(text: str) -> object:
    from lancedb.query import PhraseQuery

    return PhraseQuery(text, "text")
