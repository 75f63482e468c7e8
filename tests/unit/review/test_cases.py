"""Sets of cases: written, read, refused; and a reviewer tried on one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.fakes.oracle_models import OracleModels
from tests.unit.review.repositories import faulty, mended

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.review import (
    Bar,
    CaseSet,
    Drift,
    canary_exit_code,
    judge_canary,
    make_cases,
    read_cases,
    try_on,
    write_cases,
)
from lakecore.review._drift import BASELINE_RUNS

BAR = Bar("look at it")
TEXTS = [(f"src/rules_{n}.py", mended(faulty(n))) for n in range(20)]
SEEDS = 30


def cases_of(each: int = 2) -> CaseSet:
    return make_cases(TEXTS, seed="s", each=each)


def oracle_for(cases: CaseSet, seed: int, recall: float) -> OracleModels:
    clean = {line.strip() for case in cases.cases for line in case.text.splitlines()}
    return OracleModels(clean=clean, seed=seed, recall=recall, false=0.1, families=("qwen",))


def test_a_set_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Whatever its line ends; a text is stored once; the same seed gives the same set."""
    texts = [*TEXTS, ("src/dos.py", TEXTS[0][1].replace("\n", "\r\n")), ("a.txt", "nothing here")]
    cases = make_cases(texts, seed="s", each=2)
    write_cases(tmp_path, cases)
    write_cases(tmp_path, cases)  # again: nothing happens
    found = read_cases(tmp_path)
    assert (found, found.id) == (cases, make_cases(texts, seed="s", each=2).id)
    assert (
        len(list((tmp_path / "texts").iterdir())) == len(texts) - 1
    )  # one has no place for a fault
    for case in found.cases:
        differing = [
            at
            for at, (mine, theirs) in enumerate(
                zip(case.text.splitlines(True), case.shown().splitlines(True), strict=True), 1
            )
            if mine != theirs
        ]
        assert differing == ([case.line] if case.is_planted else [])
    with pytest.raises(InvalidInput, match="another set"):
        write_cases(tmp_path, make_cases(texts, seed="another", each=2))


@pytest.mark.parametrize(
    "harm",
    [
        lambda body: body.update(version=2),
        lambda body: body.update(cases={}),
        lambda body: body.pop("cases"),
        lambda body: body["cases"][0].update(text="../../secret.txt"),
        lambda body: body["cases"][0].update(text="99.txt"),
        lambda body: body["cases"][0].update(line=10_000),
        lambda body: body["cases"][0].update(before="something else"),
        lambda body: body["cases"][0].update(after="something else"),
        lambda body: body["cases"][0].update(line="1"),
        lambda body: body["cases"][0].pop("path"),
        lambda body: body["cases"].append(5),
    ],
)
def test_what_is_not_a_set_is_refused(tmp_path: Path, harm: object) -> None:
    """Harmed in any way it is not taken, and nothing outside of its folder is read."""
    write_cases(tmp_path, cases_of())
    body = json.loads((tmp_path / "set.json").read_text())
    harm(body)  # type: ignore[operator]  # a function of the table above
    (tmp_path / "set.json").write_text(json.dumps(body))
    with pytest.raises(CorruptData):
        read_cases(tmp_path)


def test_no_set_and_a_text_that_changed(tmp_path: Path) -> None:
    """Each has its error."""
    with pytest.raises(NotFound):
        read_cases(tmp_path)
    with pytest.raises(InvalidInput):
        make_cases([("a.txt", "nothing")], seed="s")
    write_cases(tmp_path, cases_of())
    clean = tmp_path / "texts" / "3.txt"
    clean.write_text(clean.read_text() + "\n# more\n")
    with pytest.raises(CorruptData):
        read_cases(tmp_path)


@pytest.mark.parametrize(("recall", "false"), [(1.0, 0.0), (0.0, 0.0), (0.6, 0.3)])
def test_a_reviewer_is_scored_as_it_was_dialled(recall: float, false: float) -> None:
    """Recall, precision and misses are those of the oracle: it shows the scoring, no model."""
    cases = cases_of()
    models = oracle_for(cases, 7, recall)
    models.false = false
    trials = try_on(cases, BAR, models, run_id="r")
    body = trials.to_body()
    assert (trials.is_whole, trials.planted, body["clean"]) == (True, 40, 20)
    low, high = body["recall_interval"]
    assert low <= recall <= high
    assert body["hits"] + len(body["misses"]) == 40
    assert abs(trials.others - false * 60) <= 12
    assert {miss["case"] for miss in body["misses"]} <= {one.id for one in cases.cases}


def test_answers_that_cannot_be_read_are_misses_and_silence_is_not_judged() -> None:
    """A model that forgot how to answer has drifted; one that is not there has not."""
    cases = cases_of(1)
    models = oracle_for(cases, 1, 1.0)
    whole = [try_on(cases, BAR, models, run_id=f"r{n}").canary_run() for n in range(5)]
    models.broken = 1.0
    broken = judge_canary(whole, try_on(cases, BAR, models, run_id="b"))
    assert broken is not None
    assert broken.is_alarm
    models.broken, models.out_after = 0.0, 3
    silent = try_on(cases, BAR, models, run_id="s")
    assert (silent.is_whole, judge_canary(whole, silent)) == (False, None)
    assert silent.unanswered.keys() == {"budget"}


def test_recall_that_falls_is_an_alarm_and_the_same_model_is_none() -> None:
    """Over seeds: A/A alarms in at most 5 %, a fall to a half in 90 %, too few runs in none."""
    cases = cases_of()
    same = fallen = early = 0
    first = random.Random(2026).randrange(10**6)
    for seed in range(first, first + SEEDS):
        models = oracle_for(cases, seed, 0.8)
        runs = []
        for number in range(BASELINE_RUNS):
            trials = try_on(cases, BAR, models, run_id=f"{seed}:{number}", workers=1)
            verdict = judge_canary(runs, trials)
            assert verdict is not None
            early += verdict.is_judged or verdict.is_alarm
            runs.append(trials.canary_run())
        again = judge_canary(runs, try_on(cases, BAR, models, run_id=f"{seed}:same", workers=1))
        models.recall = 0.4
        worse = judge_canary(runs, try_on(cases, BAR, models, run_id=f"{seed}:worse", workers=1))
        assert again is not None
        assert worse is not None
        same += again.is_alarm
        fallen += worse.is_alarm
    print(f"seeds {first} to {first + SEEDS - 1}: alarms {same} A/A, {fallen} after a fall")
    assert (early, same <= 0.05 * SEEDS, fallen >= 0.9 * SEEDS) == (0, True, True), (same, fallen)


def test_exit_codes() -> None:
    """An alarm weighs most, then what is not known."""
    fine, alarm = Drift(False, ""), Drift(True, "")
    early = Drift(False, "", None, False)
    assert canary_exit_code([fine, fine]) == 0
    assert canary_exit_code([fine, early, alarm]) == 1
    assert canary_exit_code([fine, early]) == canary_exit_code([None, fine]) == 3
    assert canary_exit_code([]) == 3
