"""Calls against a real server: every way that an attempt can end, and what follows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.fakes.model_server import TEXT, Dial, counted, oracle, planned
from tests.unit.llm.conftest import ADA, Make, asked, attempts, rung

from lakecore.base import InvalidInput, NotFound
from lakecore.llm import (
    Ask,
    Outcome,
    Output,
    Policy,
    Prices,
    Structured,
)


def test_an_answer_is_counted_as_the_server_says(make: Make, tmp_path: Path) -> None:
    """Text, tokens, cost, and the row on disk."""
    with oracle() as server:
        answer = make(rung(server.url)).complete(asked(), ADA)
    assert (answer.outcome, answer.value, answer.rung) == (Outcome.OK, TEXT, "one")
    prompt, completion = counted(server.served[0].body, TEXT)
    assert (answer.prompt_tokens, answer.completion_tokens) == (prompt, completion)
    assert answer.cost_nano == prompt * 2_000 + completion * 8_000
    (row,) = attempts(tmp_path / "state")
    assert row["id"] == server.served[0].attempt_id
    assert row["call_id"] == answer.call_id
    assert (row["outcome"], row["tokens_from"], row["cost_nano"]) == (
        "ok",
        "provider",
        answer.cost_nano,
    )
    assert (row["actor"], row["key_id"], row["source"]) == ("ada", "key1", "test")
    assert row["reserved_nano"] >= row["cost_nano"]


@pytest.mark.parametrize(
    ("dial", "outcome", "requests"),
    [
        (Dial("500"), "transport", 2),
        (Dial("502"), "transport", 2),
        (Dial("408"), "transport", 2),
        (Dial("503"), "asleep", 1),
        (Dial("429", retry_after="0"), "rate", 2),
        (Dial("429", error={"message": "no", "code": "insufficient_quota"}), "budget", 1),
        (Dial("402"), "budget", 1),
        (Dial("400"), "refused", 1),
        (Dial("401"), "refused", 1),
        (Dial("404"), "refused", 1),
        (
            Dial("307", headers=("Location: http://127.0.0.1:9/v1/chat/completions",)),
            "transport",
            2,
        ),
        (Dial("broken"), "transport", 2),
        (Dial("half"), "transport", 2),
        (Dial("drop"), "transport", 2),
        (Dial("hang"), "transport", 2),
        (Dial(text=""), "unparsable", 2),
        (Dial(text="  \n"), "unparsable", 2),
        (Dial(message={"refusal": "I will not"}), "refused", 1),
        (Dial(finish="content_filter"), "refused", 1),
        (Dial(headers=("Content-Encoding: gzip",)), "transport", 2),
    ],
)
def test_every_way_to_fail_has_a_word(
    make: Make, tmp_path: Path, dial: Dial, outcome: str, requests: int
) -> None:
    """A typed outcome, as many requests as it allows, and each of them on record."""
    with oracle(planned(dial)) as server:
        answer = make(rung(server.url, timeout_s=0.3)).complete(asked(), ADA)
        assert [served.kind for served in server.served] == [dial.kind] * requests
    assert (answer.outcome, answer.value, answer.attempts) == (outcome, None, requests)
    assert answer.detail
    rows = attempts(tmp_path / "state")
    assert [row["outcome"] for row in rows] == [outcome] * requests
    assert [row["id"] for row in rows] == [served.attempt_id for served in server.served]
    assert answer.left[0].reason == outcome


@pytest.mark.parametrize("kind", ["500", "429", "half", "drop", "broken"])
def test_what_passes_is_tried_again(make: Make, tmp_path: Path, kind: str) -> None:
    """Once more at the same rung, and both attempts are on record."""
    with oracle(planned(Dial(kind), Dial())) as server:
        answer = make(rung(server.url)).complete(asked(), ADA)
    assert (answer.ok, answer.attempts, answer.left) == (True, 2, ())
    assert [row["outcome"] for row in attempts(tmp_path / "state")][1] == "ok"


def test_retry_after_is_honoured(make: Make) -> None:
    """Not a moment earlier than the server said; what is asked for beyond the bound is left."""
    with oracle(planned(Dial("429", retry_after="1"), Dial())) as server:
        ladder = make(rung(server.url))
        began_s = time.monotonic()
        assert ladder.complete(asked(), ADA).ok
        assert time.monotonic() - began_s >= 1.0
        server.plan = planned(Dial("429", retry_after="3600"))
        began_s = time.monotonic()
        answer = ladder.complete(asked(), ADA)
        assert time.monotonic() - began_s < 1.0
        assert (answer.outcome, answer.retry_after_s) == (Outcome.RATE, 3600.0)
        # Nobody else of this machine asks meanwhile, either.
        count = len(server.served)
        assert ladder.complete(asked(), ADA).outcome is Outcome.RATE
        assert len(server.served) == count


def test_a_rung_is_left_for_the_next(make: Make, tmp_path: Path) -> None:
    """With the reason, in the answer and in the row of the attempt that followed."""
    with oracle(planned("503")) as first, oracle() as second:
        ladder = make(rung(first.url), rung(second.url, "two"))
        answer = ladder.complete(asked(), ADA)
    assert (answer.ok, answer.rung) == (True, "two")
    assert [(left.rung, left.reason) for left in answer.left] == [("one", "asleep")]
    rows = attempts(tmp_path / "state")
    assert [row["rung"] for row in rows] == ["one", "two"]
    assert '"reason":"asleep"' in rows[1]["left_rungs"]


@pytest.mark.parametrize(
    ("dial", "climb", "climbs"),
    [
        ("500", ["transport"], True),
        ("500", ["rate", "asleep"], False),
        ("503", ["asleep"], True),
        ("503", [], False),
        ("400", ["transport"], False),
        ("400", ["refused"], True),
    ],
)
def test_a_dearer_rung_is_entered_by_policy_alone(
    make: Make, dial: str, climb: list[str], climbs: bool
) -> None:
    """Whatever fails: without the word in the policy nothing is sent to a dearer rung."""
    policy = Policy(climb=frozenset(map(Outcome, climb)), backoff_s=0.01)
    with oracle(planned(dial)) as first, oracle() as second, oracle() as third:
        rungs = [
            rung(first.url, prices=Prices.of_usd(1, 1)),
            rung(second.url, "dear", prices=Prices.of_usd(1, 2)),
            rung(third.url, "cheap", prices=Prices.of_usd(1, "0.5")),
        ]
        answer = make(*rungs, policy=policy).complete(asked(), ADA)
        assert answer.rung == ("dear" if climbs else "cheap")
        assert len(second.served) == climbs
    if not climbs:
        assert "dearer than one" in answer.left[1].detail


def test_no_rung_no_key_no_network(make: Make, tmp_path: Path) -> None:
    """Typed, on record, and nothing is sent."""
    answer = make().complete(asked(), ADA)
    assert (answer.outcome, answer.rung, answer.attempts) == (Outcome.NO_RUNG, "", 0)
    answer = make(rung("http://127.0.0.1:9/v1", key_missing="OPENAI_API_KEY")).complete(
        asked(), ADA
    )
    assert answer.outcome is Outcome.REFUSED
    assert "OPENAI_API_KEY" in answer.detail
    answer = make(rung("http://127.0.0.1:9/v1")).complete(asked(), ADA)
    assert (answer.outcome, answer.cost_nano) == (Outcome.ASLEEP, 0)
    rows = attempts(tmp_path / "state")
    assert [row["outcome"] for row in rows] == ["no_rung", "refused", "asleep"]
    assert [row["is_sent"] for row in rows] == [0, 0, 1]


def test_a_rung_that_is_not_there(make: Make) -> None:
    """The error names those that are."""
    with pytest.raises(NotFound, match="ladder, one"):
        make(rung("http://127.0.0.1:9/v1")).complete(asked(model="gpt-9"), ADA)


def test_a_named_rung_is_asked_alone(make: Make) -> None:
    """Nothing else is entered when it fails."""
    with oracle(planned("400")) as first, oracle() as second:
        ladder = make(rung(first.url), rung(second.url, "two"))
        answer = ladder.complete(asked(model="one"), ADA)
        assert answer.outcome is Outcome.REFUSED
        assert second.served == []
        assert ladder.complete(asked(model="two"), ADA).ok


@pytest.mark.parametrize(
    "ask",
    [
        Ask(messages=[]),
        Ask(messages="hello"),  # type: ignore[arg-type]  # bad on purpose
        Ask(messages=[{"content": "x"}]),
        Ask(messages=["x"]),  # type: ignore[list-item]  # bad on purpose
        asked(parameters={"service_tier": "priority"}),
        asked(parameters={"n": 0}),
        asked(parameters={"n": 1_000}),
        asked(max_output_tokens=0),
        asked(output=Output(Structured.SCHEMA, {"type": "nonsense"})),
        asked(output=Output(Structured.SCHEMA, {"$ref": "http://127.0.0.1/x"})),
    ],
)
def test_bad_calls_are_refused(make: Make, ask: Ask) -> None:
    """Before anything is reserved or sent."""
    with oracle() as server, pytest.raises(InvalidInput):
        make(rung(server.url)).complete(ask, ADA)
    assert server.served == []


def test_a_call_may_have_an_order_of_its_own(make: Make) -> None:
    """The rungs that it names, then the others; the next call is asked as settings have it."""
    with oracle(planned(Dial("400"))) as server:
        ladder = make(*(rung(server.url, name) for name in ("one", "two", "three")))
        for order, expected in (
            ((), ["one", "two", "three"]),
            (("three",), ["three", "one", "two"]),
            (("two", "three", "one"), ["two", "three", "one"]),
            ((), ["one", "two", "three"]),
        ):
            ask = Ask(messages=[{"role": "user", "content": "hi"}], order=order)
            answer = ladder.complete(ask, ADA)
            assert [left.rung for left in answer.left] == expected
        for order, error in ((("four",), NotFound), (("one", "one"), InvalidInput)):
            with pytest.raises(error):
                ladder.complete(Ask(messages=[{"role": "user", "content": "hi"}], order=order), ADA)
