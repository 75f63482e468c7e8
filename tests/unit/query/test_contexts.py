"""Contexts that are kept for the next query: what they know is never older than the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakecore.base import LakecoreError
from lakecore.query import ParquetFiles, QueryEngine, QuerySettings

SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.string())])


class Files:
    """`main.log`: the Parquet files of a folder, as they are now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, numbers: range, word: str = "a") -> None:
        table = pa.table({"n": list(numbers), "word": [word] * len(numbers)}, SCHEMA)
        new = self.folder / "new"
        pq.write_table(table, new)
        new.rename(self.folder / f"{name}.parquet")

    def schemas(self) -> list[str]:
        return ["main"]

    def tables(self, schema: str) -> list[str]:
        return ["log", "memory"]

    def table(self, schema: str, name: str, *, version: Any = None, time: Any = None) -> Any:
        if name == "memory":
            return pa.table({"n": [7]})
        paths = sorted(self.folder.glob("*.parquet"))
        return ParquetFiles(paths=paths, sort_by=["n"], schema=SCHEMA) if name == "log" else None


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Two files: 0 to 9, 10 to 19."""
    (tmp_path / "files").mkdir()
    found = Files(tmp_path / "files")
    found.write("a", range(10))
    found.write("b", range(10, 20))
    return found


@pytest.fixture
def engine(files: Files, tmp_path: Path) -> Iterator[QueryEngine]:
    """An engine over them."""
    settings = QuerySettings(spill_directory=tmp_path / "spill", isolation="never")
    with QueryEngine(files, settings) as engine:
        yield engine


def numbers(engine: QueryEngine, condition: str = "true", **limits: Any) -> list[int]:
    found = engine.sql(f"select n from log where {condition}", **limits).to_pydict()["n"]
    return sorted(found)


def test_a_context_is_kept(engine: QueryEngine) -> None:
    """Of a query of files that came to its end; the next one takes the same."""
    numbers(engine)
    (first,) = engine._contexts._idle
    assert numbers(engine, "n > 17") == [18, 19]
    (second,) = engine._contexts._idle
    assert second.context is first.context
    assert engine.sql("select n from memory").to_pydict() == {"n": [7]}
    assert engine._contexts._idle == [second]


def test_only_with_the_same_limits(engine: QueryEngine) -> None:
    """A context has its memory limit for life; so few are kept, whatever the limits."""
    for limit in (1 << 24, 1 << 25, 1 << 26):
        assert numbers(engine, "n < 2", memory_limit_bytes=limit) == [0, 1]
    limits = [kept.bounds.memory_limit_bytes for kept in engine._contexts._idle]
    assert limits == [1 << 25, 1 << 26]


def test_files_that_come_go_and_change_are_seen(engine: QueryEngine, files: Files) -> None:
    """Also one of the same name and size."""
    assert numbers(engine) == list(range(20))
    files.write("c", range(20, 30))
    assert numbers(engine) == list(range(30))
    files.write("a", range(100, 110))
    assert numbers(engine, "n > 90") == list(range(100, 110))
    assert numbers(engine, "n < 5") == []
    (files.folder / "b.parquet").unlink()
    assert numbers(engine) == [*range(20, 30), *range(100, 110)]


def test_what_was_left_is_not_kept(engine: QueryEngine) -> None:
    """It may still compute, and nothing of it is wanted by the next query."""
    engine.sql("select n from log").close()
    assert engine._contexts._idle == []
    with pytest.raises(LakecoreError):
        engine.sql("select n / 0 from log").to_arrow()
    assert engine._contexts._idle == []
    assert numbers(engine, "n < 1") == [0]


def test_nothing_of_a_query_stays(engine: QueryEngine, tmp_path: Path) -> None:
    """Neither its tables nor its folder; a folder in the way costs the context, no answer."""
    numbers(engine)
    (kept,) = engine._contexts._idle
    assert list((tmp_path / "spill").iterdir()) == []
    assert kept.context is not None
    with pytest.raises(Exception, match="not found"):
        kept.context.sql("select n from log")
    kept.scratch.mkdir()
    (kept.scratch / "theirs").touch()
    assert numbers(engine, "n < 1") == [0]
    assert (kept.scratch / "theirs").exists()


def test_two_queries_at_a_time(engine: QueryEngine) -> None:
    """Each has a context to itself."""
    numbers(engine)
    one = engine.sql("select n from log order by n")
    two = engine.sql("select n from log order by n desc")
    assert one.to_pydict()["n"] == list(range(20))
    assert two.to_pydict()["n"] == list(range(20))[::-1]
    assert len({kept.scratch for kept in engine._contexts._idle}) == 2


def test_texts_are_texts(engine: QueryEngine) -> None:
    """Files are read as views of texts; a result has the types that the table has."""
    found = engine.sql("select * from log order by n desc limit 1").to_arrow()
    assert found.schema.types == [pa.int64(), pa.string()]
    assert found.to_pylist() == [{"n": 19, "word": "a"}]
