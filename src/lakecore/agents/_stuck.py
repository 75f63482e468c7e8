"""Whether an agent goes round in circles. Pure.

- the same call of a tool, three times with the same answer
- an error of a tool, the same four times in a row, whatever was asked
- two calls in turn, three times over, with the same answers
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from lakecore.agents._run import Step, StepKind

SAME_CALLS: Final = 3
SAME_ERRORS: Final = 4
TURNS: Final = 3


def stuck(steps: Sequence[Step]) -> str | None:
    """Why it is stuck, or None."""
    calls = [one for one in steps if one.kind is StepKind.TOOL and one.result is not None]
    told = [_told(one) for one in calls]
    if len(told) >= SAME_CALLS and len(set(told[-SAME_CALLS:])) == 1:
        return f"the same call of {calls[-1].name} {SAME_CALLS} times, with the same answer"
    errors = [(one.outcome, one.result) for one in calls[-SAME_ERRORS:]]
    if len(errors) == SAME_ERRORS and len(set(errors)) == 1 and errors[0][0] != "ok":
        return f"the same error {SAME_ERRORS} times in a row"
    turns = told[-2 * TURNS :]
    if len(turns) == 2 * TURNS and len(set(turns[::2])) == 1 and len(set(turns[1::2])) == 1:
        return f"two calls in turn, {TURNS} times over"
    return None


def _told(step: Step) -> tuple[str, str, str | None]:
    """A call and its answer; the order of its arguments is no difference."""
    try:
        arguments = json.dumps(json.loads(step.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = step.arguments
    return step.name, arguments, step.result
