"""Rungs of a ladder: where a model is asked, what it costs, what it may be asked. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from lakecore.base import InvalidInput, NotFound
from lakecore.llm._money import Prices

LADDER: Final = "ladder"
"""The model name that means: begin at the first rung."""

MAX_RUNGS: Final = 64
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Structured(StrEnum):
    """What a rung's server can be held to."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One OpenAI-compatible endpoint and model.

    Attributes:
        base_url: up to and with ``/v1``.
        api_key: None where none is needed; `key_missing` says which variable is not set.
        max_output_tokens: of an answer, where a request says nothing or more; without such a
            bound no budget could be kept.
        output_member: the request's member for that bound: ``max_tokens`` or, as OpenAI's newer
            models want it, ``max_completion_tokens``.
        max_concurrent: requests at a time, of all processes of this machine.
        requests_per_minute, tokens_per_minute: None: as many as come.
        retries: further attempts here for what may pass.
    """

    name: str
    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    key_missing: str | None = None
    prices: Prices = field(default_factory=Prices)
    max_output_tokens: int = 4_096
    output_member: str = "max_tokens"
    structured: Structured = Structured.SCHEMA
    max_concurrent: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout_s: float = 120.0
    retries: int = 2

    def __post_init__(self) -> None:
        if self.name == LADDER or not _NAME.fullmatch(self.name):
            raise InvalidInput(
                "not a name of a rung",
                expected=f"a-z, 0-9, '.', '_', '-', and not {LADDER!r}",
                found=repr(self.name)[:80],
            )
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                "not the URL of a model server",
                expected="for example http://127.0.0.1:8080/v1",
                where=f"rung {self.name}",
            )
        if parts.username or parts.password:
            raise InvalidInput(
                "no secret belongs in a URL", where=f"rung {self.name}", hint="use api_key_env"
            )
        if not self.model:
            raise InvalidInput("a rung needs a model", where=f"rung {self.name}")


def check_rungs(rungs: Sequence[Rung]) -> tuple[Rung, ...]:
    """The rungs, in order; names are unique."""
    names = [rung.name for rung in rungs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput("two rungs have one name", found=name)
    if len(names) > MAX_RUNGS:
        raise InvalidInput("too many rungs", expected=f"at most {MAX_RUNGS}", found=len(names))
    return tuple(rungs)


def reordered(rungs: Sequence[Rung], order: Sequence[str]) -> tuple[Rung, ...]:
    """The rungs that `order` names, in its order, then the others in theirs.

    Raises `NotFound` for a name that none of them has, `InvalidInput` for one that is there twice.
    """
    by_name = {rung.name: rung for rung in rungs}
    for name in order:
        if name not in by_name:
            raise NotFound("there is no such rung", expected=", ".join(by_name), found=name[:80])
    if len(set(order)) != len(order):
        raise InvalidInput("a rung is named twice in an order", found=", ".join(order)[:200])
    return (*(by_name[name] for name in order), *(r for r in rungs if r.name not in set(order)))
