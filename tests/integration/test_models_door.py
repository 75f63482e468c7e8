"""OpenAI's own client against the gateway, unchanged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel
from tests.fakes.model_server import TEXT, Dial, Oracle, answering, oracle, planned, told
from tests.gateways import Served, good, serving, slug

RUNG = """
[llm]
max_pause_s = 2
budget_key_usd = 0.05
[[llm.rung]]
name = "one"
base_url = "{url}"
model = "m"
prompt_usd_per_million = 2
completion_usd_per_million = 8
max_output_tokens = 500
retries = 1
timeout_s = 5
"""
ASK: dict[str, Any] = {"model": "ladder", "messages": [{"role": "user", "content": "Seats?"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[Oracle]:
    """The model's server."""
    with oracle() as made:
        yield made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, server: Oracle) -> Iterator[Served]:
    """A lake with one rung, behind keys."""
    folder = tmp_path_factory.mktemp("door")
    with serving(folder, more=RUNG.format(url=server.url), max_body_bytes=2**21) as served:
        yield served


@pytest.fixture
def client(served: Served, server: Oracle) -> Iterator[openai.OpenAI]:
    """OpenAI's client with a key that may ask models and nothing else."""
    server.plan = told
    key = served.key("bot", "model:*")
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0) as made:
        yield made


def test_a_chat(client: openai.OpenAI, served: Served) -> None:
    """An answer as the client's types have it, on record by the key's principal."""
    answer = client.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage is not None
    key = client.api_key.split("_")[1]
    report = served.lake.usage(key=key)
    assert (report.total.requests, report.total.prompt_tokens) == (1, answer.usage.prompt_tokens)
    assert list(report.by["actor"]) == ["bot"]
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["x-lakecore-rung"] == "one"
    assert int(raw.headers["x-lakecore-cost-nano-usd"]) > 0


def test_a_stream(client: openai.OpenAI, served: Served) -> None:
    """Chunks as they come; usage only for who asks for it."""
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == TEXT
    assert all(chunk.usage is None for chunk in chunks)
    options: Any = {"include_usage": True}
    *_, last = client.chat.completions.create(**ASK, stream=True, stream_options=options)
    assert last.usage is not None
    key = client.api_key.split("_")[1]
    assert served.lake.usage(key=key).total.requests == 2
    assert served.lake.usage(key=key).total.estimated == 0


def test_structured_output(client: openai.OpenAI, server: Oracle) -> None:
    """The client's own parsing; an answer that misses its schema twice is an error."""

    class Plane(BaseModel):
        seats: int

    server.plan = planned(answering('{"seats": "x"}'), answering('{"seats": 55}'))
    server.served.clear()
    found = client.chat.completions.parse(**ASK, response_format=Plane)
    assert found.choices[0].message.parsed == Plane(seats=55)
    assert len(server.served) == 2
    server.plan = planned(answering("fifty-five"))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.parse(**ASK, response_format=Plane)
    assert caught.value.code == "unparsable"


def test_tools(client: openai.OpenAI, server: Oracle) -> None:
    """Go there and come back as they are."""
    call = {"id": "c1", "type": "function", "function": {"name": "sql", "arguments": '{"q": 1}'}}
    server.plan = planned(Dial(text="", message={"tool_calls": [call]}, finish="tool_calls"))
    tools: Any = [{"type": "function", "function": {"name": "sql", "parameters": {}}}]
    answer = client.chat.completions.create(**ASK, tools=tools, tool_choice="auto")
    assert answer.choices[0].message.tool_calls
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"q": 1}'
    assert server.served[-1].body["tools"] == tools


def test_a_refusal_is_an_answer(client: openai.OpenAI, server: Oracle) -> None:
    """As OpenAI has it: the model's own words, with success."""
    server.plan = planned(Dial(text="", message={"refusal": "I will not"}))
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.parse().choices[0].message.refusal == "I will not"
    assert raw.headers["x-lakecore-outcome"] == "refused"


@pytest.mark.parametrize(
    ("dial", "error", "code", "again"),
    [
        (Dial("500"), openai.InternalServerError, "transport", "false"),
        (Dial("400"), openai.BadRequestError, "refused", "false"),
        (Dial("401"), openai.BadRequestError, "refused", "false"),
        (Dial("503"), openai.InternalServerError, "asleep", "true"),
        (Dial("402"), openai.RateLimitError, "insufficient_quota", "false"),
        (answering(""), openai.InternalServerError, "unparsable", "false"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_outcomes_are_errors_of_the_client(
    client: openai.OpenAI,
    server: Oracle,
    dial: Dial,
    error: type[openai.APIStatusError],
    code: str,
    again: str,
    stream: bool,
) -> None:
    """Each is the class that the client has for it, with the outcome as its code."""
    server.plan = planned(dial)
    with pytest.raises(error) as caught:
        client.chat.completions.create(**ASK, stream=stream)
    assert caught.value.code == code
    assert caught.value.response.headers["x-should-retry"] == again
    # Whatever was, the rung is well again for the next test.
    server.plan = told
    for _ in range(3):
        try:
            client.chat.completions.create(**ASK)
        except openai.InternalServerError:
            time.sleep(0.1)
        else:
            return


def test_the_client_waits_as_it_is_told(served: Served, server: Oracle) -> None:
    """A 429 behind the door is a 429 with Retry-After before it, and the client tries again."""
    server.plan = planned(Dial("429", retry_after="3"))
    url, key = f"{served.url}/v1", served.key("slow", "model:*")
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**ASK)
        assert caught.value.response.headers["retry-after"] == "3"
    server.plan = told
    with openai.OpenAI(base_url=url, api_key=key, max_retries=2) as client:
        assert client.chat.completions.create(**ASK).choices[0].message.content == TEXT


@pytest.mark.parametrize("kind", ["half", "broken", "error"])
def test_half_a_stream_is_an_error(client: openai.OpenAI, server: Oracle, kind: str) -> None:
    """What came is there, and the client raises: no part looks like a whole."""
    server.plan = planned(kind)
    chunks = client.chat.completions.create(**ASK, stream=True)
    texts: list[str] = []
    with pytest.raises(openai.APIError):
        texts.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert 0 < len("".join(texts)) < len(TEXT)
    assert TEXT.startswith("".join(texts))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"model": "ladder"},
        {"model": "ladder", "messages": []},
        {"model": 5, "messages": ASK["messages"]},
        {**ASK, "messages": "hello"},
        {**ASK, "max_tokens": 0},
        {**ASK, "max_tokens": "many"},
        {**ASK, "n": 100},
        {**ASK, "service_tier": "priority"},
        {**ASK, "response_format": {"type": "xml"}},
        {**ASK, "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 5}}}},
    ],
)
def test_bad_requests(served: Served, client: openai.OpenAI, body: Any) -> None:
    """400 in OpenAI's form; nothing is sent or counted."""
    answer = served.with_headers().post(
        "/v1/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {client.api_key}"},
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert served.lake.usage(key=client.api_key.split("_")[1]).total.calls == 0


def test_other_errors_have_openais_form(served: Served, client: openai.OpenAI) -> None:
    """No key, no scope, no such model, no JSON, too long, no such method."""
    url = f"{served.url}/v1/chat/completions"
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="x", max_retries=0) as nobody:
        with pytest.raises(openai.AuthenticationError):
            nobody.chat.completions.create(**ASK)
        with pytest.raises(openai.AuthenticationError):
            nobody.models.list()
    key = served.key("reader", "read:*", "write:*", "approve:*", "admin:*")
    reader = openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)
    with reader, pytest.raises(openai.PermissionDeniedError):
        reader.chat.completions.create(**ASK)
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=ASK["messages"])
    assert caught.value.code == "model_not_found"
    headers = {"Authorization": f"Bearer {client.api_key}"}
    json_headers = {**headers, "Content-Type": "application/json"}
    http = served.with_headers()
    for answer, status in (
        (http.post(url, content=b"{", headers=json_headers), 400),
        (http.post(url, content=b"{}", headers=headers), 415),
        (http.post(url, content=iter([b"x" * 2**20] * 3), headers=json_headers), 413),
        (http.get(url, headers=headers), 405),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]


def test_models_and_usage(served: Served, client: openai.OpenAI) -> None:
    """The rungs; and figures: all for who may read `system.usage`, else one's own."""
    assert [model.id for model in client.models.list()] == ["ladder", "one"]
    client.chat.completions.create(**ASK)
    own = good(httpx.get(f"{served.url}/v1/usage", headers={"X-API-Key": client.api_key}))
    assert (own["requests"], list(own["by_actor"])) == (1, ["bot"])
    every = good(served.client.get("/v1/usage", params={"days": 1}))
    assert every["requests"] > own["requests"]
    assert every["total_tokens"] == every["prompt_tokens"] + every["completion_tokens"]
    other = served.key("other", "model:*")
    none = good(
        httpx.get(
            f"{served.url}/v1/usage",
            params={"key": client.api_key.split("_")[1]},
            headers={"X-API-Key": other},
        )
    )
    assert none["requests"] == 0
    assert (none["budget"]["today_usd"], none["budget"]["today_left_usd"]) == (0.05, 0.05)
    assert own["budget"]["today_left_usd"] == pytest.approx(0.05 - own["cost_usd"])
    assert 0 < every["budget"]["today_left_usd"] < every["budget"]["today_usd"] == 20
    assert slug(served.client.get("/v1/usage", params={"days": 0}), 400) == "bad-request"


def test_usage_is_a_dataset(served: Served, client: openai.OpenAI) -> None:
    """The rows are the ledger's, each once, and may be read by who may read the lake's tables."""
    client.chat.completions.create(**ASK)
    served.lake.ladder.project()
    query = (
        "select count(*) n, count(distinct id) ids, sum(prompt_tokens) prompt, "
        "sum(cost_nano_usd) cost from system.usage where is_sent"
    )
    (row,) = good(served.client.post("/query/sql", json={"sql": query}))["items"]
    total = served.lake.usage().total
    assert row["n"] == row["ids"] == total.requests
    assert (row["prompt"], row["cost"]) == (total.prompt_tokens, total.cost_nano)
    asker = served.as_("asker", "read:planes", "model:*")
    answer = asker.post("/query/sql", json={"sql": "select * from system.usage"})
    assert answer.status_code == 403


def test_a_key_has_a_budget(served: Served, server: Oracle) -> None:
    """What one key has spent, another has not."""
    server.plan = planned(answering("x" * 1_200))
    codes: dict[str, list[str]] = {"spender": [], "saver": []}
    for name in codes:
        key = served.key(name, "model:*")
        with openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0) as client:
            for _ in range(40 if name == "spender" else 1):
                try:
                    client.chat.completions.create(**ASK)
                    codes[name].append("ok")
                except openai.RateLimitError as error:
                    codes[name].append(str(error.code))
    assert codes["spender"][-1] == "insufficient_quota"
    assert codes["saver"] == ["ok"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_who_disconnects_ends_the_request(
    served: Served, server: Oracle, client: openai.OpenAI, is_stream: bool
) -> None:
    """At the model's server, too; it is settled, and nothing stays open."""
    server.plan = planned("pause" if is_stream else "hang")
    server.served.clear()
    server.gone.clear()
    url = f"{served.url}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {client.api_key}"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json={**ASK, "stream": is_stream}, timeout=1.0, headers=headers)
    deadline_s = time.monotonic() + 10
    while not server.gone and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert server.gone == [server.served[0].attempt_id]
    while served.lake.usage().under_way and time.monotonic() < deadline_s:
        time.sleep(0.02)
    report = served.lake.usage(key=client.api_key.split("_")[1])
    assert (report.under_way, report.total.failed) == (0, 1)


def test_the_loop_is_not_held_up(served: Served, server: Oracle) -> None:
    """While models are slow and a prompt is long, the gateway answers others at once."""
    url = f"{served.url}/v1/chat/completions"
    http = served.as_("many", "model:*")
    server.plan = lambda body, number: Dial(delay_s=0.5)

    def ask(text: str) -> int:
        body = {**ASK, "max_tokens": 5, "messages": [{"role": "user", "content": text}]}
        return http.post(url, json=body, timeout=60).status_code

    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(ask, "hi") for _ in range(30)]
        asked.append(pool.submit(ask, "word " * 1_000))
        time.sleep(0.2)
        waits = []
        for _ in range(10):
            began_s = time.monotonic()
            assert http.get("/health").status_code == 200
            waits.append(time.monotonic() - began_s)
        assert sorted(waits)[5] < 0.5
        assert {one.result() for one in asked} <= {200, 429}


def test_without_rungs(tmp_path: Path) -> None:
    """A lake that has none says so, typed, and has no file for it."""
    with serving(tmp_path) as served:
        assert served.lake.usage().total.calls == 0
        assert not list(tmp_path.rglob("llm-ledger.sqlite"))
        answer = served.client.post("/v1/chat/completions", json=ASK)
        assert answer.status_code == 503
        assert json.loads(answer.content)["error"]["code"] == "no_rung"
        models = good(served.client.get("/v1/models"))["data"]
        assert [model["id"] for model in models] == ["ladder"]
