"""How an attempt at a rung can end, and what comes next: one table. No I/O.

===========  ============================================================  =====  ======  =====
outcome      when                                                          again  repair  leave
===========  ============================================================  =====  ======  =====
ok           an answer of the form that was asked for                      .      .       .
transport    the connection broke, timed out, or the server failed         yes    .       yes
rate         too many requests, by the provider's limits or ours           yes    .       yes
asleep       nobody listens, or the server says that it is not ready       .      .       yes
budget       it could cost more than is left                               .      .       yes
refused      the model or its provider will not                            .      .       yes
unparsable   nothing, or no JSON where JSON was asked for                  .      yes     yes
schema       JSON, but not of the schema                                   .      yes     yes
ungrounded   the caller's own check says that nothing backs it             .      yes     yes
no_rung      there is none to ask                                          .      .       .
cancelled    whoever asked went away                                       .      .       .
unknown      the process died before the answer was on record              .      .       .
===========  ============================================================  =====  ======  =====

*Again* is the same request at the same rung, later; *repair* the same rung, told what was
wrong; *leave* the next rung. All three are bounded. A rung is left only for one of these
words, and the attempt that follows carries it. A dearer rung is entered only for those that
the policy names (`Policy.climb`): otherwise it is passed over, and a cheaper one may follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from lakecore.llm._rung import Rung


class Outcome(StrEnum):
    """How an attempt, or a whole call, ended."""

    OK = "ok"
    TRANSPORT = "transport"
    RATE = "rate"
    ASLEEP = "asleep"
    BUDGET = "budget"
    REFUSED = "refused"
    UNPARSABLE = "unparsable"
    SCHEMA = "schema"
    UNGROUNDED = "ungrounded"
    NO_RUNG = "no_rung"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Row:
    again: bool = False
    repair: bool = False
    leave: bool = False
    is_fault: bool = False
    """Counts towards opening the rung's circuit; anything that was answered closes it."""


_TABLE: Final[dict[Outcome, _Row]] = {
    Outcome.OK: _Row(),
    Outcome.TRANSPORT: _Row(again=True, leave=True, is_fault=True),
    Outcome.RATE: _Row(again=True, leave=True),
    Outcome.ASLEEP: _Row(leave=True, is_fault=True),
    Outcome.BUDGET: _Row(leave=True),
    Outcome.REFUSED: _Row(leave=True),
    Outcome.UNPARSABLE: _Row(repair=True, leave=True),
    Outcome.SCHEMA: _Row(repair=True, leave=True),
    Outcome.UNGROUNDED: _Row(repair=True, leave=True),
    Outcome.NO_RUNG: _Row(),
    Outcome.CANCELLED: _Row(),
    Outcome.UNKNOWN: _Row(),
}

REASONS: Final = tuple(outcome for outcome, row in _TABLE.items() if row.leave)
"""What a rung may be left for."""

ANSWERED: Final = frozenset(
    {Outcome.OK, Outcome.REFUSED, Outcome.UNPARSABLE, Outcome.SCHEMA, Outcome.UNGROUNDED}
)
"""The server did answer: it is awake."""


def is_fault(outcome: Outcome) -> bool:
    """Whether it speaks against the rung's server."""
    return _TABLE[outcome].is_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How far a call goes.

    Attributes:
        climb: the outcomes for which a dearer rung may be entered.
        repairs: times that one rung is told what was wrong with its answer.
        max_attempts: of one call, over all rungs.
        max_pause_s: the longest that one attempt is waited for, whatever Retry-After says;
            a rung that asks for more is left instead.
        backoff_s: the first pause where nobody says how long; it doubles.
    """

    climb: frozenset[Outcome] = frozenset({Outcome.UNPARSABLE, Outcome.SCHEMA, Outcome.UNGROUNDED})
    repairs: int = 1
    max_attempts: int = 12
    max_pause_s: float = 30.0
    backoff_s: float = 0.5


class Move(StrEnum):
    """What comes next."""

    ASK = "ask"
    REPAIR = "repair"
    END = "end"


@dataclass(frozen=True, slots=True)
class Left:
    """A rung that was left, or passed over, and why."""

    rung: str
    reason: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do: ask the rung at `index` after a pause, or end with `outcome`."""

    move: Move
    index: int = 0
    pause_s: float = 0.0
    outcome: Outcome = Outcome.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where a call stands on the ladder. `begin`, then `after` each attempt; immutable.

    - A rung is never asked again once it was left.
    - `left` has one entry for each rung that was left or passed over, in order.
    - It ends: no step leads back, and each counts down something.
    """

    rungs: tuple[Rung, ...]
    policy: Policy
    index: int = 0
    tries: int = 0
    repairs: int = 0
    attempts: int = 0
    left: tuple[Left, ...] = field(default=())

    @classmethod
    def begin(cls, rungs: Sequence[Rung], policy: Policy) -> tuple[Walk, Step]:
        """At the first rung."""
        walk = cls(rungs=tuple(rungs), policy=policy)
        if not walk.rungs:
            return walk, Step(Move.END, outcome=Outcome.NO_RUNG)
        return walk, Step(Move.ASK)

    @property
    def rung(self) -> Rung:
        """The rung that is asked now."""
        return self.rungs[self.index]

    def after(
        self, outcome: Outcome, *, detail: str = "", retry_after_s: float | None = None
    ) -> tuple[Walk, Step]:
        """The walk and the next step, once an attempt at `rung` has ended."""
        row = _TABLE[outcome]
        done = replace(self, attempts=self.attempts + 1)
        is_spent = done.attempts >= self.policy.max_attempts
        if row.again and not is_spent and self.tries < self.rung.retries:
            pause_s = self._pause_s(retry_after_s)
            if pause_s <= self.policy.max_pause_s:
                return replace(done, tries=self.tries + 1), Step(Move.ASK, self.index, pause_s)
        if row.repair and not is_spent and self.repairs < self.policy.repairs:
            return replace(done, repairs=self.repairs + 1), Step(Move.REPAIR, self.index)
        if row.leave:
            return done._leave(outcome, detail, is_spent)
        return done, Step(Move.END, self.index, outcome=outcome)

    def _leave(self, reason: Outcome, detail: str, is_spent: bool) -> tuple[Walk, Step]:
        here = self.rung
        left = (*self.left, Left(here.name, reason, detail))
        for index in range(self.index + 1, len(self.rungs)):
            below = self.rungs[index]
            if is_spent:
                break
            if not below.prices.is_dearer_than(here.prices) or reason in self.policy.climb:
                moved = replace(self, index=index, tries=0, repairs=0, left=left)
                return moved, Step(Move.ASK, index)
            passed = f"dearer than {here.name}: [llm] climb has no {reason}"
            left = (*left, Left(below.name, reason, passed))
        return replace(self, left=left), Step(Move.END, self.index, outcome=reason)

    def _pause_s(self, retry_after_s: float | None) -> float:
        if retry_after_s is not None:
            return max(0.0, retry_after_s)
        return min(self.policy.backoff_s * 2.0**self.tries, self.policy.max_pause_s)
