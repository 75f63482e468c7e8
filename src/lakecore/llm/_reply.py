"""What a model server answered, read: bodies, errors, and streams of events. No I/O."""

from __future__ import annotations

import email.utils
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from lakecore.llm._outcome import Outcome
from lakecore.llm._records import MAX_DETAIL_CHARACTERS, Settlement
from lakecore.llm._redact import redact
from lakecore.llm._request import Prepared
from lakecore.llm._tokens import NOTHING, Usage, usage_of

_DONE: Final = b"[DONE]"
_MAX_RETRY_AFTER_S: Final = 7 * 86_400.0
_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, and what it counts as.

    Attributes:
        outcome: ok: there is an answer, of whatever form.
        body: the completion.
        reported: the server's `usage`, whatever it is.
        answer_bytes: UTF-8 bytes of what the model wrote.
        is_blank: nothing was sent, or an error came instead: it costs nothing. Otherwise what
            came is counted, and where nothing came, the most that it can be.
    """

    outcome: Outcome
    detail: str = ""
    status: int | None = None
    retry_after_s: float | None = None
    body: Mapping[str, Any] | None = None
    reported: object = None
    answer_bytes: int = 0
    is_blank: bool = False

    def usage(self, prepared: Prepared) -> Usage | None:
        """What it counts as; None: the most that it can be."""
        if self.is_blank:
            return NOTHING
        if self.body is None and not self.answer_bytes:
            return None
        return usage_of(
            self.reported,
            prepared.size,
            answer_bytes=self.answer_bytes,
            max_output=prepared.max_output,
        )

    def settlement(
        self, prepared: Prepared, outcome: Outcome, detail: str, duration_ms: float
    ) -> Settlement:
        """For the ledger, once the answer is judged."""
        usage = self.usage(prepared)
        return Settlement(
            outcome=outcome,
            usage=usage or NOTHING,
            is_most=usage is None,
            reported="" if self.reported is None else _shortly(self.reported),
            detail=clean(detail),
            status=self.status,
            duration_ms=duration_ms,
            retry_after_s=self.retry_after_s,
        )


def read_completion(status: int, content: bytes) -> Reply:
    """The reply of a request that was answered with success."""
    try:
        body = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        detail = "the server's answer is not JSON"
        return Reply(
            outcome=Outcome.TRANSPORT, detail=detail, status=status, answer_bytes=len(content)
        )
    if isinstance(body, dict) and body.get("error"):
        return read_error(status, {}, body)
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        detail = "the server's answer is no chat completion"
        return Reply(
            outcome=Outcome.TRANSPORT, detail=detail, status=status, answer_bytes=len(content)
        )
    outcome, detail = _outcome_of(choices)
    return Reply(
        outcome=outcome,
        detail=detail,
        status=status,
        body=body,
        reported=body.get("usage"),
        answer_bytes=sum(_written_bytes(one.get("message")) for one in choices),
    )


def read_error(status: int, headers: Mapping[str, str], body: object) -> Reply:
    """The reply of a request that was answered with an error."""
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    told = inner.get("message") if isinstance(inner, Mapping) else inner
    code = inner.get("code") if isinstance(inner, Mapping) else None
    kind = inner.get("type") if isinstance(inner, Mapping) else None
    return Reply(
        outcome=_outcome_of_status(status, {str(code), str(kind)}),
        detail=clean(f"{status}: {told}" if told else f"status {status}"),
        status=status,
        retry_after_s=retry_after_s(headers),
        is_blank=True,
    )


def retry_after_s(headers: Mapping[str, str], now_s: float | None = None) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110 section 10.2.3), or of ``retry-after-ms``.

    >>> retry_after_s({"retry-after": "7"}), retry_after_s({"retry-after-ms": "1500"})
    (7.0, 1.5)
    >>> retry_after_s({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now_s=0.0)
    60.0
    >>> retry_after_s({"retry-after": "soon"}), retry_after_s({"retry-after": "-1"})
    (None, None)
    """
    for name, scale in (("retry-after-ms", 1_000), ("retry-after", 1)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) / scale
        except ValueError:
            continue
        # Neither nan nor below 0 is a time; what is endless is a very long one.
        return min(seconds, _MAX_RETRY_AFTER_S) if seconds >= 0 else None
    try:
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    if now_s is None:
        import time

        now_s = time.time()
    return min(max(0.0, moment.timestamp() - now_s), _MAX_RETRY_AFTER_S)


def _message(body: Mapping[str, Any]) -> object:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("message") if isinstance(first, Mapping) else None


def answer_text(body: Mapping[str, Any]) -> str:
    """What the model wrote in its first choice."""
    message = _message(body)
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def has_calls(body: Mapping[str, Any]) -> bool:
    """Whether the model calls tools instead of, or beside, answering."""
    message = _message(body)
    return isinstance(message, Mapping) and bool(
        message.get("tool_calls") or message.get("function_call")
    )


def clean(detail: str) -> str:
    """A text fit to be kept and shown: short, in one line, without secrets."""
    return " ".join(redact(detail[: 4 * MAX_DETAIL_CHARACTERS])[0].split())[:MAX_DETAIL_CHARACTERS]


@dataclass(slots=True)
class StreamReader:
    """A stream of Server-Sent Events, put together; `feed` it bytes in any pieces.

    Attributes:
        is_done: the server said so, or every choice ended.
        error: an error that came within the stream.
    """

    prepared: Prepared
    reported: object = None
    is_done: bool = False
    error: Reply | None = None
    answer_bytes: int = 0
    first: dict[str, Any] = field(default_factory=dict)
    _rest: bytes = b""
    _texts: dict[int, list[str]] = field(default_factory=dict)
    _ends: dict[int, str] = field(default_factory=dict)
    _calls: dict[int, dict[int, dict[str, Any]]] = field(default_factory=dict)
    _has_calls: bool = False

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The chunks that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            field_name, _, value = line.rstrip(b"\r").partition(b":")
            if field_name != b"data" or self.error is not None:
                continue
            value = value.removeprefix(b" ")
            if value == _DONE:
                self.is_done = True
                continue
            chunk = self._chunk(value)
            if chunk is not None:
                yield chunk

    @property
    def has_content(self) -> bool:
        """Whether anything came that a client can use."""
        return bool(self.answer_bytes or self._has_calls)

    @property
    def text(self) -> str:
        """What the model wrote in its first choice so far."""
        return "".join(self._texts.get(0, ()))

    @property
    def has_calls(self) -> bool:
        """Whether it calls tools."""
        return self._has_calls

    def reply(self, detail: str = "the stream broke off") -> Reply:
        """What it all was, once the stream has ended, however it did."""
        known: dict[str, Any] = {"reported": self.reported, "answer_bytes": self.answer_bytes}
        if self.error is not None:
            return Reply(
                outcome=self.error.outcome,
                detail=self.error.detail,
                status=self.error.status,
                retry_after_s=self.error.retry_after_s,
                is_blank=self.error.is_blank and not self.answer_bytes,
                **known,
            )
        if not (self.is_done or self._ends):
            return Reply(outcome=Outcome.TRANSPORT, detail=detail, status=200, **known)
        outcome = Outcome.REFUSED if "content_filter" in self._ends.values() else Outcome.OK
        return Reply(outcome=outcome, status=200, body=self._whole(), **known)

    def _whole(self) -> dict[str, Any]:
        """The completion that the chunks are parts of."""
        choices = []
        for at in sorted({0, *self._texts, *self._calls, *self._ends}):
            message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text_of(at))}
            if calls := self._calls.get(at):
                message["tool_calls"] = [calls[number] for number in sorted(calls)]
            choices.append({"index": at, "message": message, "finish_reason": self._ends.get(at)})
        return {**self.first, "choices": choices, "usage": self.reported}

    def _text_of(self, at: int) -> list[str]:
        return self._texts.setdefault(at, [])

    def _chunk(self, value: bytes) -> dict[str, Any] | None:
        try:
            chunk = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            chunk = None
        if not isinstance(chunk, dict):
            self.error = Reply(outcome=Outcome.TRANSPORT, detail="a chunk is not JSON")
            return None
        if chunk.get("error"):
            inner = chunk["error"]
            status = inner.get("code") if isinstance(inner, Mapping) else None
            self.error = read_error(status if isinstance(status, int) else 500, {}, chunk)
            return None
        if not self.first:
            self.first = {name: chunk[name] for name in ("id", "created", "model") if name in chunk}
        if chunk.get("usage") is not None:
            self.reported = chunk["usage"]
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, Mapping):
                self._take(choice)
        return chunk

    def _take(self, choice: Mapping[str, Any]) -> None:
        index = choice.get("index")
        at = index if isinstance(index, int) else 0
        delta = choice.get("delta")
        self.answer_bytes += _written_bytes(delta)
        if isinstance(delta, Mapping):
            if isinstance(delta.get("content"), str):
                self._text_of(at).append(delta["content"])
            self._has_calls |= bool(delta.get("tool_calls") or delta.get("function_call"))
            parts = delta.get("tool_calls")
            for part in parts if isinstance(parts, list) else ():
                _add_call(self._calls.setdefault(at, {}), part)
        if choice.get("finish_reason"):
            self._ends[at] = str(choice["finish_reason"])


def _add_call(calls: dict[int, dict[str, Any]], part: object) -> None:
    """Put a part of a tool call to what came of it before."""
    if not isinstance(part, Mapping):
        return
    index = part.get("index")
    function = part.get("function")
    call = calls.setdefault(
        index if isinstance(index, int) else len(calls),
        {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
    )
    call["id"] = part.get("id") or call["id"]
    if isinstance(function, Mapping):
        for name in ("name", "arguments"):
            call["function"][name] += str(function.get(name) or "")


def _outcome_of(choices: list[dict[str, Any]]) -> tuple[Outcome, str]:
    """Whether there is an answer in it, or the model says that it will not."""
    if not choices:
        return Outcome.UNPARSABLE, "the answer has no choices"
    first = choices[0]
    message = first.get("message")
    if not isinstance(message, Mapping):
        return Outcome.UNPARSABLE, "the answer has no message"
    if message.get("refusal"):
        return Outcome.REFUSED, clean(f"the model refuses: {message['refusal']}")
    if first.get("finish_reason") == "content_filter":
        return Outcome.REFUSED, "the provider's filter holds the answer back"
    return Outcome.OK, ""


def _outcome_of_status(status: int, words: set[str]) -> Outcome:
    if status == 402 or words & _QUOTA:
        return Outcome.BUDGET
    if status == 429:
        return Outcome.RATE
    if status == 503:
        return Outcome.ASLEEP
    if status in (408, 409, 425) or status >= 500 or status < 400:
        return Outcome.TRANSPORT
    return Outcome.REFUSED


def _written_bytes(message: object) -> int:
    """Bytes of what a model wrote: text, refusal, reasoning, names and arguments of calls."""
    if not isinstance(message, Mapping):
        return 0
    total = 0
    for name in ("content", "refusal", "reasoning_content", "reasoning"):
        total += _text_bytes(message.get(name))
    calls = message.get("tool_calls")
    parts = calls if isinstance(calls, list) else ()
    found = [one.get("function") for one in parts if isinstance(one, Mapping)]
    for call in [*found, message.get("function_call")]:
        if isinstance(call, Mapping):
            total += _text_bytes(call.get("name")) + _text_bytes(call.get("arguments"))
    return total


def _text_bytes(value: object) -> int:
    if isinstance(value, list):
        return sum(_text_bytes(part.get("text")) for part in value if isinstance(part, Mapping))
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0


def _shortly(reported: object) -> str:
    return json.dumps(reported, default=str)[:1_000]
