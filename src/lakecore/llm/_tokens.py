"""Tokens: the most that a request can cost, and figures where a provider's are wrong. No I/O.

- **The most.** A token is at least a byte of text, so a prompt has no more tokens than bytes;
  a message's frame and an image are counted on top. A budget is reserved by this bound.
- **The estimate.** One token for every three bytes, and four for a message's frame: a little
  above what tokenizers make of English, about what they make of Chinese. It is used where a
  provider says nothing, or what cannot be: such figures are marked ``estimate``.
- **What cannot be.** Figures that are no whole numbers, below 0, above the bound of the request,
  or so low that a token would stand for more than 128 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeGuard

BYTES_A_TOKEN: Final = 3
_MAX_BYTES_A_TOKEN: Final = 128
_FRAME: Final = 4
_MAX_FRAME: Final = 64
"""Chat templates put a few special tokens, and words such as a date, around messages."""

_IMAGE: Final = 2_048
"""An image or a sound counts so much, whatever the length of its URL."""

_MAX_PROMPT_SLACK: Final = 1_024
"""Tokens that a template may put before the first message: tools, a system text of its own."""


class Origin(StrEnum):
    """Where the figures of an attempt are from."""

    PROVIDER = "provider"
    ESTIMATE = "estimate"
    RESERVED = "reserved"
    NONE = "none"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Size:
    """How long a request's prompt is.

    Attributes:
        text_bytes: UTF-8 bytes of all texts, tools included.
        messages: how many; a tool counts as one.
        media: images and sounds.
    """

    text_bytes: int
    messages: int
    media: int = 0

    @property
    def most(self) -> int:
        """No tokenizer makes more tokens of it."""
        frames = self.messages * _MAX_FRAME + _MAX_PROMPT_SLACK
        return self.text_bytes + frames + self.media * _IMAGE

    @property
    def estimate(self) -> int:
        """What it is counted as where nobody says."""
        return estimate_tokens(self.text_bytes) + self.messages * _FRAME + self.media * _IMAGE // 2

    @property
    def least(self) -> int:
        """A figure below is not believed."""
        return max(1, self.text_bytes // _MAX_BYTES_A_TOKEN)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one attempt, and where the figures are from."""

    prompt_tokens: int
    completion_tokens: int
    origin: Origin


NOTHING: Final = Usage(0, 0, Origin.NONE)


def estimate_tokens(text_bytes: int) -> int:
    """The estimate for so many bytes of text.

    >>> estimate_tokens(0), estimate_tokens(1), estimate_tokens(300)
    (0, 1, 100)
    """
    return -(-text_bytes // BYTES_A_TOKEN)


def measure(value: object) -> Size:
    """The size of a request's `messages`, tools, and whatever else the model reads."""
    text_bytes = messages = media = 0
    stack: list[object] = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, str):
            text_bytes += len(found.encode("utf-8", "surrogatepass"))
        elif isinstance(found, Mapping):
            if _is_media(found):
                media += 1
                continue
            messages += "role" in found or "function" in found
            text_bytes += sum(len(str(name)) for name in found)
            stack.extend(found.values())
        elif isinstance(found, (list, tuple)):
            stack.extend(found)
        elif found is not None:
            text_bytes += len(str(found))
    return Size(text_bytes, messages, media)


def _is_media(part: Mapping[str, Any]) -> bool:
    return part.get("type") in ("image_url", "input_audio", "file")


def usage_of(reported: object, size: Size, *, answer_bytes: int, max_output: int) -> Usage:
    """The usage of an attempt that was answered: as reported, or the estimate.

    Args:
        reported: the provider's `usage`, whatever it is.
        answer_bytes: UTF-8 bytes of what came.
        max_output: tokens that the answer was bounded to, all choices together.
    """
    if isinstance(reported, Mapping):
        prompt = reported.get("prompt_tokens")
        completion = reported.get("completion_tokens")
        total = reported.get("total_tokens")
        if (
            _is_count(prompt, size.least, size.most)
            and _is_count(completion, answer_bytes // _MAX_BYTES_A_TOKEN, max_output)
            and (total is None or total == prompt + completion)
        ):
            return Usage(prompt, completion, Origin.PROVIDER)
    completion = min(estimate_tokens(answer_bytes), max_output)
    return Usage(min(size.estimate, size.most), completion, Origin.ESTIMATE)


def _is_count(value: Any, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
