"""An answer that comes piece by piece, on record when it has ended, however it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from lakecore.base import LakecoreError
from lakecore.llm._answer import Answer
from lakecore.llm._outcome import Outcome
from lakecore.llm._output import Output
from lakecore.llm._records import Settlement
from lakecore.llm._replay import Recorded
from lakecore.llm._reply import Reply, StreamReader, clean

_closing: Final[set[asyncio.Task[None]]] = set()
"""Tasks that let go of connections; the loop alone would forget them."""


class AnswerStream:
    """Chunks in OpenAI's form. Iterate it to its end, or `close` it: then it is settled.

    The last chunk is handed on before the settlement, the end of the iteration after it.

    Attributes:
        answer: how it ended, once it has. The text was not held back until it was judged: an
            answer that misses its form is on record as such, and has been handed on.
    """

    def __init__(
        self,
        *,
        first: Sequence[dict[str, Any]],
        source: AsyncIterator[dict[str, Any]],
        reader: StreamReader,
        output: Output,
        began_s: float,
        settle: Callable[[Settlement], Future[bool]],
        keep: Callable[[Reply, list[dict[str, Any]]], Awaitable[None]],
        release: AsyncExitStack,
        answer: Callable[[Outcome, str], Answer],
    ) -> None:
        self._waiting = list(first)
        self._chunks = list(first)
        self._source = source
        self._reader = reader
        self._output = output
        self._began_s = began_s
        self._settle = settle
        self._keep = keep
        self._release = release
        self._make_answer = answer
        self._is_settled = False
        self.answer: Answer | None = None

    @classmethod
    def replayed(cls, recorded: Recorded, answer: Callable[[Outcome, str], Answer]) -> AnswerStream:
        """One that was recorded: the same chunks again, or a whole answer as one chunk."""
        return _Replayed(recorded, answer)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        if self._waiting:
            return self._waiting.pop(0)
        if self._is_settled:
            raise StopAsyncIteration
        try:
            chunk = await anext(self._source, None)
        except BaseException:
            self.close()
            raise
        if chunk is not None:
            self._chunks.append(chunk)
            return chunk
        await self._end()
        raise StopAsyncIteration

    def close(self) -> None:
        """Let go. What did not end by itself is settled as cancelled, by what has come."""
        if self._is_settled:
            return
        prepared = self._reader.prepared
        reply = self._reader.reply("whoever asked went away")
        self._finish(reply.settlement(prepared, Outcome.CANCELLED, reply.detail, self._duration_ms))

    async def _end(self) -> None:
        reply = self._reader.reply()
        outcome, detail = reply.outcome, reply.detail
        if outcome is Outcome.OK and not self._reader.has_calls:
            outcome, _, detail = await asyncio.to_thread(self._output.judge, self._reader.text)
        prepared = self._reader.prepared
        settled = self._finish(reply.settlement(prepared, outcome, detail, self._duration_ms))
        self.answer = self._make_answer(outcome, clean(detail))
        if settled is not None:
            await asyncio.shield(asyncio.wrap_future(settled))
        await self._keep(reply, self._chunks)

    def _finish(self, how: Settlement) -> Future[bool] | None:
        """On record, and the connection and the room given up; nothing is awaited."""
        self._is_settled = True
        task = asyncio.get_running_loop().create_task(self._let_go())
        _closing.add(task)
        task.add_done_callback(_closing.discard)
        # A closed ledger finds it when it is opened again.
        with suppress(LakecoreError):
            return self._settle(how)
        return None

    async def _let_go(self) -> None:
        try:
            if isinstance(self._source, AsyncGenerator):
                await self._source.aclose()
        finally:
            await self._release.aclose()

    @property
    def _duration_ms(self) -> float:
        return (time.monotonic() - self._began_s) * 1_000


class _Replayed(AnswerStream):
    """From the store: nothing to settle."""

    def __init__(self, recorded: Recorded, answer: Callable[[Outcome, str], Answer]) -> None:
        self._waiting = list(recorded.chunks) or [_as_chunk(recorded.reply)]
        self._is_settled = True
        self.answer = answer(Outcome.OK, "")


def _as_chunk(reply: Reply) -> dict[str, Any]:
    body = dict(reply.body or {})
    choices = [
        {"index": at, "delta": one.get("message", {}), "finish_reason": one.get("finish_reason")}
        for at, one in enumerate(body.get("choices", ()))
    ]
    return {**body, "object": "chat.completion.chunk", "choices": choices}
