"""What is written down of an attempt: before it, after it, and what is shown. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from lakecore.llm._outcome import Left, Outcome
from lakecore.llm._request import By
from lakecore.llm._rung import Rung
from lakecore.llm._tokens import NOTHING, Usage

DATASET: Final = "system.usage"
MAX_DETAIL_CHARACTERS: Final = 500


class Scope(StrEnum):
    """What a budget is over."""

    CALL = "call"
    RUN = "run"
    KEY = "key"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Nano-dollars that may be spent: by a call, a run, a key a day, all of a day.

    None: not bounded. 0: nothing that costs.
    """

    call_nano: int | None = None
    run_nano: int | None = None
    key_nano: int | None = None
    day_nano: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """What may be spent.

    Attributes:
        is_key: of one key; else of all.
        spent_nano: of today's, spent or reserved.
    """

    budgets: Budgets
    is_key: bool
    spent_nano: int

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready, in dollars."""
        from lakecore.llm._money import usd_of

        today = self.budgets.key_nano if self.is_key else self.budgets.day_nano
        left = None if today is None else max(0, today - self.spent_nano)
        figures = {
            "call_usd": self.budgets.call_nano,
            "run_usd": self.budgets.run_nano,
            "today_usd": today,
            "today_left_usd": left,
        }
        return {name: None if nano is None else usd_of(nano) for name, nano in figures.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """An attempt about to be made.

    Attributes:
        id: of the attempt; the server is told it, as ``X-Client-Request-Id``.
        call_id, ordinal: its call, and which attempt of that it is, from 0.
        most_nano: the most that it can cost.
        tokens: its estimate, for the rung's tokens a minute.
        budgets: what holds for it.
        left: the rungs that were left on the way here.
    """

    id: str
    call_id: str
    ordinal: int
    by: By
    rung: Rung
    most_nano: int
    prompt_most: int
    output_most: int
    tokens: int
    budgets: Budgets
    left: Sequence[Left] = ()
    redactions: int = 0

    @property
    def left_json(self) -> str:
        """The rungs that were left, as kept."""
        return msgspec.json.encode(self.left).decode() if self.left else ""


@dataclass(frozen=True, slots=True)
class Granted:
    """It is on record: go on."""


@dataclass(frozen=True, slots=True)
class Denied:
    """It may not be made now; nothing was written.

    Attributes:
        outcome: rate, asleep or budget.
        retry_after_s: when it is worth asking again.
        is_full: only because as many are under way as may be.
    """

    outcome: Outcome
    detail: str
    retry_after_s: float | None = None
    is_full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ended.

    Attributes:
        reported: the provider's own `usage`, as JSON, whatever it says.
        retry_after_s: how long the server wants no further request.
    """

    outcome: Outcome
    usage: Usage = NOTHING
    is_most: bool = False
    """Nobody knows what it cost: it counts as the most that it can be."""

    reported: str = ""
    detail: str = ""
    status: int | None = None
    duration_ms: float = 0.0
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """When a rung is left alone: after so many faults on end, for so long."""

    faults: int = 5
    open_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over attempts.

    Attributes:
        calls: calls of the ladder, whatever became of them.
        requests: attempts that a server was sent, failed and repeated ones too.
        failed: those that did not end with an answer of the form that was asked for.
        denied: calls that ended without a request: no budget, no room, no rung.
        estimated: requests whose tokens are an estimate, or the most that it can be.
    """

    calls: int = 0
    requests: int = 0
    failed: int = 0
    denied: int = 0
    estimated: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with `total_tokens` and `cost_usd`."""
        from lakecore.llm._money import usd_of

        return {
            "calls": self.calls,
            "requests": self.requests,
            "failed": self.failed,
            "denied": self.denied,
            "estimated": self.estimated,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "cost_usd": usd_of(self.cost_nano),
            "cost_nano_usd": self.cost_nano,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Figures of all, and by model, rung, source, key, actor and day.

    Attributes:
        under_way: attempts that are reserved and not settled, and `reserved_nano` what for.
    """

    total: Figures = field(default_factory=Figures)
    by: dict[str, dict[str, Figures]] = field(default_factory=dict)
    under_way: int = 0
    reserved_nano: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As ``GET /v1/usage`` has it."""
        from lakecore.llm._money import usd_of

        grouped = {
            f"by_{name}": {member: figures.to_dict() for member, figures in members.items()}
            for name, members in self.by.items()
        }
        return {
            **self.total.to_dict(),
            "under_way": self.under_way,
            "reserved_usd": usd_of(self.reserved_nano),
            **grouped,
        }
