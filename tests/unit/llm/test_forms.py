"""The form of answers: told, judged, repaired."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.fakes.model_server import Dial, answering, oracle, planned
from tests.unit.llm.conftest import ADA, Make, asked, rung

from lakecore.llm import (
    Outcome,
    Output,
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
