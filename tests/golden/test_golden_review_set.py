"""The set of mutants that reviewers are tried on: as it was made, and scored with an oracle.

The oracle knows every line that is as it should be: that it finds what is planted shows that the
scoring works, and nothing of any model. How mutants are made and killed anew:
`tests/fault/test_review_set.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.review_set import MODULES, mutants_of
from tests.fakes.oracle_models import OracleModels

from lakecore.review import Bar, CaseSet, read_cases, try_on

FOLDER = Path(__file__).parent / "review_set"


@pytest.fixture(scope="module")
def cases() -> CaseSet:
    return read_cases(FOLDER)


def test_the_set_is_what_the_generator_makes(cases: CaseSet) -> None:
    """Equal numbers with and without a fault; each fault is a mutant, with the test that fails."""
    planted = [case for case in cases.cases if case.is_planted]
    clean = [case for case in cases.cases if not case.is_planted]
    assert len(planted) == len(clean) >= 8
    assert len({case.id for case in cases.cases}) == len(cases.cases)
    assert {case.path for case in planted} == {case.path for case in clean} <= MODULES.keys()
    for case in planted:
        known = {(one.line, one.after, one.what) for one in mutants_of(case.path, case.text)}
        assert (case.line, case.after, case.what) in known
        assert case.killed_by.startswith((MODULES[case.path], "does not end"))


@pytest.mark.parametrize(("recall", "false"), [(1.0, 0.0), (0.5, 0.0), (0.0, 0.0)])
def test_a_reviewer_is_scored_on_it(cases: CaseSet, recall: float, false: float) -> None:
    """Recall and precision with their intervals, misses by name."""
    clean = {line.strip() for case in cases.cases for line in case.text.splitlines()}
    models = OracleModels(clean, 5, recall, false)
    trials = try_on(cases, Bar("look at it"), models, run_id="r")
    body = trials.to_body()
    shown = {name: body[name] for name in ("recall", "recall_interval", "precision")}
    print(f"an oracle of recall {recall}: {shown}, missed {len(body['misses'])}")
    low, high = body["recall_interval"]
    assert low <= recall <= high
    assert body["clean_with_findings"] == 0
    assert len(body["misses"]) == body["planted"] - body["hits"]
