"""Calls against a real server: every way that an attempt can end, and what follows."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import TEXT, Dial, answering, counted, oracle, planned
from tests.unit.llm.conftest import ADA, PRICES, Make, asked, attempts, rung

from lakecore.base import InvalidInput, NotFound
from lakecore.llm import (
    AnswerStream,
    Ask,
    Budgets,
    Circuit,
    Ledger,
    Outcome,
    Output,
    Policy,
    Prices,
    Structured,
)

SCHEMA = {
    "type": "object",
    "properties": {"seats": {"type": "integer", "minimum": 0}},
    "required": ["seats"],
    "additionalProperties": False,
}
SEATS = Output(Structured.SCHEMA, SCHEMA)


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


# -- the form of answers ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"seats": 55}', {"seats": 55}),
        ('```json\n{"seats": 55}\n```', {"seats": 55}),
        (' {"seats": 55}\n', {"seats": 55}),
    ],
)
def test_json_of_a_schema(make: Make, text: str, value: Any) -> None:
    """The value; the server is told the schema."""
    with oracle(planned(answering(text))) as server:
        answer = make(rung(server.url)).complete(asked(output=SEATS), ADA)
    assert answer.value == value
    told = server.served[0].body["response_format"]
    assert told["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize(
    ("bad", "outcome"),
    [
        ("about 55", "unparsable"),
        ('{"seats": 55', "unparsable"),
        ('{"seats": NaN}', "unparsable"),
        ("[" * 100_000, "unparsable"),
        ('{"seats": "many"}', "schema"),
        ('{"seats": -1}', "schema"),
        ("{}", "schema"),
        ("[1]", "schema"),
    ],
)
def test_a_missed_form_is_repaired_once(make: Make, bad: str, outcome: str) -> None:
    """The model is told what was wrong; another miss ends in a typed outcome."""
    with oracle(planned(answering(bad), answering('{"seats": 55}'))) as server:
        answer = make(rung(server.url)).complete(asked(output=SEATS), ADA)
        assert (answer.value, answer.attempts) == ({"seats": 55}, 2)
        repair = server.served[1].body["messages"]
        assert repair[-2] == {"role": "assistant", "content": bad}
        assert repair[-1]["content"].startswith("That answer cannot be used: ")
        server.plan = planned(answering(bad))
        answer = make(rung(server.url)).complete(asked(output=SEATS), ADA)
        assert (answer.outcome, answer.value, answer.attempts) == (outcome, None, 2)


def test_a_rung_without_schemas_is_told_in_words(make: Make) -> None:
    """As JSON object, or as nothing but text, with the schema in the prompt."""
    for served, told in ((Structured.OBJECT, {"type": "json_object"}), (Structured.TEXT, None)):
        with oracle(planned(answering('{"seats": 1}'))) as server:
            ladder = make(rung(server.url, structured=served))
            assert ladder.complete(asked(output=SEATS), ADA).value == {"seats": 1}
        body = server.served[0].body
        assert body.get("response_format") == told
        assert '"minimum": 0' in body["messages"][0]["content"]


def test_a_callers_own_check(make: Make) -> None:
    """What nothing backs is `ungrounded`: repaired, then climbed for."""

    def check(value: Any) -> str | None:
        return None if value["seats"] == 55 else f"no source has {value['seats']} seats"

    output = Output(Structured.SCHEMA, SCHEMA, check=check)
    dear = Prices.of_usd(9, 9)
    with (
        oracle(planned(answering('{"seats": 7}'))) as one,
        oracle(planned(answering('{"seats": 55}'))) as two,
    ):
        answer = make(rung(one.url), rung(two.url, "two", prices=dear)).complete(
            asked(output=output), ADA
        )
    assert (answer.value, answer.rung, answer.attempts) == ({"seats": 55}, "two", 3)
    assert answer.left[0].reason is Outcome.UNGROUNDED
    assert "no source has 7" in one.served[1].body["messages"][-1]["content"]


def test_schemas_of_strangers_cannot_hold_a_processor(make: Make) -> None:
    """Neither by a regular expression nor by references that multiply."""
    bomb: dict[str, Any] = {"$defs": {"x0": {"type": "integer"}}, "$ref": "#/$defs/x40"}
    for at in range(40):
        inner = [{"$ref": f"#/$defs/x{at}"}] * 2
        bomb["$defs"][f"x{at + 1}"] = {"allOf": inner}
    slow = {"type": "string", "pattern": "^(a+)+$"}
    for schema, text in ((bomb, "1"), (slow, '"' + "a" * 40 + 'b"')):
        asks = Output.of_request(
            {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        )
        with oracle(planned(answering(text))) as server:
            began_s = time.process_time()
            answer = make(rung(server.url)).complete(asked(output=asks), ADA)
        assert time.process_time() - began_s < 20
        assert answer.outcome in (Outcome.OK, Outcome.SCHEMA)


def test_tools_are_passed_on(make: Make) -> None:
    """As they are, arguments that do not parse too: whoever asked looks at them."""
    calls = [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "no_such_tool", "arguments": '{"x": '},
        }
    ]
    tools = [{"type": "function", "function": {"name": "sql", "parameters": {}}}]
    dial = Dial(text="", message={"tool_calls": calls}, finish="tool_calls")
    with oracle(planned(dial)) as server:
        answer = make(rung(server.url)).complete(asked(parameters={"tools": tools}), ADA)
    assert server.served[0].body["tools"] == tools
    (call,) = answer.tool_calls
    assert (answer.ok, call.name, call.arguments) == (True, "no_such_tool", '{"x": ')


# -- limits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "usage",
    [
        "none",
        [],
        {},
        {"prompt_tokens": "5", "completion_tokens": 5},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 10**9},
        {"prompt_tokens": 10**12, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 7},
        {"prompt_tokens": 5, "completion_tokens": True},
        {"prompt_tokens": 5, "completion_tokens": 1.5},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
)
def test_wrong_usage_is_not_believed(make: Make, tmp_path: Path, usage: Any) -> None:
    """The stated estimate counts instead, and is marked; what was said is kept beside."""
    text = "x" * 300
    with oracle(planned(answering(text, usage=usage))) as server:
        answer = make(rung(server.url)).complete(asked("a" * 300), ADA)
    (row,) = attempts(tmp_path / "state")
    assert row["tokens_from"] == "estimate"
    assert row["completion_tokens"] == 100
    read = len("a" * 300 + "user" + "role" + "content")
    assert row["prompt_tokens"] == -(-read // 3) + 4
    assert answer.cost_nano == row["cost_nano"] > 0
    assert (row["reported"] == "") == (usage == "none")
    assert make(rung(server.url)).usage().total.estimated == 1


def test_an_answer_without_an_end(make: Make, tmp_path: Path) -> None:
    """A request that nobody answered counts as the most that it can have cost."""
    with oracle(planned("hang")) as server:
        answer = make(rung(server.url, timeout_s=0.2, retries=0)).complete(asked(), ADA)
    (row,) = attempts(tmp_path / "state")
    assert (row["tokens_from"], row["cost_nano"]) == ("reserved", row["reserved_nano"])
    assert answer.cost_nano == row["reserved_nano"]


def test_budgets_stop_before_they_are_passed(make: Make) -> None:
    """Of a call, a run, a key, a day: the next request is not sent."""
    with oracle() as server:
        one = rung(server.url, max_output_tokens=100)
        most = make(one).complete(asked(), ADA).cost_nano
        reserve = 100 * 8_000 + (49 + 64 + 1_024) * 2_000
        for budgets, by in (
            (Budgets(call_nano=reserve // 2), ADA),
            (Budgets(run_nano=reserve + 3 * most), ADA.__class__(actor="x", run="r1")),
            (Budgets(key_nano=reserve + 3 * most), ADA.__class__(actor="y", key="k2")),
            (Budgets(day_nano=reserve + 10 * most), ADA.__class__(actor="z")),
        ):
            ladder = make(one, budgets=budgets)
            answers = [ladder.complete(asked(), by) for _ in range(20)]
            denied = [answer for answer in answers if not answer.ok]
            assert denied
            assert {answer.outcome for answer in denied} == {Outcome.BUDGET}
            assert "USD" in denied[0].detail
        total = ladder.usage().total
        assert total.cost_nano <= reserve + 10 * most
        assert total.requests == len(server.served)


def test_what_costs_nothing_needs_no_budget(make: Make) -> None:
    """A budget of nothing forbids what costs, and nothing else."""
    nothing = Budgets(call_nano=0, run_nano=0, key_nano=0, day_nano=0)
    with oracle() as server:
        free = rung(server.url, "free", prices=Prices())
        assert make(free, budgets=nothing).complete(asked(), ADA).ok
        answer = make(rung(server.url), free, budgets=nothing).complete(asked(), ADA)
    assert (answer.rung, answer.left[0].reason) == ("free", Outcome.BUDGET)


def test_ten_megabytes_of_prompt(make: Make) -> None:
    """Sent where it may be; too dear where it costs; refused where it is beyond the bound."""
    text = "seats " * 1_700_000
    with oracle() as server:
        free = rung(server.url, prices=Prices())
        assert make(free).complete(asked(text), ADA).ok
        budgets = Budgets(call_nano=10**9)
        answer = make(rung(server.url), budgets=budgets).complete(asked(text), ADA)
        assert answer.outcome is Outcome.BUDGET
        with pytest.raises(InvalidInput, match="prompt is too long"):
            make(free).complete(asked(text * 2), ADA)
        assert len(server.served) == 1


def test_a_circuit_opens_and_closes(make: Make, tmp_path: Path) -> None:
    """After faults on end nothing is sent for a while; then one finds out for all."""
    ledger = Ledger(tmp_path / "state", circuit=Circuit(faults=3, open_s=0.4))
    with oracle(planned("500")) as server:
        ladder = make(rung(server.url, retries=0), ledger=ledger)
        outcomes = [str(ladder.complete(asked(), ADA).outcome) for _ in range(5)]
        assert outcomes == ["transport"] * 3 + ["asleep"] * 2
        assert len(server.served) == 3
        time.sleep(0.5)
        assert str(ladder.complete(asked(), ADA).outcome) == "transport"
        assert str(ladder.complete(asked(), ADA).outcome) == "asleep"
        server.plan = planned(Dial())
        time.sleep(0.5)
        assert all(ladder.complete(asked(), ADA).ok for _ in range(3))


def test_room_and_rate_of_a_rung(make: Make) -> None:
    """No more at a time, no more a minute, whatever comes at once."""

    async def many(count: int, **given: Any) -> list[Outcome]:
        ladder = make(rung(server.url, **given), policy=Policy(max_pause_s=5, backoff_s=0.01))
        calls = [ladder.ask(asked("!slow 0.05"), ADA) for _ in range(count)]
        found = [answer.outcome for answer in await asyncio.gather(*calls)]
        await ladder.disconnect()
        return found

    with oracle() as server:
        assert set(asyncio.run(many(12, max_concurrent=3))) == {Outcome.OK}
        assert server.most_open == 3
        before = len(server.served)
        found = asyncio.run(many(8, name="slow", requests_per_minute=5))
        assert sorted(found) == [Outcome.OK] * 5 + [Outcome.RATE] * 3
        assert len(server.served) - before == 5
        found = asyncio.run(many(4, name="few", tokens_per_minute=150, max_output_tokens=100))
        assert sorted(found) == [Outcome.OK] + [Outcome.RATE] * 3


# -- streams ----------------------------------------------------------------------------


async def streamed(ladder: Any, ask: Ask) -> tuple[str, Any]:
    """The text of a stream, and how it ended."""
    stream = await ladder.stream(ask, ADA)
    if not isinstance(stream, AnswerStream):
        return "", stream
    text = ""
    async for chunk in stream:
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
    await ladder.disconnect()
    return text, stream.answer


def test_a_stream_is_counted_like_an_answer(make: Make, tmp_path: Path) -> None:
    """The same text, tokens and cost."""
    with oracle() as server:
        text, answer = asyncio.run(streamed(make(rung(server.url)), asked()))
    assert (text, answer.outcome) == (TEXT, Outcome.OK)
    prompt, completion = counted(server.served[0].body, TEXT)
    (row,) = attempts(tmp_path / "state")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (prompt, completion)
    assert row["tokens_from"] == "provider"
    assert answer.cost_nano == PRICES.cost_nano(prompt, completion)


@pytest.mark.parametrize("kind", ["half", "broken", "error"])
def test_half_a_stream_is_transport(make: Make, tmp_path: Path, kind: str) -> None:
    """What came is handed on and estimated; the end says that it is not whole."""
    with oracle(planned(kind)) as server:
        text, answer = asyncio.run(streamed(make(rung(server.url)), asked()))
    assert TEXT.startswith(text)
    assert 0 < len(text) < len(TEXT)
    assert answer.outcome is Outcome.TRANSPORT
    (row,) = attempts(tmp_path / "state")
    assert (row["outcome"], row["tokens_from"]) == ("transport", "estimate")
    assert row["completion_tokens"] == -(-len(text) // 3)


@pytest.mark.parametrize("kind", ["500", "drop", "429"])
def test_a_stream_that_does_not_begin_is_tried_again(make: Make, kind: str) -> None:
    """Until its first word, it is like every other attempt."""
    with oracle(planned(Dial(kind, retry_after="0"), Dial())) as server:
        text, answer = asyncio.run(streamed(make(rung(server.url)), asked()))
    assert (text, answer.outcome, answer.attempts) == (TEXT, Outcome.OK, 2)


def test_an_empty_stream_is_left(make: Make) -> None:
    """Nothing at all is `unparsable`, in a stream too."""
    with oracle(planned(answering(""))) as one:
        _, answer = asyncio.run(streamed(make(rung(one.url)), asked()))
    assert answer.outcome is Outcome.UNPARSABLE


@pytest.mark.parametrize("is_stream", [False, True])
def test_whoever_goes_away_is_on_record(make: Make, tmp_path: Path, is_stream: bool) -> None:
    """The request to the server ends, and is settled."""

    async def leave(ladder: Any) -> None:
        async def use() -> None:
            if not is_stream:
                await ladder.ask(asked(), ADA)
                return
            async for _ in await ladder.stream(asked(), ADA):
                pass

        task = asyncio.create_task(use())
        while not server.served:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline_s = time.monotonic() + 5
        while not server.gone and time.monotonic() < deadline_s:
            await asyncio.sleep(0.01)
        await ladder.disconnect()

    with oracle(planned("pause" if is_stream else "hang")) as server:
        ladder = make(rung(server.url))
        asyncio.run(leave(ladder))
        assert server.gone == [server.served[0].attempt_id]
        assert ladder.usage().under_way == 0
    (row,) = attempts(tmp_path / "state")
    assert row["outcome"] == "cancelled"
    assert row["tokens_from"] == ("estimate" if is_stream else "reserved")


# -- secrets ----------------------------------------------------------------------------


def test_secrets_are_not_sent(make: Make, tmp_path: Path) -> None:
    """Neither in messages nor in tools; how many there were is on record."""
    secret = "sk-proj-" + "Ab1_" * 12
    tools = [{"type": "function", "function": {"name": "f", "description": secret}}]
    with oracle() as server:
        ask = asked(f"use {secret}", parameters={"tools": tools})
        assert make(rung(server.url, api_key="the-own-key")).complete(ask, ADA).ok
    sent = server.served[0]
    assert secret not in str(sent.body)
    assert sent.body["messages"][0]["content"] == "use [redacted:api-key]"
    assert sent.headers["authorization"] == "Bearer the-own-key"
    (row,) = attempts(tmp_path / "state")
    assert row["redactions"] == 2


def test_the_surroundings_say_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, organisations and URLs that are meant for OpenAI go nowhere else."""
    for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL", "ADMIN_KEY", "CUSTOM_HEADERS"):
        monkeypatch.setenv(f"OPENAI_{name}", "http://meant-for-openai: x")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with oracle() as server:
        assert make(rung(server.url)).complete(asked(), ADA).ok
    assert "meant-for-openai" not in str(server.served[0].headers)


def test_a_servers_error_shows_no_key(make: Make, tmp_path: Path) -> None:
    """Servers like to repeat the key that they refuse."""
    key = "sk-" + "z" * 40
    error = {"message": f"Incorrect API key provided: {key}"}
    with oracle(planned(Dial("401", error=error))) as server:
        answer = make(rung(server.url, api_key=key)).complete(asked(), ADA)
    assert key not in answer.detail
    assert key not in str(attempts(tmp_path / "state"))
    assert key not in repr(rung(server.url, api_key=key))
