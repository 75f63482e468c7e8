"""The pure parts: what comes next, what it costs, what was answered."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.llm import REASONS, Ask, Outcome, Output, Policy, Prices, Rung, Structured, nano_of
from lakecore.llm._day import Day
from lakecore.llm._outcome import Move, Walk
from lakecore.llm._reply import StreamReader, read_completion, read_error
from lakecore.llm._request import prepare
from lakecore.llm._tokens import Origin, measure, usage_of

PRICES = st.tuples(st.integers(0, 3), st.integers(0, 3))
URL = "http://127.0.0.1:9/v1"


def rungs_of(prices: list[tuple[int, int]], retries: int = 1) -> list[Rung]:
    """Rungs of these prices."""
    return [
        Rung(name=f"r{at}", base_url=URL, model="m", prices=Prices(*price), retries=retries)
        for at, price in enumerate(prices)
    ]


@given(
    st.lists(PRICES, max_size=6),
    st.lists(st.sampled_from(list(Outcome)), min_size=60, max_size=60),
    st.sets(st.sampled_from(REASONS)),
    st.lists(st.none() | st.floats(0, 100), min_size=60, max_size=60),
)
def test_every_walk_ends_and_never_climbs_in_silence(
    prices: list[tuple[int, int]],
    outcomes: list[Outcome],
    climb: set[Outcome],
    waits: list[float | None],
) -> None:
    """Whatever happens: bounded attempts, no rung twice, each rung left has its reason, and a
    dearer one was entered only for a reason that the policy names."""
    policy = Policy(climb=frozenset(climb), max_attempts=12)
    walk, step = Walk.begin(rungs_of(prices), policy)
    asked = [0]
    for at, outcome in enumerate(outcomes):
        if step.move is Move.END:
            break
        before = walk
        assert 0 <= step.pause_s <= policy.max_pause_s
        walk, step = walk.after(outcome, retry_after_s=waits[at])
        if walk.index != before.index:
            assert walk.index > before.index
            asked.append(walk.index)
            if walk.rung.prices.is_dearer_than(before.rung.prices):
                assert outcome in climb
    assert step.move is Move.END
    assert walk.attempts <= 12
    names = [left.rung for left in walk.left]
    assert len(set(names)) == len(names)
    assert all(left.reason in REASONS for left in walk.left)
    left_for_good = {walk.rungs[index].name for index in asked[:-1]}
    assert left_for_good <= set(names)


@given(st.sampled_from(list(Outcome)))
def test_each_outcome_alone(outcome: Outcome) -> None:
    """One rung, the same outcome for ever: as many attempts as the table allows."""
    walk, step = Walk.begin(rungs_of([(0, 0)], retries=3), Policy(repairs=2))
    count = 0
    while step.move is not Move.END:
        walk, step = walk.after(outcome, retry_after_s=0)
        count += 1
    expected = {"transport": 4, "rate": 4, "unparsable": 3, "schema": 3, "ungrounded": 3}
    assert count == expected.get(outcome, 1)
    assert step.outcome is outcome


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_costs_are_exact_and_never_below(p: int, c: int, prompt: int, completion: int) -> None:
    """Whole nano-dollars, rounded up by less than one; parts never cost less than the whole."""
    prices = Prices(p, c)
    cost = prices.cost_nano(prompt, completion)
    assert 0 <= cost * 1_000 - (p * prompt + c * completion) < 1_000
    assert prices.cost_nano(prompt, 0) + prices.cost_nano(0, completion) >= cost


@pytest.mark.parametrize("usd", [-1, "nan", "inf", "x", 10**12, "0.0000000001"])
def test_what_is_no_amount(usd: Any) -> None:
    """Is refused, as is what is finer than a nano-dollar."""
    with pytest.raises(InvalidInput):
        nano_of(usd)


@given(st.integers(0, 20_000), st.lists(st.integers(-(10**12), 10**12), max_size=30), st.data())
def test_two_budgets_at_most_within_a_day(start: int, jumps: list[int], data: Any) -> None:
    """However the wall clock jumps, days are opened at most twice within 24 hours of real time."""
    hour_us = 3_600 * 10**6
    wall, up = start * 24 * hour_us, 0
    day = Day.first(wall, up, "a")
    opened: list[int] = [0]
    for jump in jumps:
        passed = data.draw(st.integers(0, 20 * hour_us))
        up += passed
        wall = max(0, wall + passed + jump)
        found = day.at(wall, up, "a")
        if found != day:
            opened.append(up)
            day = found
    for first, _, third in zip(opened, opened[1:], opened[2:], strict=False):
        assert third - first >= 23 * hour_us
    assert date.fromisoformat(day.label)


@given(st.text(max_size=300), st.integers(1, 5))
def test_the_bound_is_above_the_estimate(text: str, count: int) -> None:
    """What is reserved is never less than what is counted where nobody says."""
    size = measure([{"role": "user", "content": text}] * count)
    assert size.least <= size.most
    assert size.estimate <= size.most
    assert size.text_bytes >= len(text.encode("utf-8", "surrogatepass")) * count
    usage = usage_of(None, size, answer_bytes=10**9, max_output=50)
    assert (usage.completion_tokens, usage.origin) == (50, Origin.ESTIMATE)


def test_images_are_counted_by_number() -> None:
    """The bytes of their URLs are no text."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    size = measure([{"role": "user", "content": [part, {"type": "text", "text": "what?"}]}])
    assert (size.media, size.text_bytes < 100) == (1, True)


READER = {
    "whole": (
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"a\xc3\xa9"}}]}\n\n',
            b": still here\r\n\r\n",
            b'data:{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\r\n\r\n',
            b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n',
            b"event: x\ndata: [DONE]\n\n",
        ],
        ("ok", "a\u00e9b", 4),
    ),
    "no done": (
        [b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n'],
        ("ok", "a", 1),
    ),
    "half": (
        [b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'],
        ("transport", "a", 1),
    ),
    "cut": ([b'data: {"choices":[{"index":0,"del'], ("transport", "", 0)),
    "broken": ([b'data: {"choices"\n\n'], ("transport", "", 0)),
    "error": ([b'data: {"error":{"message":"no","code":429}}\n\n'], ("rate", "", 0)),
    "filter": (
        [b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}\n'],
        ("refused", "", 0),
    ),
    "nothing": ([b""], ("transport", "", 0)),
    "odd": ([b'data: 5\ndata: {"choices":[5,{"delta":7}],"usage":null}\n'], ("transport", "", 0)),
}


@pytest.mark.parametrize("name", READER)
def test_streams_are_read_in_any_pieces(name: str) -> None:
    """Whole, and byte by byte, with the same result."""
    pieces, expected = READER[name]
    data = b"".join(pieces)
    prepared = prepare(Ask(messages=[{"role": "user", "content": "x"}]), rungs_of([(1, 1)])[0])
    found = []
    for size in (len(data) or 1, 1, 7):
        reader = StreamReader(prepared)
        chunks = []
        for at in range(0, len(data), size):
            chunks += list(reader.feed(data[at : at + size]))
        reply = reader.reply()
        assert (reply.outcome, reader.text, reply.answer_bytes) == expected
        found.append((chunks, reply))
    assert found[0] == found[1] == found[2]


MEMBERS = st.sampled_from(
    [
        *("choices", "message", "content", "error", "usage", "delta", "index", "finish_reason"),
        *("tool_calls", "function", "code", "refusal"),
    ]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_whatever_a_server_says_has_an_outcome(document: Any) -> None:
    """Any JSON as an answer, an error, a chunk: an outcome, and a usage that can be counted."""
    prepared = prepare(Ask(messages=[{"role": "user", "content": "x"}]), rungs_of([(1, 1)])[0])
    content = json.dumps(document).encode()
    reader = StreamReader(prepared)
    list(reader.feed(b"data: " + content + b"\n\n"))
    for reply in (read_completion(200, content), read_error(500, {}, document), reader.reply()):
        usage = reply.usage(prepared)
        assert usage is None or 0 <= usage.completion_tokens <= prepared.max_output
        settlement = reply.settlement(prepared, reply.outcome, reply.detail, 1.0)
        assert len(settlement.detail) <= 500


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (None, Structured.TEXT),
        ({"type": "text"}, Structured.TEXT),
        ({"type": "json_object"}, Structured.OBJECT),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, Structured.SCHEMA),
    ],
)
def test_forms_of_requests(given_: Any, expected: Structured) -> None:
    """As OpenAI has them."""
    assert Output.of_request(given_).form is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "ladder"},
        {"name": "A rung"},
        {"base_url": "ftp://x"},
        {"base_url": "http://user:secret@host/v1"},
        {"base_url": ""},
        {"model": ""},
    ],
)
def test_bad_rungs(changes: dict[str, Any]) -> None:
    """Are refused, and no secret is in the error."""
    with pytest.raises(InvalidInput) as caught:
        Rung(**{"name": "one", "base_url": URL, "model": "m", **changes})
    assert "secret@" not in str(caught.value)
