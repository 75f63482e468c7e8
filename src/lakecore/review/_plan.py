"""How a run goes about it, what it would ask, and what came of it: values."""

from __future__ import annotations

from dataclasses import dataclass, field

from lakecore.review._gate import FileOutcome, Gate
from lakecore.review._memory import Memory
from lakecore.review._ports import FileRef


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run goes about it.

    Attributes:
        max_tokens: of the text in one question; longer files are split.
        workers: files under review at a time.
        again: A/A pairs in one run, as long as the floor rests on fewer than `floor_pairs`.
        confirm: look at claimed fixes.
        min_families: of models that have to have looked before a fix is confirmed.
        everything: also files whose text is as it was at the last review.
    """

    max_tokens: int = 12_000
    workers: int = 4
    again: int = 10
    floor_pairs: int = 40
    confirm: bool = True
    min_families: int = 2
    everything: bool = False
    proposal: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would ask, before anything is asked.

    Attributes:
        unchanged: files that were reviewed as they are, and are left out.
        unreadable: (path, why) of files that are no text.
        prompt_tokens, completion_tokens: estimates, of the reviews without confirmations.
    """

    files: tuple[FileRef, ...]
    unchanged: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    questions: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of it; `missing` files are asked about when the run is run again."""

    run_id: str
    iteration: int
    outcomes: tuple[FileOutcome, ...]
    gate: Gate
    reviewed: int
    missing: tuple[str, ...]
    confirmed: int
    cost_microusd: int
    memory: Memory = field(repr=False)
