"""How far a review is, on stderr: the estimate, then a bar where a person looks, or lines."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from lakecore.cli._output import note
from lakecore.cli._text import printable, shortened

if TYPE_CHECKING:
    from lakecore.app import Lake
    from lakecore.review import FileOutcome, Plan

FORMS: Final = ("auto", "bar", "lines", "none")
_BAR: Final = 24
_CLEAR: Final = "\r\x1b[2K"
_NANO: Final = 1e9


class Progress:
    """Told of a plan and of each file.

    Args:
        form: one of `FORMS`; ``auto``: a bar if stderr is a terminal, lines otherwise.
    """

    def __init__(self, form: str, lake: Lake) -> None:
        self._form = ("bar" if sys.stderr.isatty() else "lines") if form == "auto" else form
        self._lake = lake
        self._failed = 0

    def planned(self, plan: Plan) -> None:
        """What is about to be asked, before it is."""
        if self._form != "none":
            for line in estimate_lines(plan, self._lake):
                note(line)

    def file(self, outcome: FileOutcome, done: int, of: int) -> None:
        """One file is done, or was not reviewed whole."""
        told = outcome.why or f"{len(outcome.findings)} findings"
        path = printable(outcome.path)
        if self._form == "lines":
            note(f"{done:>5} of {of}  {path}: {told}")
        elif self._form == "bar":
            self._draw(path, told, done, of, is_well=outcome.is_whole)

    def _draw(self, path: str, told: str, done: int, of: int, *, is_well: bool) -> None:
        if not is_well:
            self._failed += 1
            # What went wrong stays above the bar.
            sys.stderr.write(f"{_CLEAR}{path}: {told}\n")
        full = _BAR * done // of if of else _BAR
        failed = f", {self._failed} not whole" if self._failed else ""
        head = f"{'━' * full}{'─' * (_BAR - full)} {done} of {of}{failed}  "
        room = max(10, shutil.get_terminal_size().columns - len(head) - 1)
        end = "\n" if done >= of else ""
        sys.stderr.write(f"{_CLEAR}{head}{shortened(path, room)}{end}")
        sys.stderr.flush()


def costs_of(plan: Plan, lake: Lake) -> list[tuple[str, float]]:
    """(rung, dollars) of a plan, confirmations aside."""
    return [
        (rung.name, rung.prices.cost_nano(plan.prompt_tokens, plan.completion_tokens) / _NANO)
        for rung in lake.ladder.rungs
    ]


def estimate_lines(plan: Plan, lake: Lake) -> list[str]:
    """A plan in words: files, questions, tokens, and dollars by each rung."""
    return [
        f"{len(plan.files)} files, {plan.questions} questions, about {plan.prompt_tokens:,} + "
        f"{plan.completion_tokens:,} tokens; {len(plan.unchanged)} are as they were, "
        f"{len(plan.unreadable)} are no text",
        *(
            f"  all of it by {name}: about {usd:.4f} dollars, confirmations aside"
            for name, usd in costs_of(plan, lake)
        ),
    ]


def plan_body(plan: Plan, lake: Lake) -> dict[str, Any]:
    """A plan, JSON-ready."""
    return {
        "files": [ref.path for ref in plan.files],
        "unchanged": list(plan.unchanged),
        "unreadable": [list(one) for one in plan.unreadable],
        "questions": plan.questions,
        "prompt_tokens": plan.prompt_tokens,
        "completion_tokens": plan.completion_tokens,
        "cost_usd": dict(costs_of(plan, lake)),
    }
