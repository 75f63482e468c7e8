"""Trees, windows, cursors and figures."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from lakecore.base import InvalidInput
from lakecore.observer import _questions as questions
from lakecore.observer._tree import cut, depth_of, tree_of

NOW_US = 1_700_000_000_000_000


def span(span_id: str, parent_id: str | None, time: int = 0) -> dict[str, Any]:
    return {"span_id": span_id, "parent_id": parent_id, "time": time, "name": span_id}


def count(roots: list[dict[str, Any]]) -> int:
    return sum(1 + count(root["children"]) for root in roots)


def test_a_tree_in_any_order() -> None:
    """Children before parents, a span twice, a parent that is not there."""
    rows = [span("c", "b", 3), span("b", "a", 2), span("a", None, 1), span("x", "gone", 4)]
    rows += [span("c", "b", 9)]
    roots = tree_of(rows)
    assert [root["name"] for root in roots] == ["a", "x"]
    assert roots[0]["children"][0]["children"][0]["name"] == "c"
    assert (count(roots), depth_of(roots)) == (4, 3)


@pytest.mark.parametrize(
    "rows",
    [
        [span("a", "a")],
        [span("a", "b"), span("b", "a")],
        [span("a", "b"), span("b", "c"), span("c", "a"), span("d", "a")],
    ],
)
def test_circles_are_opened(rows: list[dict[str, Any]]) -> None:
    """Every span is there once, whatever parents say."""
    roots = tree_of(rows)
    assert count(roots) == len(rows)
    assert [root["name"] for root in roots] == ["a"]


def test_random_parents() -> None:
    """Any parents at all give a forest of all spans."""
    chance = random.Random(3)
    for _ in range(200):
        names = [str(n) for n in range(12)]
        rows = [span(name, chance.choice([None, *names])) for name in names]
        assert count(tree_of(rows)) == 12


def test_a_deep_tree_is_cut() -> None:
    """Ten thousand levels, in linear time and without recursion."""
    rows = [span(f"{n:05d}", f"{n - 1:05d}" if n else None, n) for n in range(10_000)]
    roots = tree_of(rows)
    cut(roots, 100)
    assert depth_of(roots) == 100


def test_windows() -> None:
    """The last hour by default; what is asked for has bounds."""
    asked = questions.window(None, None, None, now_us=NOW_US)
    assert (asked.seconds, asked.bucket_s) == (3_600, 60)
    year = questions.window(NOW_US / 1e6 - 365 * 86_400, None, None, now_us=NOW_US)
    assert year.seconds / year.bucket_s <= questions.MAX_BUCKETS
    old = questions.window(0, None, None, now_us=NOW_US)
    assert old.seconds / old.bucket_s <= questions.MAX_BUCKETS
    with pytest.raises(InvalidInput, match="ends before"):
        questions.window(10, 5, None, now_us=NOW_US)
    with pytest.raises(InvalidInput, match="too many steps"):
        questions.window(None, None, 1, now_us=NOW_US)


def test_nothing_given_is_in_the_sql() -> None:
    """Filters are parameters; a filter that is none is refused."""
    asked = questions.window(None, None, None, now_us=NOW_US)
    nasty = "x' or '1' = '1"
    for page in (questions.event_page, questions.trace_page):
        sql, params = page(asked, {"source": nasty}, None, 10)
        assert nasty not in sql
        assert params["source"] == nasty
        with pytest.raises(InvalidInput, match="not a filter"):
            page(asked, {"time; drop": "x"}, None, 10)
        for cursor in ("!", "", "eA", "MTIz"):
            with pytest.raises(InvalidInput, match="not a cursor"):
                page(asked, {}, cursor, 10)


def test_figures() -> None:
    """Events and spans of one source are counted together; rates are a second's."""
    asked = questions.window(None, None, None, now_us=NOW_US)
    bucket = datetime(2023, 11, 14, 22, 13, tzinfo=UTC)
    event = {"source": "a", "kind": "k", "bucket": bucket, "n": 36, "errors": 1}
    span = {**event, "kind": "generation", "prompt_tokens": 5, "completion_tokens": 2}
    found = questions.stats_of(asked, [event], [{**span, "cost_usd": 0.5}])
    assert (found["events"], found["spans"], found["errors"]) == (36, 36, 2)
    assert (found["by_source"], found["rates_per_s"]) == ({"a": 72}, {"a": 0.02})
    assert [pair["rate_per_s"] for pair in found["by_kind"]] == [0.01, 0.01]
    assert (found["prompt_tokens"], found["cost_usd"]) == (5, 0.5)
    assert found["buckets"][0]["rate_per_s"] == 0.6
    many = [{**event, "source": f"s{n}"} for n in range(questions.MAX_GROUPS + 1)]
    assert questions.stats_of(asked, many, [])["is_cut"]
