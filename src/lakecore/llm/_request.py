"""A call of the ladder, and the request that a rung is sent for it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.llm._output import TEXT, Output
from lakecore.llm._redact import redact_json
from lakecore.llm._rung import LADDER, Rung
from lakecore.llm._tokens import Size, measure

MAX_PROMPT_BYTES: Final = 16 * MIB
MAX_CHOICES: Final = 16

_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_PASSED: Final = frozenset(
    {
        *("temperature", "top_p", "n", "stop", "seed", "presence_penalty", "frequency_penalty"),
        *("logit_bias", "logprobs", "top_logprobs", "tools", "tool_choice", "functions"),
        *("function_call", "parallel_tool_calls", "user", "metadata", "reasoning_effort"),
        *("verbosity", "safety_identifier", "prompt_cache_key"),
        # What local servers (llama.cpp, vLLM, Ollama) take beside.
        *("top_k", "min_p", "repeat_penalty", "chat_template_kwargs", "cache_prompt"),
    }
)
_OURS: Final = frozenset({"model", "messages", "response_format", "stream", "stream_options"})
"""Members of a request that the ladder itself reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who asks: what a call is metered by.

    Attributes:
        actor: the principal's name.
        key: the id of their API key; empty for whoever came without one.
        source: which part of Lakecore asks: ``api``, ``agent``, ``review``, …
        run: what the call belongs to; a budget may be set for it.
    """

    actor: str
    key: str = ""
    source: str = "api"
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call.

    Attributes:
        messages: in OpenAI's form.
        model: a rung's name, or ``ladder``: from the first rung on.
        order: names of rungs that the ladder begins with, in this order; it goes on with the
            others as settings have them. For ``ladder`` alone.
        parameters: further members of the request, such as `temperature` and `tools`.
        max_output_tokens: None: as the rung has it, which is also the most.
        budget_nano: nano-dollars that this call may cost; None: as settings say.
    """

    messages: Sequence[Mapping[str, Any]]
    model: str = LADDER
    order: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    max_output_tokens: int | None = None
    output: Output = TEXT
    budget_nano: int | None = None

    @classmethod
    def of_request(cls, body: object) -> tuple[Ask, bool, bool]:
        """From a chat completion request; whether it is to be streamed, and with usage.

        Raises:
            InvalidInput: a member is missing, of another type, or not known: a price cannot be
                bounded by what is not known.
        """
        if not isinstance(body, Mapping):
            raise InvalidInput("the body is an object", found=type(body).__name__)
        unknown = sorted(str(name) for name in body.keys() - _PASSED - _OURS - set(_LIMITS))
        if unknown:
            raise InvalidInput(
                "the request has a member that is not known", found=", ".join(unknown)[:200]
            )
        model = body.get("model")
        if not isinstance(model, str):
            raise InvalidInput("the request needs a model", expected="text", where="model")
        limits = [body[name] for name in _LIMITS if body.get(name) is not None]
        options = body.get("stream_options")
        wants_usage = isinstance(options, Mapping) and options.get("include_usage") is True
        ask = cls(
            messages=body.get("messages"),  # type: ignore[arg-type]  # looked at by `check`
            model=model,
            parameters={name: body[name] for name in body.keys() & _PASSED},
            max_output_tokens=min(map(_positive, limits)) if limits else None,
            output=Output.of_request(body.get("response_format")),
        )
        ask.check()
        return ask, body.get("stream") is True, wants_usage

    def check(self) -> None:
        """Raises `InvalidInput` where this is no request that any rung could be sent."""
        messages: object = self.messages
        if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)) or not messages:
            raise InvalidInput("a request needs messages", expected="a list", where="messages")
        for at, message in enumerate(messages):
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
                raise InvalidInput("a message has a role", where=f"messages[{at}]")
        unknown = sorted(self.parameters.keys() - _PASSED)
        if unknown:
            raise InvalidInput("not a parameter that is known", found=", ".join(unknown)[:200])
        if self.max_output_tokens is not None:
            _positive(self.max_output_tokens)
        if not 1 <= self.choices <= MAX_CHOICES:
            raise InvalidInput("too many choices", expected=f"n from 1 to {MAX_CHOICES}")
        self.output.prepare()

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        count = self.parameters.get("n")
        if count is None:
            return 1
        return count if isinstance(count, int) and not isinstance(count, bool) else 0

    def redacted(self) -> tuple[Ask, int]:
        """The call without the secrets in it, and how many there were."""
        messages, in_messages = redact_json(list(self.messages))
        parameters, in_parameters = redact_json(dict(self.parameters))
        output, in_schema = self.output, 0
        if output.schema is not None:
            schema, in_schema = redact_json(output.schema)
            output = replace(output, schema=schema) if in_schema else output
        clean = replace(self, messages=messages, parameters=parameters, output=output)
        return clean, in_messages + in_parameters + in_schema


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one rung is sent for a call.

    Attributes:
        content: the JSON body.
        max_output: tokens of all choices together.
    """

    rung: Rung
    content: bytes
    size: Size
    max_output: int
    is_stream: bool

    @property
    def most_nano(self) -> int:
        """The most that it can cost."""
        return self.rung.prices.cost_nano(self.size.most, self.max_output)


def prepare(
    ask: Ask, rung: Rung, *, repairs: Sequence[Mapping[str, Any]] = (), is_stream: bool = False
) -> Prepared:
    """The request of a call for one rung.

    Raises:
        InvalidInput: it is longer than `MAX_PROMPT_BYTES`, or no JSON.
    """
    messages = [*ask.messages, *repairs]
    instructions = ask.output.instructions(rung.structured)
    if instructions is not None:
        messages = [{"role": "system", "content": instructions}, *messages]
    limit = min(ask.max_output_tokens or rung.max_output_tokens, rung.max_output_tokens)
    body: dict[str, Any] = {
        **ask.parameters,
        "model": rung.model,
        "messages": messages,
        rung.output_member: limit,
        **ask.output.request_members(rung.structured),
    }
    if is_stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    try:
        content = msgspec.json.encode(body)
    except (TypeError, UnicodeEncodeError, RecursionError, OverflowError) as error:
        raise InvalidInput("the request is no JSON", found=str(error)[:200]) from error
    if len(content) > MAX_PROMPT_BYTES:
        raise InvalidInput(
            "the prompt is too long",
            expected=f"at most {MAX_PROMPT_BYTES:,} bytes",
            found=f"{len(content):,}",
        )
    read = {name: body[name] for name in ("tools", "functions", "response_format") if name in body}
    return Prepared(
        rung=rung,
        content=content,
        size=measure([messages, read]),
        max_output=limit * ask.choices,
        is_stream=is_stream,
    )


def _positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput("not a number of tokens", expected="1 or more", found=repr(value)[:80])
    return value
