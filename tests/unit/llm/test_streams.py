"""Answers that come in pieces, and what is sent: no secrets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import TEXT, Dial, answering, counted, oracle, planned
from tests.unit.llm.conftest import ADA, PRICES, Make, asked, attempts, rung

from lakecore.llm import (
    AnswerStream,
    Ask,
    Outcome,
)


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
    sent = server.served[0].headers
    assert "meant-for-openai" not in str(sent)
    known = {"host", "connection", "authorization", "accept", "accept-encoding", "user-agent"}
    assert set(sent) == known | {"content-type", "content-length", "x-client-request-id"}
    assert sent["user-agent"].startswith("lakecore/")


def test_a_servers_error_shows_no_key(make: Make, tmp_path: Path) -> None:
    """Servers like to repeat the key that they refuse."""
    key = "sk-" + "z" * 40
    error = {"message": f"Incorrect API key provided: {key}"}
    with oracle(planned(Dial("401", error=error))) as server:
        answer = make(rung(server.url, api_key=key)).complete(asked(), ADA)
    assert key not in answer.detail
    assert key not in str(attempts(tmp_path / "state"))
    assert key not in repr(rung(server.url, api_key=key))
