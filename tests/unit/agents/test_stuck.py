"""Going round in circles, and what only looks like it."""

from __future__ import annotations

import pytest

from lakecore.agents import Step, StepKind
from lakecore.agents._stuck import stuck


def steps(*calls: tuple[str, str, str]) -> list[Step]:
    return [
        Step(number=n, kind=StepKind.TOOL, name="sql", arguments=a, result=r, outcome=o)
        for n, (a, r, o) in enumerate(calls, 1)
    ]


A, B, C = ('{"q": 1, "x": 2}', "one", "ok"), ('{"q": 2}', "two", "ok"), ('{"q": 3}', "x", "ok")
A_AGAIN = ('{"x": 2, "q": 1}', "one", "ok")
OTHER_ANSWER = ('{"q": 1, "x": 2}', "changed", "ok")


def error(n: int) -> tuple[str, str, str]:
    return (f'{{"q": {n}}}', "no such table", "error")


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ((A, A_AGAIN, A), "same call"),
        ((A, A), None),
        ((A, A, OTHER_ANSWER), None),
        ((A, A, B, A), None),
        ((A, B, A, B, A, B), "in turn"),
        ((A, B, A, B, A), None),
        ((A, B, C, A, B, C), None),
        ((error(1), error(2), error(3), error(4)), "same error"),
        ((error(1), error(2), A, error(3), error(4)), None),
        (((A[0], "x", "ok"), (B[0], "x", "ok"), (C[0], "x", "ok"), ("{", "x", "ok")), None),
        ((), None),
    ],
)
def test_stuck(calls: tuple[tuple[str, str, str], ...], why: str | None) -> None:
    """What counts as going in circles, and what does not."""
    found = stuck(steps(*calls))
    assert (found is None) if why is None else (why in str(found))


def test_a_call_under_way_is_not_counted() -> None:
    """Only what was answered can be the same again."""
    under_way = Step(number=4, kind=StepKind.TOOL, name="sql", arguments=A[0])
    assert stuck([*steps(A, A), under_way]) is None
