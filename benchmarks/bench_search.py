"""Search in 100k vectors of real texts, beside LanceDB on the same vectors.

The texts are sentences of installed documentation, the vectors those of the machine's own
model: embedding them is measured first, and takes minutes. LAKECORE_BENCH_VECTORS names a file
that keeps them from run to run; LAKECORE_BENCH_ROWS is how many there are. Times are medians of
one thread asking; CPU seconds are of the whole process. Recall is of the ten nearest by an exact
comparison in single precision.

LanceDB is no dependency: ``pip install lancedb`` before, or its rows are reported absent.
"""

from __future__ import annotations

import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import lakecore
from benchmarks.pairs import Result, line
from benchmarks.texts import sentences
from lakecore.app import _search

ROWS: Final = int(os.environ.get("LAKECORE_BENCH_ROWS", "100000"))
KEPT: Final = os.environ.get("LAKECORE_BENCH_VECTORS", "")
QUERIES: Final = 500
COUNT: Final = 10
CHANGED: Final = 0.01
Vectors = NDArray[np.float32]
_WORD: Final = re.compile(r"\w+")
Ask = Callable[[Vectors, str], Sequence[int]]


class Remembered:
    """The machine's own model, with the vectors of known texts at hand."""

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        from lakecore.embeddings import LocalEmbedder

        self._model = LocalEmbedder()
        self._known = dict(zip(texts, vectors, strict=True))
        self.name, self.dimension = self._model.name, self._model.dimension

    def remember(self, texts: Iterable[str], vectors: Vectors) -> None:
        """More of them."""
        self._known |= dict(zip(texts, vectors, strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Known ones from memory."""
        if all(text in self._known for text in texts):
            return np.stack([self._known[text] for text in texts])
        return self._model.embed(texts)

    def get(self, name: str | None) -> Remembered:
        """As models are asked for."""
        return self

    def close(self) -> None:
        """It lives as long as the process."""


def run(_: Path) -> list[Result]:
    """All of it; prints a line for each."""
    results: list[Result] = []

    def told(result: Result) -> None:
        print(line(result), flush=True)
        results.append(result)

    texts = sentences(ROWS + QUERIES)
    rows = len(texts) - QUERIES
    vectors, result = _vectors(texts)
    told(result)
    queries, indexed = vectors[rows:], vectors[:rows]
    true = [set(one) for one in _exact(indexed, queries)]
    asked = list(zip(queries, texts[rows:], strict=True))
    with tempfile.TemporaryDirectory() as temp:
        for result in _ours(Path(temp) / "lake", texts[:rows], indexed, asked, true):
            told(result)
        for result in _lance(Path(temp) / "lance", indexed, asked, true):
            told(result)
    return results


def _vectors(texts: list[str]) -> tuple[Vectors, Result]:
    """All vectors, and what a thousand take; kept ones where there are some."""
    from lakecore.embeddings import LocalEmbedder

    model = LocalEmbedder()
    some = texts[:1_000]
    model.embed(some[:64])
    wall, cpu = _taken(lambda: model.embed(some))
    result = _line(
        f"embedding {len(some):,} texts, by {model.name.partition('@')[0]}",
        wall,
        reach=len(some) / 300,
        note=f"{cpu:.1f} CPU s",
    )
    place = Path(KEPT)
    if KEPT and place.is_file():
        found: Vectors = np.load(place)
        if len(found) >= len(texts):
            return found[: len(texts)], result
    found = np.concatenate([model.embed(texts[n : n + 512]) for n in range(0, len(texts), 512)])
    if KEPT:
        np.save(place, found)
    return found, result


def _ours(
    folder: Path,
    texts: list[str],
    vectors: Vectors,
    asked: list[tuple[Vectors, str]],
    true: list[set[int]],
) -> Iterator[Result]:
    count = len(texts)
    everything = [*texts, *(text for _, text in asked)]
    model = Remembered(everything, np.vstack([vectors, *(vector for vector, _ in asked)]))
    _search.Models = lambda *_: model  # type: ignore[assignment,misc]  # vectors at hand
    with lakecore.open(folder, actor="bench") as lake:
        lake.create("docs", key=["id"])
        lake.insert("docs", pa.table({"id": range(count), "text": texts}))
        indexes = lake._parts.indexes
        built: dict[str, float] = {}
        for kind in ("vector", "text", "hybrid"):
            wall, cpu = _taken(lambda kind=kind: lake.index.create(kind, "docs", "text", kind=kind))
            built[kind] = wall
            told = lake.index.get(kind)
            recall = "" if told["recall"] is None else f", recall {told['recall']:.3f} by itself"
            yield _line(
                f"build, {kind}, {count:,} rows (vectors at hand)",
                wall,
                reach=10.0 if kind == "vector" else None,
                note=f"{cpu:.1f} CPU s, {told['size_bytes'] / 2**20:.0f} MiB{recall}",
            )

        def of(kind: str, *, by_text: bool) -> Ask:
            def ask(vector: Vectors, text: str) -> Sequence[int]:
                given = {} if by_text else {"vector": vector}
                words = " ".join(_WORD.findall(text)) if by_text else None
                found = lake.search(kind, words, limit=COUNT, **given)
                return found.rows.column("id").to_pylist()

            return ask

        opened = indexes._open(indexes.get("vector"))

        def core(vector: Vectors, text: str) -> Sequence[int]:
            return [int(key) for key, _ in opened.nearest(vector, COUNT, None)]

        yield _asked("vector search, in the open index", core, asked, true, reach=0.001)
        yield _asked("the same, by lake.search(vector=…)", of("vector", by_text=False), asked, true)
        yield _asked("text, by lake.search", of("text", by_text=True), asked, None, reach=0.010)
        yield _asked("hybrid, by lake.search", of("hybrid", by_text=True), asked, None, reach=0.015)
        yield _filtered(lake, asked)
    with lakecore.open(folder, actor="bench") as lake:
        lake._parts.tables  # noqa: B018 - what it imports is not the index's time
        first, _ = _taken(lambda: lake.search("vector", vector=asked[0][0]))
        yield _line("first answer of a process that is running", first, reach=1.0)
        for kind in built:
            changed = range(0, count, int(1 / CHANGED))
            new = {n: f"{kind} {texts[n][::-1]}" for n in changed}
            lake.upsert("docs", pa.table({"id": list(new), "text": list(new.values())}))
            model.remember(new.values(), vectors[:: int(1 / CHANGED)])
            wall, cpu = _taken(lambda kind=kind: lake.index.refresh(kind))
            yield _line(
                f"refresh, {kind}, {len(changed):,} rows changed in all files",
                wall,
                peer="its build",
                peer_s=built[kind],
                reach=0.05,
                note=f"{cpu:.2f} CPU s; embedding is in neither",
            )


def _filtered(lake: Any, asked: list[tuple[Vectors, str]]) -> Result:
    def ask(vector: Vectors, text: str) -> Sequence[int]:
        found = lake.search("vector", vector=vector, limit=COUNT, where="id % 10 = 3")
        return found.rows.column("id").to_pylist()

    return _asked("vector search, where one row in ten may be found", ask, asked[:50], None)


def _lance(
    folder: Path, vectors: Vectors, asked: list[tuple[Vectors, str]], true: list[set[int]]
) -> Iterator[Result]:
    if find_spec("lancedb") is None:
        yield _line("LanceDB", 0.0, note="absent: pip install lancedb")
        return
    import lancedb

    rows = pa.table(
        {
            "id": range(len(vectors)),
            "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1]),
        }
    )
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "IVF_HNSW_SQ": ({"num_partitions": 1}, {"nprobes": 1, "ef": 200, "refine_factor": 3}),
        "IVF_PQ": (
            {"num_partitions": 256, "num_sub_vectors": 96},
            {"nprobes": 20, "refine_factor": 10},
        ),
    }
    for kind, (made, searched) in kinds.items():
        table = lancedb.connect(folder / kind).create_table("docs", rows)
        build = lambda: table.create_index(metric="cosine", index_type=kind, **made)  # noqa: B023, E731 - called at once
        wall, cpu = _taken(build)
        yield _line(f"LanceDB {kind}: build", wall, note=f"{cpu:.1f} CPU s")

        def ask(
            vector: Vectors, text: str, table: Any = table, searched: Any = searched
        ) -> Sequence[int]:
            query = table.search(vector).metric("cosine").select(["id"]).limit(COUNT)
            for name, value in searched.items():
                query = getattr(query, name)(value)
            return query.to_arrow().column("id").to_pylist()

        yield _asked(f"LanceDB {kind}: search", ask, asked, true)


def _asked(
    name: str,
    ask: Ask,
    asked: list[tuple[Vectors, str]],
    true: list[set[int]] | None,
    *,
    reach: float | None = None,
) -> Result:
    for vector, text in asked[:20]:
        ask(vector, text)
    times, hits = [], 0
    cpu = time.process_time()
    for number, (vector, text) in enumerate(asked):
        start = time.perf_counter()
        found = ask(vector, text)
        times.append(time.perf_counter() - start)
        hits += len(true[number] & set(found)) if true is not None else 0
    cpu = (time.process_time() - cpu) / len(asked)
    told = [] if true is None else [f"recall@{COUNT} {hits / (COUNT * len(asked)):.3f}"]
    told += [f"p99 {np.quantile(times, 0.99) * 1e3:.1f} ms", f"{cpu * 1e3:.2f} CPU ms"]
    return _line(name, statistics.median(times), reach=reach, note=", ".join(told))


def _line(
    name: str,
    seconds: float,
    *,
    reach: float | None = None,
    note: str = "",
    peer: str = "",
    peer_s: float | None = None,
) -> Result:
    ratio = None if not peer_s else seconds / peer_s
    return Result(name, seconds, peer_s, ratio, reach, 1, peer=peer, note=note)


def _taken(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and CPU seconds of the process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _exact(vectors: Vectors, queries: Vectors) -> list[list[int]]:
    products = queries @ vectors.T
    top = np.argpartition(products, -COUNT, axis=1)[:, -COUNT:]
    return [[int(one) for one in row] for row in top]
