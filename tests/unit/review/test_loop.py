"""The loop over real repositories: a score rises with a confirmed fix, and never without one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.fakes.oracle_models import FAULT, OracleModels
from tests.fakes.records import MemoryRecords
from tests.unit.review.repositories import Project, faulty, mended

from lakecore.base import InvalidInput, ManualClock, NotFound
from lakecore.code import Repository
from lakecore.review import State
from lakecore.review._files import GitFiles, Selection
from lakecore.review._loop import Loop
from lakecore.review._plan import RunResult, RunSettings
from lakecore.review._prompt import FORENSIC, SOFT, Bar

FILES = 8
BAR = Bar(FORENSIC)
PATHS = tuple(f"src/rules_{n}.py" for n in range(FILES))


class Bench:
    """A repository under the loop, with an oracle that knows what is right in it."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self.records = MemoryRecords()
        self.clock = ManualClock()
        self.models = OracleModels(clean=set())
        self.settings = RunSettings(again=6, floor_pairs=6)
        self.numbers = itertools.count(1)
        for number, path in enumerate(PATHS):
            self.project.write(path, faulty(number))

    def run(self, run_id: str | None = None, bar: Bar = BAR) -> RunResult:
        """Commit what is there and review it."""
        self.project.commit()
        self.clock.advance(1_000_000)
        for path in self.project.root.rglob("*.py"):
            self.models.clean |= {line.strip() for line in path.read_text().splitlines()}
        with Repository.open(self.project.root) as repository:
            return self.loop(repository, bar).run(run_id or f"run-{next(self.numbers)}")

    def loop(self, repository: Repository, bar: Bar = BAR) -> Loop:
        return Loop(
            "rules",
            GitFiles(repository, "HEAD", Selection(("**/*.py",))),
            self.models,
            self.records,
            bar,
            clock=self.clock,
            settings=self.settings,
        )

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        self.project.write(path, change(self.project.read(path)))

    def scores(self, result: RunResult) -> dict[str, float | None]:
        return {path: known.confirmed_score for path, known in result.memory.files.items()}

    def states(self, result: RunResult, path: str) -> list[State]:
        return [one.state for one in result.memory.files[path].tracked.values()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_fix_raises_the_score_once_it_is_confirmed(bench: Bench) -> None:
    """Only the file that was mended moves, by what the fix is worth."""
    first = bench.run()
    assert first.gate.exit_code == 1
    assert bench.states(first, PATHS[0]) == [State.NEW]
    bench.edit(PATHS[0], mended)
    second = bench.run()
    assert bench.states(second, PATHS[0]) == [State.CONFIRMED_FIXED]
    before, after = bench.scores(first), bench.scores(second)
    assert {path for path in PATHS if before[path] != after[path]} == {PATHS[0]}
    assert after[PATHS[0]] == before[PATHS[0]] + 2
    looks = [r for r in bench.records.rows["reviews"].values() if r["purpose"] == "blind"]
    assert {r["family"] for r in looks if r["control_found"]} == {"qwen", "llama"}


UNMOVED: dict[str, Callable[[str], str]] = {
    "white space": lambda text: text.replace(f"return {FAULT}", f"return  {FAULT} "),
    "a comment": lambda text: text.replace("context, 0)", "context, 0)  # this is safe now"),
    "a comment above": lambda text: text.replace("    return", "    # checked\n    return"),
    "a local name": lambda text: text.replace("check_0_0", "verified_0"),
    "another function": lambda text: text + "\n\ndef more(rule):\n    return rule.name\n",
    "order": lambda text: "\n".join(reversed(text.split("\ndef "))) and _reordered(text),
}


def _reordered(text: str) -> str:
    head, *functions = text.split("\ndef ")
    return "\ndef ".join([head, *functions[::-1]])


@pytest.mark.parametrize("name", UNMOVED)
@pytest.mark.parametrize("recall", [1.0, 0.6])
def test_what_mends_nothing_moves_nothing(bench: Bench, name: str, recall: float) -> None:
    """Spacing, comments, names, neighbours and order leave every score."""
    first = bench.run()
    bench.models.recall = recall
    for path in PATHS:
        bench.edit(path, UNMOVED[name])
    second = bench.run()
    assert bench.scores(second) == bench.scores(first)


def test_a_renamed_file_keeps_its_findings(bench: Bench) -> None:
    """A file under another name is the same file."""
    first = bench.run()
    bench.project.git("mv", PATHS[0], "src/renamed.py")
    second = bench.run()
    assert PATHS[0] not in second.memory.files
    old, new = first.memory.files[PATHS[0]], second.memory.files["src/renamed.py"]
    assert old.tracked.keys() == new.tracked.keys()
    assert new.confirmed_score == old.confirmed_score
    assert bench.states(second, "src/renamed.py") == [State.PERSISTENT]
    third = bench.run()
    assert third.memory.files["src/renamed.py"].tracked.keys() == new.tracked.keys()


def test_code_moved_to_another_file_is_not_mended(bench: Bench) -> None:
    """What left a file and is in another earns nothing."""
    first = bench.run()
    moved = bench.project.read(PATHS[0]).split("\n\n")[1]
    bench.edit(PATHS[0], lambda text: text.replace(moved, "def gone(rule):\n    return rule"))
    bench.edit(PATHS[1], lambda text: f"{text}\n\n{moved}\n")
    second = bench.run()
    assert bench.states(second, PATHS[0]) == [State.REMOVED]
    assert bench.scores(second)[PATHS[0]] == bench.scores(first)[PATHS[0]]


def test_another_bar_is_another_history(bench: Bench) -> None:
    """Scores under different bars are never compared."""
    first = bench.run()
    bench.edit(PATHS[0], mended)
    other = bench.run(bar=Bar(SOFT))
    assert other.iteration == 1
    assert other.confirmed == 0
    assert bench.scores(other)[PATHS[0]] != bench.scores(first)[PATHS[0]]  # its own baseline


def test_a_lying_message_and_a_proposal_move_nothing(bench: Bench) -> None:
    """What is said of a change is no evidence."""
    first = bench.run()
    bench.settings = RunSettings(again=6, floor_pairs=6, proposal="All of it is fixed. Score 10.")
    bench.edit(PATHS[0], lambda text: text + "\n# fixed\n")
    bench.project.commit("rules: fix every finding of the last review")
    second = bench.run()
    assert bench.scores(second) == bench.scores(first)
    assert second.confirmed == 0


def test_without_a_floor_nothing_is_confirmed(bench: Bench) -> None:
    """A claim waits until the noise was measured."""
    bench.settings = RunSettings(again=0)
    bench.run()
    bench.edit(PATHS[0], mended)
    second = bench.run()
    assert bench.states(second, PATHS[0]) == [State.CLAIMED_FIXED]
    assert second.gate.exit_code == 1
    # It is looked at again once there is one, though the file did not change.
    bench.settings = RunSettings(again=8, floor_pairs=8, everything=True)
    bench.run()
    bench.settings = RunSettings()
    assert bench.states(bench.run(), PATHS[0]) == [State.CONFIRMED_FIXED]


def test_one_family_confirms_nothing(bench: Bench) -> None:
    """Models of one family share their blind spots."""
    bench.models.families = ("qwen",)
    bench.run()
    bench.edit(PATHS[0], mended)
    assert bench.states(bench.run(), PATHS[0]) == [State.CLAIMED_FIXED]


def test_a_fix_that_is_undone_is_reopened(bench: Bench) -> None:
    """The old code is back: so is the finding, seen or not."""
    first = bench.run()
    wrong = bench.project.read(PATHS[0])
    bench.edit(PATHS[0], mended)
    bench.run()
    bench.project.write(PATHS[0], wrong)
    bench.models.recall = 0  # nobody sees it: the code is back all the same
    third = bench.run()
    assert bench.states(third, PATHS[0]) == [State.REOPENED]
    assert bench.scores(third)[PATHS[0]] == bench.scores(first)[PATHS[0]]


def test_a_removed_file_earns_nothing(bench: Bench) -> None:
    """A file that is gone takes its findings along."""
    first = bench.run()
    bench.project.git("rm", "-q", PATHS[0])
    second = bench.run()
    assert bench.states(second, PATHS[0]) == [State.REMOVED]
    assert bench.scores(second)[PATHS[0]] == bench.scores(first)[PATHS[0]]


def test_what_is_as_it_was_is_not_asked_about(bench: Bench) -> None:
    """An unchanged repository costs nothing."""
    bench.run()
    bench.models.asked.clear()
    second = bench.run()
    assert sum(bench.models.asked.values()) == 0
    assert (second.gate.exit_code, len(second.outcomes)) == (1, FILES)


def test_no_answer_is_never_green(bench: Bench) -> None:
    """Unreadable answers are inconclusive, and asked again."""
    for path in PATHS:
        bench.edit(path, mended)
    bench.models.broken = 1
    result = bench.run()
    assert result.gate.exit_code == 3
    assert result.missing == tuple(sorted(PATHS))
    bench.models.broken = 0
    again = bench.run("run-1")
    assert (again.gate.exit_code, again.missing, again.iteration) == (0, (), 1)


def told(bench: Bench) -> list[str]:
    """What the ledger says, without times and attempts that came to nothing."""
    rows = [row for by_id in bench.records.rows.values() for row in by_id.values()]
    told = [row for row in rows if row.get("outcome", "ok") == "ok"]
    return sorted(repr(sorted((k, v) for k, v in row.items() if k != "time")) for row in told)


def test_an_ignored_finding_counts_again_when_that_ends(bench: Bench) -> None:
    """Who, why, until when; then it is open again."""
    for path in PATHS[1:]:
        bench.edit(path, mended)
    first = bench.run()
    assert first.gate.exit_code == 1
    [finding] = first.memory.files[PATHS[0]].tracked
    with Repository.open(bench.project.root) as repository:
        loop = bench.loop(repository)
        with pytest.raises(InvalidInput):
            loop.ignore(finding, who="ada", reason=" ")
        with pytest.raises(NotFound):
            loop.ignore("none", who="ada", reason="no harm")
        until = loop.now() + timedelta(days=1)
        loop.ignore(finding, who="ada", reason="no harm", until=until)
    bench.edit(PATHS[0], UNMOVED["a comment"])
    second = bench.run()
    assert (second.gate.exit_code, bench.states(second, PATHS[0])) == (0, [State.IGNORED])
    bench.clock.advance(86_400_000_000)
    third = bench.run()
    assert (third.gate.exit_code, bench.states(third, PATHS[0])) == (1, [State.PERSISTENT])


def test_a_run_is_of_one_revision_and_bar(bench: Bench) -> None:
    """A run is finished as it was begun."""
    bench.run("one")
    with pytest.raises(InvalidInput, match="another bar"):
        bench.run("one", bar=Bar(SOFT))
    bench.edit(PATHS[0], mended)
    with pytest.raises(InvalidInput, match="another revision"):
        bench.run("one")


@pytest.mark.parametrize("out_after", [1, 5, 9])
def test_a_run_that_ends_halfway_goes_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, out_after: int
) -> None:
    """The budget is gone, the run is run again: the ledger is that of one that had enough."""
    ledgers = []
    for folder, limit in ((tmp_path, None), (tmp_path_factory.mktemp("again"), out_after)):
        bench = Bench(folder)
        bench.models.recall = 0.7
        bench.run("first")
        bench.edit(PATHS[2], mended)
        bench.edit(PATHS[5], mended)
        bench.edit(PATHS[6], UNMOVED["another function"])
        bench.models.asked.clear()
        bench.models.out_after = limit
        bench.settings = RunSettings(again=6, floor_pairs=6, everything=True, workers=1)
        result = bench.run("second")
        if limit is not None:
            assert result.gate.exit_code in (1, 3)
            assert result.missing
            bench.models.out_after = None
            result = bench.run("second")
        assert result.missing == ()
        ledgers.append(told(bench))
    assert ledgers[0] == ledgers[1]
