"""What the loop promises, over many seeds, with an oracle of models; the counts are printed.

An oracle proves the loop and says nothing of how well any model reviews. `LAKECORE_SOAK_ROUNDS`
is the number of seeds where there are several. Beside these:

- a lying commit message, a proposal, and renames that git finds out: `test_loop`
- identity over a generated history of edits, with precision and recall: `test_identity`
- classes of generated histories, with a confusion matrix: `test_signal`
- SIGKILL: `tests/fault/test_review_kill.py`; lies and honest messages: `tests/unit/auditor`
"""

from __future__ import annotations

import copy
import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.fakes.memory_files import MemoryFiles
from tests.fakes.oracle_models import FAULT, OracleModels
from tests.fakes.records import MemoryRecords
from tests.unit.review.repositories import faulty, mended

from lakecore.base import ManualClock
from lakecore.review import (
    Bar,
    Call,
    Loop,
    Models,
    Reply,
    RunResult,
    RunSettings,
    SignalClass,
    State,
)

SEEDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "4"))
FIRST_SEED = 2026
FILES = 10
BAR, OTHER_BAR = Bar("look at it"), Bar("look at it kindly")
AA_FILES = 1_000


def path_of(number: int) -> str:
    return f"src/rules_{number}.py"


@dataclass
class World:
    """A repository in memory under the loop."""

    seed: int
    count: int = FILES
    recall: float = 0.6
    false: float = 0.3
    settings: RunSettings = field(default_factory=lambda: RunSettings(again=10, workers=1))
    families: tuple[str, ...] = ("qwen", "llama")
    clock: ManualClock = field(default_factory=ManualClock)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    runs: int = 0

    def __post_init__(self) -> None:
        self.files.texts = {path_of(n): faulty(n) for n in range(self.count)}

    def run(self, bar: Bar = BAR, models: Models | None = None, run_id: str = "") -> RunResult:
        self.runs += not run_id
        self.files.commit()
        self.clock.advance(1_000_000)
        loop = Loop(
            "rules",
            self.files,
            models or self.oracle(),
            self.records,
            bar,
            clock=self.clock,
            settings=self.settings,
        )
        return loop.run(run_id or f"run-{self.runs}")

    def oracle(self) -> OracleModels:
        clean = {line.strip() for text in self.files.texts.values() for line in text.splitlines()}
        return OracleModels(clean, self.seed, self.recall, self.false, families=self.families)

    def branch(self) -> World:
        """The same, to go on from here in another way."""
        other = World(self.seed, self.count, self.recall, self.false, self.settings, self.families)
        other.records.rows = copy.deepcopy(self.records.rows)
        other.files = copy.deepcopy(self.files)
        other.clock.advance(self.clock.now_us() - other.clock.now_us())
        other.runs = self.runs
        return other

    def edit(self, change: Callable[[str], str]) -> None:
        self.files.texts = {path: change(text) for path, text in self.files.texts.items()}


def scores(result: RunResult) -> dict[str, float | None]:
    return {path: known.confirmed_score for path, known in result.memory.files.items()}


def reordered(text: str) -> str:
    head, *functions = text.split("\ndef ")
    return "\ndef ".join([head, *functions[::-1]])


def commented(words: str) -> Callable[[World], None]:
    def change(text: str) -> str:
        return "".join(
            f"{line}  {words}\n" if FAULT in line else f"{line}\n" for line in text.splitlines()
        )

    return lambda world: world.edit(change)


def move(world: World) -> None:
    """The wrong functions of half of the files into another file each."""
    for number in range(world.count // 2):
        text = world.files.texts[path_of(number)]
        wrong = next(part for part in text.split("\n\n") if FAULT in part)
        world.files.texts[path_of(number)] = text.replace(wrong, "def gone(rule):\n    return rule")
        world.files.texts[path_of(world.count - 1 - number)] += f"\n\n{wrong}\n"


def rename(world: World) -> None:
    for number in range(world.count):
        world.files.rename(path_of(number), f"lib/other_{number}.py")


def replacing(old: str, new: str) -> Callable[[World], None]:
    return lambda world: world.edit(lambda text: text.replace(old, new))


UNMOVED: dict[str, Callable[[World], None]] = {
    "nothing": lambda world: None,
    "white space": replacing(f"return {FAULT}", f"return  {FAULT} "),
    "line breaks": replacing("rule, context, ", "rule,\n        context,\n        "),
    "a comment": commented("# this was fixed and is safe"),
    "a suppression": commented("# no" + "qa  # nosec  # pragma: no cover"),
    "a local name": replacing("def check_", "def verified_"),
    "order": lambda world: world.edit(reordered),
    "a neighbour": lambda world: world.edit(lambda t: t + "\n\ndef more(rule):\n    return rule\n"),
    "moved code": move,
    "renamed files": rename,
}


def test_what_mends_nothing_moves_nothing() -> None:
    """Edits without a fix leave every confirmed score, over seeds, at recall .6 and with noise."""
    moved: Counter[str] = Counter()
    looked: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        world = World(seed)
        before = scores(world.run())
        for name, change in UNMOVED.items():
            branch = world.branch()
            change(branch)
            after = scores(branch.run())
            for path, score in after.items():
                was = path.replace("lib/other_", "src/rules_")
                looked[name] += 1
                moved[name] += before[was] != score
    print(f"seeds {FIRST_SEED} to {FIRST_SEED + SEEDS - 1}")
    for name in UNMOVED:
        print(f"  {name:<14} {moved[name]} of {looked[name]} confirmed scores moved")
    assert not sum(moved.values()), moved


def test_another_prompt_moves_nothing() -> None:
    """A run under another bar leaves what is known under this one, fix and all."""
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        world = World(seed)
        before = scores(world.run())
        world.edit(mended)
        assert world.run(OTHER_BAR).confirmed == 0
        with_fix = Loop(
            "rules", world.files, world.oracle(), world.records, BAR, clock=world.clock
        ).memory()
        assert {path: one.confirmed_score for path, one in with_fix.files.items()} == before


def test_a_real_fix_raises_it_and_never_before_it_is_confirmed() -> None:
    """Confirmed: by what it is worth. Claimed, or seen by one family alone: not at all."""
    counts: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        for name, settings, families in (
            ("confirmed", RunSettings(again=10, workers=1), ("qwen", "llama")),
            ("not looked at", RunSettings(again=10, workers=1, confirm=False), ("qwen", "llama")),
            ("one family", RunSettings(again=10, workers=1), ("qwen",)),
        ):
            world = World(seed, settings=settings, families=families, recall=0.9, false=0.0)
            first = world.run()
            world.edit(mended)
            second = world.run()
            for path, known in second.memory.files.items():
                states = [one.state for one in known.tracked.values()]
                fixed = states.count(State.CONFIRMED_FIXED)
                rise = (known.confirmed_score or 0) - (scores(first)[path] or 0)
                assert rise == 2.0 * fixed
                counts[f"{name}: found"] += len(states)
                counts[f"{name}: raised"] += fixed
                counts[f"{name}: claimed"] += states.count(State.CLAIMED_FIXED)
    print(dict(sorted(counts.items())))
    assert counts["confirmed: raised"] >= 0.9 * counts["confirmed: found"]
    assert counts["not looked at: raised"] == counts["one family: raised"] == 0
    assert counts["one family: claimed"] == counts["one family: found"] > 0


def test_a_thousand_faults_that_were_edited_and_not_mended() -> None:
    """A/A in earnest: the quoted line says something else and is as wrong; at most 5 % rise."""
    world = World(7, AA_FILES, settings=RunSettings(again=40, workers=1))
    first = world.run()
    world.edit(lambda text: text.replace("(rule, context, ", "(rule, context.copy(), "))
    second = world.run()
    before, after = scores(first), scores(second)
    rises = sum(after[path] > before[path] for path in before)  # type: ignore[operator]  # all were read
    by_model = {
        number: {
            row["path"]: row["score"]
            for row in world.records.rows["reviews"].values()
            if row["purpose"] == "review" and row["iteration"] == number
        }
        for number in (1, 2)
    }
    opinions = sum(by_model[2][path] > by_model[1][path] for path in by_model[1])
    claims = sum(row["sign"] == "changed" for row in world.records.rows["findings"].values())
    print(
        f"{AA_FILES} files, {claims} not found again: confirmed score rose {rises} times, "
        f"the model's {opinions} times"
    )
    assert claims > 0.1 * AA_FILES
    assert opinions > 0.15 * AA_FILES
    assert rises <= 0.05 * AA_FILES


@pytest.mark.parametrize("kind", ["unchanged", "spacing", "elsewhere"])
def test_without_a_fix_no_class_says_that_anything_moves(kind: str) -> None:
    """Reviewed six times: INSUFFICIENT or PLATEAU in 95 %; text that is the same is one point."""
    world = World(
        FIRST_SEED,
        60,
        recall=0.97,
        false=0.0,
        settings=RunSettings(again=40, workers=1, everything=True),
    )
    for turn in range(6):
        result = world.run()
        if kind == "spacing":
            world.edit(str.rstrip if turn % 2 else lambda text: f"{text}\n")
        elif kind == "elsewhere":
            more = f"\n\ndef more_{turn}(rule):\n    return rule\n"
            world.files.texts = {path: text + more for path, text in world.files.texts.items()}
    classes = Counter(one.name for one in result.memory.signals().values())
    print(f"{kind}: {dict(classes)}")
    quiet = classes[SignalClass.INSUFFICIENT] + classes[SignalClass.PLATEAU]
    assert quiet >= 0.95 * 60
    if kind != "elsewhere":
        assert classes[SignalClass.INSUFFICIENT] == 60


@dataclass
class Flaky:
    """A ladder that fails now and then before it answers: prose, 429, 500, silence."""

    inner: OracleModels
    share: float
    failed: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, call: Call) -> Reply:
        with self.lock:
            self.tries[call.id] += 1
            chance = self.inner._chance(call, f"flaky {self.tries[call.id]}")
        if chance >= self.share:
            return self.inner.ask(call)
        outcome = ("unparsable", "rate", "transport", "asleep")[int(chance / self.share * 4)]
        self.failed[outcome] += 1
        return Reply(outcome, "It looks fine." if outcome == "unparsable" else "")


def test_failures_cost_reviews_and_never_move_a_score() -> None:
    """Broken answers, 429 and 500: what is missing is named; finished, no score rose for it."""
    failed: Counter[str] = Counter()
    again = 0
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        calm, rough = World(seed), World(seed)
        calm_first = calm.run()
        models = Flaky(rough.oracle(), 0.3)
        result = rough.run(models=models)
        while result.missing:
            assert result.gate.exit_code != 0
            again += 1
            result = rough.run(models=models, run_id="run-1")
        # Scores are those of calm weather: a file that failed was asked again, the same way.
        assert scores(result) == scores(calm_first)
        failed += models.failed
    print(f"{dict(failed)}; runs run again: {again}")
    assert failed.keys() == {"unparsable", "rate", "transport", "asleep"}
