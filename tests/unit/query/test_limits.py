"""Time, memory, rows: bounded, and everything is freed at the end."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fakes.delta_lake import DeltaLake

from lakecore.base import InvalidInput, Refused, Unavailable
from lakecore.query import QueryEngine, QuerySettings

PAIRS = "select count(*) from numbers a, numbers b, numbers c where a.n * b.n > c.n"
"""8 * 10^12 pairs: DataFusion cannot interrupt it."""

ENDLESS = "select count(*) from generate_series(1, 1000000000000) where value % 7 = 3"


def _seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def _wait_until_empty(folder: Path) -> bool:
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        if not folder.exists() or not list(folder.iterdir()):
            return True
        time.sleep(0.02)
    return False


def _expect_unavailable(engine: QueryEngine, query: str, message: str, **limits: float) -> None:
    with pytest.raises(Unavailable, match=message):
        engine.sql(query, **limits).to_arrow()  # type: ignore[arg-type]  # numbers


@pytest.mark.parametrize("query", [PAIRS, ENDLESS])
def test_the_time_limit_stops_a_query(engine: QueryEngine, query: str, spill: Path) -> None:
    """Within a second of the limit the caller goes on, and so do the next queries."""
    took = _seconds(lambda: _expect_unavailable(engine, query, "time limit", timeout_s=0.5))
    assert 0.4 < took < 1.6
    assert engine.sql("select count(*) n from planes", timeout_s=30).to_pylist() == [{"n": 4}]
    assert _wait_until_empty(spill)


def test_the_work_stops_with_the_query(engine: QueryEngine, spill: Path) -> None:
    """After the limit no processor is busy with the cross join any more."""
    _expect_unavailable(engine, PAIRS, "time limit", timeout_s=1.0)
    time.sleep(0.5)
    before = os.times()
    time.sleep(0.5)
    after = os.times()
    assert after.user - before.user < 0.4
    assert after.children_user >= 0
    assert not list(spill.iterdir())


def test_a_result_that_nobody_reads_ends_at_its_limit(engine: QueryEngine, spill: Path) -> None:
    """The limit counts from the call, whoever sleeps."""
    engine.sql("select 1 from numbers a, numbers b limit 1", timeout_s=60).to_arrow()
    result = engine.sql(PAIRS, timeout_s=1.0)
    time.sleep(1.5)
    with pytest.raises(Unavailable, match="time limit"):
        result.to_arrow()
    assert _wait_until_empty(spill)


@pytest.mark.parametrize("limits", [{}, {"timeout_s": 60.0}])
@pytest.mark.parametrize("query", [PAIRS, ENDLESS])
def test_cancel_from_another_thread(
    lake: DeltaLake, spill: Path, query: str, limits: dict[str, float]
) -> None:
    """Who reads is freed at once, with or without a time limit."""
    isolation = "auto" if limits or query == ENDLESS else "always"
    settings = QuerySettings(spill_directory=spill, isolation=isolation)  # type: ignore[arg-type]  # a literal
    with QueryEngine(lake, settings) as engine:
        result = engine.sql(query, **limits)  # type: ignore[arg-type]  # numbers
        timer = threading.Timer(0.3, result.cancel)
        timer.start()

        def read() -> None:
            with pytest.raises(Unavailable, match="cancelled"):
                result.to_arrow()

        assert _seconds(read) < 1.5
        timer.join()
        result.cancel()  # once more: nothing to do
        assert _wait_until_empty(spill)


@pytest.mark.parametrize("isolation", ["never", "always"])
def test_cancel_before_reading(lake: DeltaLake, spill: Path, isolation: str) -> None:
    """A result that was cancelled gives no rows."""
    settings = QuerySettings(spill_directory=spill, isolation=isolation)  # type: ignore[arg-type]  # a literal
    with QueryEngine(lake, settings) as engine:
        result = engine.sql("select * from numbers")
        result.cancel()
        with pytest.raises(Unavailable, match="cancelled"):
            result.to_arrow()


def test_after_a_runaway_queries_are_isolated(
    engine: QueryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped query that still computes must not starve the next ones."""
    monkeypatch.setattr(engine._runaways, "busy", lambda: True)
    with engine.sql("select count(*) n from planes") as result:
        assert type(result._stream).__name__ == "IsolatedStream"
        assert result.to_pylist() == [{"n": 4}]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("select length(repeat('x', 10))", "IsolatedStream"),
        ("select lpad(name, 9) from (select 'x' as name)", "IsolatedStream"),
        ("select array_repeat(1, 3)", "IsolatedStream"),
        ("select count(*) as repeat", "LocalStream"),
        ("select count(*) from generate_series(1, 3)", "LocalStream"),
    ],
)
def test_functions_that_swell_are_isolated(engine: QueryEngine, query: str, where: str) -> None:
    """Under a time limit: in one step they make more than any limit of memory counts."""
    with engine.sql(query, timeout_s=20) as result:
        assert type(result._stream).__name__ == where
        assert len(result.to_pylist()) == 1


def test_chains_of_operators_cannot_end_this_process(engine: QueryEngine) -> None:
    """Long ones run elsewhere; one that overflows even that stack is the statement's fault."""
    assert engine.sql("select " + "+".join(["1"] * 700) + " as s").to_pylist() == [{"s": 700}]
    with pytest.raises(InvalidInput, match="stack"):
        engine.sql("select " + "+".join(["1"] * 30_000)).to_arrow()


@pytest.mark.parametrize("link", ["::int", " is null", "+1", " or 1 in (1)", " at time zone 'UTC'"])
def test_every_kind_of_chain_is_suspect(engine: QueryEngine, link: str) -> None:
    """What makes a deep tree is counted; what is only long is not."""
    assert engine._suspect("select 1" + link * 501)
    assert not engine._suspect("select 1 in (" + ",".join(map(str, range(5_000))) + ")")
    assert engine._suspect("select 1" + " " * (1 << 16))


@pytest.mark.parametrize("isolation", ["never", "always"])
def test_rows_are_cut_off(lake: DeltaLake, spill: Path, isolation: str) -> None:
    """`truncated` says whether there was more; a result of just that size is whole."""
    settings = QuerySettings(spill_directory=spill, isolation=isolation)  # type: ignore[arg-type]  # a literal
    with QueryEngine(lake, settings) as engine:
        for max_rows, truncated in ((0, True), (3, True), (19_999, True), (20_000, False)):
            result = engine.sql("select n from numbers order by n", max_rows=max_rows)
            assert result.to_arrow().num_rows == result.row_count == min(max_rows, 20_000)
            assert result.truncated is truncated
        assert engine.sql("describe planes", max_rows=2).to_arrow().num_rows == 2


def test_what_does_not_fit_in_memory_is_spilled(engine: QueryEngine, lake: DeltaLake) -> None:
    """A sort of more text than memory: one that keeps it all would be refused."""
    rows = pa.table({"n": range(600_000), "text": [f"{i:0100d}" for i in range(600_000)]})
    lake.write("wide", rows)
    query = "select * from wide order by text desc"
    found = engine.sql(query, memory_limit_bytes=64 << 20).to_arrow()
    assert found["n"].to_pylist() == list(range(599_999, -1, -1))


def test_what_cannot_be_spilled_is_refused(engine: QueryEngine, spill: Path) -> None:
    """The error says which limit to raise."""
    query = "select array_agg(a.n * 1000 + b.n) from numbers a, numbers b where b.n < 200"
    with pytest.raises(Refused) as caught:
        engine.sql(query, memory_limit_bytes=4 << 20).to_arrow()
    assert "memory_limit_bytes" in (caught.value.hint or "")
    assert _wait_until_empty(spill)


@pytest.mark.parametrize(
    "limits", [{"timeout_s": 0.0}, {"timeout_s": -1.0}, {"max_rows": -1}, {"memory_limit_bytes": 9}]
)
def test_limits_have_a_least(engine: QueryEngine, limits: dict[str, int]) -> None:
    """Nonsense is refused before it runs."""
    with pytest.raises(InvalidInput, match="a limit is too small"):
        engine.sql("select 1", **limits)  # type: ignore[arg-type]  # numbers


def test_settings_are_the_default(lake: DeltaLake) -> None:
    """The engine's limits hold where the call has none of its own."""
    with QueryEngine(lake, QuerySettings(max_rows=2)) as engine:
        assert engine.sql("select * from numbers").to_arrow().num_rows == 2
        assert engine.sql("select * from numbers", max_rows=5).to_arrow().num_rows == 5


@pytest.mark.parametrize("isolation", ["never", "always"])
def test_open_results_free_what_they_hold(lake: DeltaLake, spill: Path, isolation: str) -> None:
    """Closed, left, forgotten half read, failed, finished: no folder stays behind."""
    settings = QuerySettings(spill_directory=spill, isolation=isolation)  # type: ignore[arg-type]  # a literal
    query = "select a.n from numbers a, numbers b"
    with QueryEngine(lake, settings) as engine:
        engine.sql(query).close()
        with engine.sql(query) as result:
            next(iter(result))
        next(iter(engine.sql(query)))
        engine.sql(query)
        with pytest.raises(InvalidInput):
            engine.sql("select 1 / (n - n) from numbers").to_arrow()
        with pytest.raises(InvalidInput):
            engine.sql("selec")
        engine.sql("select 1").to_arrow()
        gc.collect()
        give_up_at = time.monotonic() + 10
        while engine._runaways.busy() and time.monotonic() < give_up_at:
            time.sleep(0.02)
        assert _wait_until_empty(spill)


def test_processes_are_used_again(lake: DeltaLake, spill: Path) -> None:
    """The second isolated query does not wait for a start; a closed engine leaves no process."""
    engine = QueryEngine(lake, QuerySettings(isolation="always", spill_directory=spill))
    engine.sql("select 1").to_arrow()
    (process,) = engine._processes._idle
    assert engine.sql("select count(*) n from planes").to_pylist() == [{"n": 4}]
    assert engine._processes._idle == [process]
    engine.close()
    assert not process.alive()


def test_tables_of_this_process_alone_run_here(lake: DeltaLake) -> None:
    """What another process cannot open is no reason to fail."""

    class Own:
        def __init__(self, table: object) -> None:
            self._table = table

        def __datafusion_table_provider__(self, session: object) -> object:
            return self._table.__datafusion_table_provider__(session)  # type: ignore[attr-defined]  # a DeltaTable

    lake.others["main", "own"] = Own(lake.table("main", "planes"))
    with QueryEngine(lake, QuerySettings(isolation="always")) as engine:
        assert engine.sql("select count(*) n from own").to_pylist() == [{"n": 4}]
