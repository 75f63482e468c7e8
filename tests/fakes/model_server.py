"""An oracle: an OpenAI-compatible model server on loopback that answers as it is told.

Real HTTP, by asyncio's streams alone, in a thread (`oracle`) or as a process (``python
tests/fakes/model_server.py LOG``, which prints its URL). How a request is answered is said by
`plan`, or by the last message itself: ``!429 3 ...`` is a 429 with ``Retry-After: 3``. Every
request is put down, in memory and as a line of a file, before it is answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

TEXT = "The plane has 55 seats."


@dataclass(frozen=True)
class Dial:
    """How a request is answered.

    Attributes:
        kind: ``answer``, a status such as ``429``, ``broken`` (JSON that ends early), ``half`` (a
            body that ends early), ``hang``, ``error`` (within a stream), ``drop`` (no answer).
        usage: what is said of usage: ``right``, ``none``, or a document.
        count: prompt and completion tokens; None: what `counted` says.
    """

    kind: str = "answer"
    text: str = TEXT
    usage: Any = "right"
    delay_s: float = 0.0
    retry_after: str | None = None
    message: dict[str, Any] = field(default_factory=dict)
    finish: str = "stop"
    error: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Served:
    """One request as it was answered."""

    attempt_id: str
    kind: str
    is_stream: bool
    prompt_tokens: int
    completion_tokens: int
    text: str
    body: dict[str, Any]
    headers: dict[str, str]


def counted(body: dict[str, Any], text: str) -> tuple[int, int]:
    """What this server's tokenizer makes of a request and an answer: a token for four bytes."""
    prompt = json.dumps(body["messages"], ensure_ascii=False).encode()
    return max(1, len(prompt) // 4), -(-len(text.encode()) // 4)


def told(body: dict[str, Any], number: int) -> Dial:
    """What the last message says: ``!kind argument rest``."""
    content = body["messages"][-1].get("content")
    if not isinstance(content, str) or not content.startswith("!"):
        return Dial()
    kind, _, rest = content[1:].partition(" ")
    argument = rest.partition(" ")[0]
    if kind == "json":
        return Dial(text=rest)
    if kind == "empty":
        return Dial(text="")
    if kind == "slow":
        return Dial(delay_s=float(argument))
    if kind == "nousage":
        return Dial(usage="none")
    if kind == "429":
        return Dial("429", retry_after=argument or None)
    return Dial(kind)


class Oracle:
    """The server. `served` is what it did; `plan` may be changed while it runs."""

    def __init__(
        self,
        plan: Callable[[dict[str, Any], int], Dial] = told,
        *,
        log: Path | None = None,
        chunk: int = 6,
    ) -> None:
        self.plan = plan
        self.served: list[Served] = []
        self.gone: list[str] = []
        self.open = 0
        self.most_open = 0
        self.url = ""
        self._log = None if log is None else log.open("a", encoding="utf-8")
        self._chunk = chunk
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None

    # -- running ----------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        """Listen."""
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def stop(self) -> None:
        """Let go of the address."""
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.01)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        if first.startswith("GET"):
            writer.write(_response(200, json.dumps({"object": "list", "data": []}).encode()))
            return True
        body = json.loads(data)
        dial = self.plan(body, len(self.served))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._answer(dial, body, headers, reader, writer)
        finally:
            self.open -= 1

    def _note(self, dial: Dial, body: dict[str, Any], headers: dict[str, str]) -> Served:
        prompt, completion = counted(body, dial.text)
        served = Served(
            attempt_id=headers.get("x-client-request-id", ""),
            kind=dial.kind,
            is_stream=bool(body.get("stream")),
            prompt_tokens=prompt,
            completion_tokens=completion,
            text=dial.text,
            body=body,
            headers=headers,
        )
        self.served.append(served)
        if self._log is not None:
            self._log.write(json.dumps(asdict(served)) + "\n")
            self._log.flush()
        return served

    # -- answering --------------------------------------------------------------------

    async def _answer(
        self,
        dial: Dial,
        body: dict[str, Any],
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        served = self._note(dial, body, headers)
        if dial.delay_s:
            await asyncio.sleep(dial.delay_s)
        if dial.kind == "drop":
            return False
        if dial.kind == "hang":
            # Until whoever asked goes away.
            await reader.read()
            self.gone.append(served.attempt_id)
            return False
        if dial.kind.isdigit():
            error = dial.error or {"message": f"told to: {dial.kind}", "type": "told"}
            extra = [f"Retry-After: {dial.retry_after}"] if dial.retry_after else []
            content = json.dumps({"error": error}).encode()
            writer.write(_response(int(dial.kind), content, [*extra, *dial.headers]))
            await writer.drain()
            return True
        if served.is_stream:
            return await self._stream(dial, served, reader, writer)
        content = json.dumps(self._completion(dial, served)).encode()
        if dial.kind == "broken":
            content = content[: len(content) // 2]
        raw = _response(200, content, dial.headers)
        if dial.kind == "half":
            raw = raw[: -len(content) // 2]
        writer.write(raw)
        await writer.drain()
        return dial.kind != "half"

    def _usage(self, dial: Dial, served: Served) -> Any:
        if dial.usage == "right":
            prompt, completion = served.prompt_tokens, served.completion_tokens
            return {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            }
        return None if dial.usage == "none" else dial.usage

    def _completion(self, dial: Dial, served: Served) -> dict[str, Any]:
        message = {"role": "assistant", "content": dial.text, **dial.message}
        choice = {"index": 0, "message": message, "finish_reason": dial.finish, "logprobs": None}
        found = {
            "id": f"chatcmpl-{len(self.served)}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": served.body["model"],
            "choices": [choice],
        }
        usage = self._usage(dial, served)
        return found if usage is None else {**found, "usage": usage}

    def _chunks(self, dial: Dial, served: Served) -> Iterator[dict[str, Any]]:
        base = {
            "id": f"chatcmpl-{len(self.served)}",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": served.body["model"],
        }
        first = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        yield {**base, "choices": [first]}
        for at in range(0, len(dial.text), self._chunk):
            delta = {"content": dial.text[at : at + self._chunk]}
            yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        if dial.message:
            choice = {"index": 0, "delta": dial.message, "finish_reason": None}
            yield {**base, "choices": [choice]}
        yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": dial.finish}]}
        wants = (served.body.get("stream_options") or {}).get("include_usage")
        usage = self._usage(dial, served)
        if wants and usage is not None:
            yield {**base, "choices": [], "usage": usage}

    async def _stream(
        self,
        dial: Dial,
        served: Served,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        writer.write((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        events = [json.dumps(chunk).encode() for chunk in self._chunks(dial, served)]
        if dial.kind in ("half", "broken", "error", "pause"):
            events = events[: max(2, len(events) // 2)]
        for event in events:
            _send(writer, b"data: " + event + b"\n\n")
            await writer.drain()
        if dial.kind == "half":
            return False
        if dial.kind == "pause":
            await reader.read()
            self.gone.append(served.attempt_id)
            return False
        if dial.kind == "broken":
            _send(writer, b'data: {"id": "chatc\n\n')
        elif dial.kind == "error":
            error = dial.error or {"message": "told to fail", "code": 500}
            _send(writer, b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
        else:
            _send(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _response(status: int, content: bytes, extra: Any = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(content)}", *extra, "", ""]
    return "\r\n".join(lines).encode() + content


@contextmanager
def oracle(plan: Callable[[dict[str, Any], int], Dial] = told, **options: Any) -> Iterator[Oracle]:
    """A server in a thread, to the end of the block."""
    made = Oracle(plan, **options)
    loop = asyncio.new_event_loop()
    started = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(made.start())
        started.set()
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(made.stop())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def planned(*dials: Dial | str) -> Callable[[dict[str, Any], int], Dial]:
    """These in turn, the last one for ever."""
    found = [Dial(dial) if isinstance(dial, str) else dial for dial in dials]
    return lambda body, number: found[min(number, len(found) - 1)]


def answering(text: str, **given: Any) -> Dial:
    """An answer of this text."""
    return replace(Dial(text=text), **given)


async def _serve(log: str) -> None:
    made = Oracle(log=Path(log) if log != "-" else None)
    await made.start()
    print(made.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
