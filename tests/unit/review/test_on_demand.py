"""Confirming when somebody asks: by looks and a test; what is not shown stays open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.review.repositories import mended
from tests.unit.review.test_loop import PATHS, Bench

from lakecore.base import InvalidInput, NotFound
from lakecore.code import ExportLimits, Repository
from lakecore.review import Selection, State, Verdict
from lakecore.review._command import CommandResult, Ran
from lakecore.review._files import GitFiles
from lakecore.review._fix_test import FixTestRun, run_fix_test
from lakecore.review._loop import Loop
from lakecore.review._on_demand import (
    Decided,
    claims_of,
    confirm_on_demand,
    decided_again,
    last_open_revision,
)

FAILED, PASSED = CommandResult(Ran.FAILED, 1, "1 failed"), CommandResult(Ran.PASSED, 0)
SECRET = "ghp_" + "a1B2" * 9


class Claimed(Bench):
    """A repository with two claims that no run could confirm: one family was there."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.models.families = ("qwen",)
        self.first = self.run()
        for path in PATHS[:2]:
            self.edit(path, mended)
        self.second = self.run()
        self.models.families = ("qwen", "llama")

    def confirm(
        self, finding: str = "", test: FixTestRun | None = None, run_id: str = "ask-1"
    ) -> list[Decided]:
        """As the command does."""
        self.clock.advance(1_000_000)
        with Repository.open(self.project.root) as repository:
            memory = self.loop(repository).memory()
            claims = claims_of(memory, finding)
            paths = tuple({one.finding.path for one in claims})
            files = GitFiles(repository, memory.revision, Selection(paths=paths))
            loop = Loop(
                *("rules", files, self.models, self.records, self.loop(repository).bar),
                clock=self.clock,
                settings=self.settings,
            )
            return confirm_on_demand(loop, memory, claims, run_id=run_id, who="ada", test=test)

    def rows(self, kind: str) -> list[Any]:
        return list(self.records.rows.get(kind, {}).values())

    def claim(self) -> str:
        [one] = self.second.memory.files[PATHS[0]].tracked
        return one

    def state(self) -> State:
        with Repository.open(self.project.root) as repository:
            return self.loop(repository).memory().files[PATHS[0]].tracked[self.claim()].state

    def test(self, before: CommandResult | None, after: CommandResult | None, why: str = "") -> Any:
        return FixTestRun(("pytest", f"--key={SECRET}"), "b", "a", before, after, why)


@pytest.fixture
def bench(tmp_path: Path) -> Claimed:
    """Two claims."""
    return Claimed(tmp_path)


def test_all_claims_are_confirmed(bench: Claimed) -> None:
    """Both, by looks alone; the score moves, and the rows say so again."""
    assert bench.states(bench.second, PATHS[0]) == [State.CLAIMED_FIXED]
    before = bench.scores(bench.second)
    decided = bench.confirm()
    assert [one.confirmation.verdict for one in decided] == [Verdict.CONFIRMED] * 2
    assert bench.state() is State.CONFIRMED_FIXED
    third = bench.run()
    assert third.iteration == 3
    after = bench.scores(third)
    assert {path for path in PATHS if before[path] != after[path]} == set(PATHS[:2])
    assert bench.confirm(run_id="ask-2") == []
    for row in bench.rows("confirmations"):
        again = decided_again(row, bench.rows("reviews"))
        assert (again.verdict.value, again.reason) == (row["verdict"], row["reason"])
        assert (row["verdict"], row["who"], row["iteration"]) == ("confirmed", "ada", 2)


@pytest.mark.parametrize(
    ("before", "after", "why", "verdict", "asked"),
    [
        (FAILED, PASSED, "", Verdict.CONFIRMED, True),
        (PASSED, PASSED, "", Verdict.INCONCLUSIVE, False),
        (FAILED, FAILED, "", Verdict.REFUTED, False),
        (PASSED, FAILED, "", Verdict.REFUTED, False),
        (FAILED, None, "after: it did not end within 1 s", Verdict.INCONCLUSIVE, False),
        (None, None, "before: pytest cannot be run", Verdict.INCONCLUSIVE, False),
        (FAILED, PASSED, "before: odd", Verdict.INCONCLUSIVE, False),
    ],
)
def test_what_a_test_shows(
    bench: Claimed,
    before: CommandResult | None,
    after: CommandResult | None,
    why: str,
    verdict: Verdict,
    asked: bool,
) -> None:
    """Failing before and passing after is needed, and is not enough; all else never confirms."""
    bench.models.asked.clear()
    [one] = bench.confirm(bench.claim()[:10], bench.test(before, after, why))
    assert one.confirmation.verdict is verdict
    assert bool(sum(bench.models.asked.values())) is asked
    state = {"confirmed": State.CONFIRMED_FIXED, "refuted": State.PERSISTENT}
    assert bench.state() is state.get(verdict.value, State.CLAIMED_FIXED)
    [row] = bench.rows("confirmations")
    assert decided_again(row, bench.rows("reviews")).verdict is verdict
    assert SECRET not in repr(row)
    if why:
        assert why in one.confirmation.reason


def test_a_test_and_a_look_that_finds_it_again(bench: Claimed) -> None:
    """A passing test does not outweigh a review that has the finding."""
    text = bench.project.read(PATHS[0])
    bench.models.clean -= {line.strip() for line in text.splitlines() if "rule.holds" in line}
    [one] = bench.confirm(bench.claim(), bench.test(FAILED, PASSED))
    assert one.confirmation.verdict is Verdict.REFUTED


def test_without_models_it_stays_open(bench: Claimed) -> None:
    """No money, no rung: the reason says so, and nothing is signed."""
    bench.models.out_after = 0
    bench.models.asked.clear()
    [one] = bench.confirm(bench.claim())
    assert one.confirmation.verdict is Verdict.INCONCLUSIVE
    assert "budget" in one.confirmation.reason
    assert bench.state() is State.CLAIMED_FIXED


def test_a_kill_before_the_sign_leaves_the_claim(bench: Claimed) -> None:
    """Looks and a decision alone change nothing; the next time it is decided."""
    append = bench.records.append

    def killed(kind: str, rows: Any, ids: Any) -> None:
        if kind == "findings":
            raise KeyboardInterrupt
        append(kind, rows, ids)

    bench.records.append = killed  # type: ignore[method-assign]  # as if the process ended there
    with pytest.raises(KeyboardInterrupt):
        bench.confirm(bench.claim())
    bench.records.append = append  # type: ignore[method-assign]  # another process
    assert bench.state() is State.CLAIMED_FIXED
    assert bench.run().iteration == 3
    assert bench.state() is State.CONFIRMED_FIXED


def test_what_can_be_asked_for(bench: Claimed) -> None:
    """One finding by the beginning of its id, and only a claim."""
    memory = bench.second.memory
    with pytest.raises(NotFound):
        claims_of(memory, "none")
    other = next(iter(memory.files[PATHS[4]].tracked))
    with pytest.raises(InvalidInput, match="claimed"):
        claims_of(memory, other)


def test_the_last_revision_that_has_it(bench: Claimed) -> None:
    """The one before the claim; after a refutation, that of the refutation."""
    signs, reviews = bench.rows("findings"), bench.rows("reviews")
    revision = {row["revision"] for row in reviews if row["run_id"] == "run-1"}
    assert {last_open_revision(reviews, signs, bench.claim())} == revision
    assert last_open_revision(reviews, [], bench.claim()) is None
    bench.confirm(bench.claim(), bench.test(FAILED, FAILED))
    bench.edit(PATHS[0], lambda text: text.replace("rule.holds", "rule.holds_all"))
    bench.run()
    found = last_open_revision(bench.rows("reviews"), bench.rows("findings"), bench.claim())
    assert found == next(iter(revision))


COMMAND = ["sh", "-c", "grep -q accept_all src/rules_0.py && exit 1 || exit 0"]


def on_both(bench: Claimed, *words: str, **given: Any) -> FixTestRun:
    """A command on both revisions."""
    revisions = [
        next(row["revision"] for row in bench.rows("reviews") if row["run_id"] == f"run-{n}")
        for n in (1, 2)
    ]
    with Repository.open(bench.project.root) as repository:
        return run_fix_test(repository, *revisions, words, **given)


def test_a_command_on_both_revisions(bench: Claimed) -> None:
    """Each in a folder of its own with the code as it was committed then."""
    ran = on_both(bench, *COMMAND)
    assert ran.before is not None
    assert ran.after is not None
    assert (ran.before.ran, ran.after.ran) == (Ran.FAILED, Ran.PASSED)
    assert ran.result is not None
    assert ran.result.failed_before
    assert ran.result.passes_after
    assert "accept_all" not in bench.project.read(PATHS[0])


@pytest.mark.parametrize(
    ("words", "given", "reason"),
    [
        (("no-such-program",), {}, "before: no-such-program cannot be run"),
        (("sleep", "60"), {"timeout_s": 0.3}, "before: it did not end"),
        (("true",), {"limits": ExportLimits(max_bytes=10)}, "before: the commit cannot be put"),
    ],
)
def test_what_cannot_be_run_shows_nothing(
    bench: Claimed, words: tuple[str, ...], given: dict[str, Any], reason: str
) -> None:
    """No program, no end, no room."""
    ran = on_both(bench, *words, **given)
    assert ran.reason.startswith(reason)
    assert ran.result is None


def test_a_test_that_came_with_the_fix_is_taken_along(tmp_path: Path) -> None:
    """It is not there before: that is no failure. Taken along, it runs on both."""
    bench = Claimed(tmp_path)
    bench.project.write("tests/check.sh", f"{COMMAND[2]}\n")
    bench.run()
    with Repository.open(bench.project.root) as repository:
        rows = bench.rows("reviews")
        before = next(row["revision"] for row in rows if row["run_id"] == "run-1")
        words = ["sh", "tests/check.sh"]
        alone = run_fix_test(repository, before, repository.resolve("HEAD"), words)
        assert "--with tests/check.sh" in alone.reason
        assert alone.result is None
        along = run_fix_test(
            repository, before, repository.resolve("HEAD"), words, carried=["tests"]
        )
        assert along.result is not None
        assert (along.result.failed_before, along.result.passes_after) == (True, True)
        with pytest.raises(InvalidInput):
            run_fix_test(repository, before, before, words, carried=["none"])
    assert replace(along, reason="x").result is None
