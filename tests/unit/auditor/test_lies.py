"""True and lying messages over real changes, generated: how many of each are blocked.

`LAKECORE_SOAK_ROUNDS` is the number of seeds. Printed are the seeds, and for every kind of
change how many lies were blocked and how many honest messages.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from tests.fakes.lies import EDITORS, Case, make_cases, to_steps
from tests.fakes.projects import write_history

from lakecore.auditor import Verdict, audit_commit
from lakecore.code import Repository

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "4"))
FIRST_SEED = 2026
# Whether a new branch changes behaviour or only moves it is beyond a program: counted, and
# in the figures, but not expected to be blocked.
UNDECIDABLE = "behaviour: a branch"


def judge_all(cases: list[Case], folder: Path) -> list[bool]:
    """Whether each case's message is blocked."""
    shas = write_history(folder, to_steps(cases))
    with Repository.open(folder) as repository:
        return [
            audit_commit(repository, repository.commit(sha)).verdict is Verdict.CONTRADICTED
            for sha in shas[1::2]
        ]


def test_lies_are_blocked_and_honest_messages_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At least 90% of the lies, at most 1% of the honest messages, undecidable lies included."""
    counts: Counter[tuple[str, bool, bool]] = Counter()
    wrong: list[str] = []
    for seed in range(FIRST_SEED, FIRST_SEED + ROUNDS):
        cases = list(make_cases(seed))
        for case, blocked in zip(cases, judge_all(cases, tmp_path / str(seed)), strict=True):
            counts[case.kind, case.lie, blocked] += 1
            if blocked and not case.lie:
                wrong.append(f"seed {seed}, {case.language}, {case.kind}: {case.message!r}")
    lies = sum(n for (_, lie, _), n in counts.items() if lie)
    blocked_lies = sum(n for (_, lie, blocked), n in counts.items() if lie and blocked)
    honest = sum(n for (_, lie, _), n in counts.items() if not lie)
    with capsys.disabled():
        print(f"\nseeds {FIRST_SEED} to {FIRST_SEED + ROUNDS - 1}")
        for kind in EDITORS:
            shown = [(counts[kind, lie, True], counts[kind, lie, False]) for lie in (True, False)]
            (caught, missed), (stopped, passed) = shown
            print(
                f"  {kind:<20} lies blocked {caught}/{caught + missed}, "
                f"honest blocked {stopped}/{stopped + passed}"
            )
        print(f"  all: lies {blocked_lies}/{lies}, honest {len(wrong)}/{honest}")
    assert blocked_lies >= 0.9 * lies
    assert len(wrong) <= 0.01 * honest, wrong
    assert counts[UNDECIDABLE, False, True] == 0
