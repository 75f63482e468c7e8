"""A reviewer tried on a set of cases whose faults are known: what it finds, misses, makes up.

The figures are of one rung under one bar. An answer that cannot be read found nothing; where
there was no answer, the run is not whole and says nothing of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from lakecore.code import language_of
from lakecore.review._cases import Case, CaseSet
from lakecore.review._drift import CanaryRun, Drift, drift
from lakecore.review._examine import UNGROUNDED, UNPARSABLE, Examined, Text, examine
from lakecore.review._gate import INCONCLUSIVE
from lakecore.review._noise import wilson
from lakecore.review._ports import Models
from lakecore.review._prompt import Bar

ANSWERED: Final = frozenset(("ok", UNPARSABLE, UNGROUNDED, "schema", "refused"))
"""The model said something, if only no."""
_WORST: Final = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One case, reviewed.

    Attributes:
        found: a finding is about the planted line.
        others: findings about anything else.
    """

    case: Case
    outcome: str
    found: bool = False
    others: int = 0
    score: float | None = None
    model: str = ""
    cost_microusd: int = 0


@dataclass(frozen=True, slots=True)
class Trials:
    """A reviewer on a set."""

    trials: tuple[Trial, ...] = field(repr=False)

    @property
    def is_whole(self) -> bool:
        """Every case was answered."""
        return all(one.outcome in ANSWERED for one in self.trials)

    @property
    def unanswered(self) -> Mapping[str, int]:
        """Why cases were not answered, and how many for each reason."""
        reasons = [one.outcome for one in self.trials if one.outcome not in ANSWERED]
        return {reason: reasons.count(reason) for reason in sorted(set(reasons))}

    @property
    def model(self) -> str:
        """Who answered."""
        return next((one.model for one in self.trials if one.model), "")

    @property
    def hits(self) -> int:
        """Planted faults that were found."""
        return sum(one.found for one in self.trials)

    @property
    def planted(self) -> int:
        """Planted faults."""
        return sum(one.case.is_planted for one in self.trials)

    @property
    def others(self) -> int:
        """Findings about anything but a planted fault.

        Some of them may be right: nobody knows all that is wrong with a text.
        """
        return sum(one.others for one in self.trials)

    @property
    def misses(self) -> tuple[Case, ...]:
        """Cases whose fault was not found."""
        return tuple(one.case for one in self.trials if one.case.is_planted and not one.found)

    @property
    def flagged(self) -> int:
        """Cases without a planted fault that have a finding all the same."""
        return sum(one.others > 0 for one in self.trials if not one.case.is_planted)

    @property
    def cost_microusd(self) -> int:
        """Of all attempts, in millionths of a dollar."""
        return sum(one.cost_microusd for one in self.trials)

    def canary_run(self) -> CanaryRun:
        """For the control limits; what could not be read has the worst score."""
        scores = (_WORST if one.score is None else one.score for one in self.trials)
        return CanaryRun(self.hits, self.planted, tuple(scores))

    def to_body(self) -> dict[str, Any]:
        """JSON-ready: figures with their 95 % intervals, and the misses by name."""
        return {
            "model": self.model,
            "is_whole": self.is_whole,
            "unanswered": dict(self.unanswered),
            "planted": self.planted,
            "hits": self.hits,
            "clean": len(self.trials) - self.planted,
            "clean_with_findings": self.flagged,
            "other_findings": self.others,
            "recall": self.hits / self.planted if self.planted else None,
            "recall_interval": list(wilson(self.hits, self.planted)),
            "precision": self.hits / (self.hits + self.others) if self.hits + self.others else None,
            "precision_interval": list(wilson(self.hits, self.hits + self.others)),
            "cost_usd": self.cost_microusd / 1_000_000,
            "misses": [
                {"case": c.id, "path": c.path, "line": c.line, "what": c.what, "after": c.after}
                for c in self.misses
            ],
        }


def try_on(
    cases: CaseSet,
    bar: Bar,
    models: Models,
    *,
    run_id: str,
    max_tokens: int = 12_000,
    workers: int = 4,
    on_case: Callable[[int, int], None] = lambda done, of: None,
) -> Trials:
    """Have every case reviewed, blind: nobody is told which of them have a fault."""
    found: list[Trial] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="lakecore-canary") as threads:
        # Lazily handed out it is not, but a set is bounded.
        asked = [
            threads.submit(_trial, case, bar, models, f"{run_id}:{number}:canary", max_tokens)
            for number, case in enumerate(cases.cases)
        ]
        for future in asked:
            found.append(future.result())
            on_case(len(found), len(asked))
    return Trials(tuple(found))


def exit_code(judged: Sequence[Drift | None]) -> int:
    """Of several rungs: 1 one gives an alarm, 3 of one it is not known, 0 all are as they were.

    None stands for a run that was not whole.
    """
    if any(one is not None and one.is_alarm for one in judged):
        return 1
    if not judged or any(one is None or not one.is_judged for one in judged):
        return INCONCLUSIVE
    return 0


def judge(earlier: Sequence[CanaryRun], trials: Trials) -> Drift | None:
    """What a run is against earlier ones of the same set, bar and model; None: it is not whole."""
    return drift([*earlier, trials.canary_run()]) if trials.is_whole else None


def _trial(case: Case, bar: Bar, models: Models, call_id: str, max_tokens: int) -> Trial:
    shown = case.shown()
    text = Text(case.path, shown, language_of(case.path, shown))
    examined = examine(text, bar, models, call_id=call_id, max_tokens=max_tokens)
    about = _about(examined, case.line)
    return Trial(
        case,
        examined.outcome,
        found=about > 0,
        others=len(examined.findings) - about,
        score=examined.score,
        model=examined.reply.model,
        cost_microusd=examined.reply.cost_microusd,
    )


def _about(examined: Examined, line: int) -> int:
    """Findings whose quote has the planted line in it."""
    return sum(1 for one in examined.findings if line and one.line <= line <= one.end_line)
