"""The set of mutants made anew: the same lines, each killed by a test, none without a fault.

A module that is another one since the set was made is named and left out: the set has its text as
it was. `LAKECORE_SOAK_ROUNDS` is the number of modules: `make soak` makes the whole set again, as
``python -m benchmarks.review_set make FOLDER`` does.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.review_set import MODULES, ROOT, make

from lakecore.review import read_cases

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "1"))
GOLDEN = Path(__file__).parents[1] / "golden" / "review_set"
SEED = 2026


def test_the_set_is_made_again() -> None:
    """Each mutant fails a test of its module, and the module as it is passes."""
    golden = read_cases(GOLDEN).cases
    texts = {case.path: case.text for case in golden}
    same = [path for path in MODULES if texts.get(path) == (ROOT / path).read_text()]
    print("changed since:", sorted(texts.keys() - set(same)))
    chosen = same[:ROUNDS]
    made, survived = make(SEED, chosen) if chosen else (None, 0)
    if made is not None:
        assert [one.id for one in made.cases] == [c.id for c in golden if c.path in chosen]
        assert all(one.killed_by for one in made.cases if one.is_planted)
        print(f"{made.planted} mutants killed again, {survived} that no test killed")
