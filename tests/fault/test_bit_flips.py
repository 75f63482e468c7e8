"""One bit of one file, anywhere: found and placed, or without any effect; never a traceback.

Trusted files may not change an answer unseen. Derived ones may not change any answer at
all. `LAKECORE_SOAK_ROUNDS` sets how many flips each kind of file gets.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fakes.compaction import small_ranges
from tests.fakes.journals import TIME_US, commit, sample, target

from lakecore.base import LakecoreError, ManualClock
from lakecore.journal import Journal, JournalSettings
from lakecore.journal._prove.keys import stored_keys
from lakecore.storage import open_store

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "12"))
SEED = int(os.environ.get("LAKECORE_SOAK_SEED", "20260131"))
ORIGIN = "example.com/flips"


@dataclass(frozen=True)
class Answers:
    """What a journal says when it is asked; equal ones are the same answers."""

    events: tuple[tuple[int | None, str, str | None], ...]
    history: tuple[str, ...]
    blame: str


@dataclass(frozen=True)
class Findings:
    """What checking says, in one text, and whether everything was found good."""

    is_good: bool
    text: str


def open_at(folder: Path) -> Journal:
    return Journal.open(
        open_store(str(folder / "lake")),
        folder / "state",
        origin=ORIGIN,
        clock=ManualClock(TIME_US + 10**9),
        settings=JournalSettings(background=False),
    )


def build(folder: Path) -> None:
    """Segments, stubs and a run, checkpoints, an index; staged and hot events that wait."""
    with small_ranges():
        journal = open_at(folder)
        store = journal._store
        commit(store, journal, target(0), sample("a", 23))
        journal.seal()
        for number in range(5):
            journal.record_batch(sample(f"h{number}", 7))
            journal.seal()
        journal.compact(grace_s=0)
        journal.checkpoint()
        commit(store, journal, target(1), sample("b", 40))
        journal.record_batch(sample("w", 40))
        journal.record_batch(sample("x", 3))
        # As a process that is killed leaves it.
        journal._background.stop()


def answers(journal: Journal) -> Answers:
    events = journal.scan().read_all()
    rows = zip(
        *(events.column(name).to_pylist() for name in ("seq", "event_id", "new_value")),
        strict=True,
    )
    return Answers(
        tuple(rows),
        tuple(event.event_id for event in journal.entity_history("N3")),
        str(sorted((name, event.event_id) for name, event in journal.blame("N4").items())),
    )


def check(journal: Journal) -> Findings:
    """Everything that a person can ask: integrity, anchoring, completeness."""
    store = journal._store
    report = journal.verify(full=True)
    texts = [str(problem) for problem in [*report.problems, *report.derived]] + report.unknown
    is_good = report.status == "green" and not report.derived
    if report.anchors is not None:
        texts += [str(report.anchors)]
        is_good = is_good and report.anchors.status == "green"
    try:
        objects = [(i.path, store.get(i.path)) for i in store.list_objects("tables/")]
        complete = journal.completeness(objects)
        texts.append(str(complete))
        is_good = is_good and complete.ok
    except LakecoreError as error:
        texts.append(str(error))
        is_good = False
    return Findings(is_good, "\n".join(texts))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answers]:
    """A lake that is good, and its answers."""
    folder = tmp_path_factory.mktemp("whole")
    build(folder)
    with small_ranges():
        copy = tmp_path_factory.mktemp("asked") / "copy"
        shutil.copytree(folder, copy)
        journal = open_at(copy)
        assert check(journal).is_good, check(journal).text
        return folder, answers(journal)


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file() and path.stat().st_size)


def flipped(whole: Path, folder: Path, pattern: str, rng: random.Random) -> tuple[str, int]:
    """A copy with one bit changed; which file, and which byte."""
    shutil.copytree(whole, folder)
    path = rng.choice(files(folder, pattern))
    data = bytearray(path.read_bytes())
    used = [at for at, byte in enumerate(data) if byte]  # of a database, most is empty
    at = rng.choice(used)
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))
    return path.relative_to(folder / "lake" if "lake" in pattern else folder).as_posix(), at


TRUSTED = {
    "log": "lake/journal/log/0*.parquet",
    "run": "lake/journal/merged/*.parquet",
    "staged": "lake/journal/staged/*.arrow",
    "checkpoint": "lake/journal/checkpoints/*",
    "delta log": "lake/tables/**/*.json",
}
DERIVED = {
    "index": "lake/journal/index/*",
    "footers": "state/footers-3.sqlite",
    "verified": "state/verified-1.sqlite",
}


@pytest.mark.parametrize("kind", TRUSTED)
def test_a_flip_in_a_trusted_file_is_found_or_changes_nothing(
    whole: tuple[Path, Answers], tmp_path: Path, kind: str
) -> None:
    """Either a check names the file, or every answer is what it was."""
    folder, expected = whole
    rng = random.Random(f"{SEED} {kind}")
    found = 0
    with small_ranges():
        for number in range(ROUNDS):
            copy = tmp_path / str(number)
            path, at = flipped(folder, copy, TRUSTED[kind], rng)
            context = f"seed {SEED}, round {number}: {path}, byte {at}"
            journal = open_at(copy)
            findings = check(journal)
            if findings.is_good:
                assert answers(journal) == expected, context
            else:
                found += 1
                # A staged file that names another object: its commit is told to miss events.
                places = [path, target(1).path] if kind == "staged" else [path]
                assert any(place in findings.text for place in places), (
                    f"{context}\n{findings.text}"
                )
            _asked(journal, context)
            shutil.rmtree(copy)
    assert found, f"seed {SEED}: no flip was found"


@pytest.mark.parametrize("kind", DERIVED)
def test_a_flip_in_a_derived_file_changes_no_answer(
    whole: tuple[Path, Answers], tmp_path: Path, kind: str
) -> None:
    """The log still reads and verifies the same; at most the file is told to be built again."""
    folder, expected = whole
    rng = random.Random(f"{SEED} {kind}")
    ready = tmp_path / "ready"
    shutil.copytree(folder, ready)
    with small_ranges():
        with open_at(ready) as journal:
            journal.verify()
            expected = answers(journal)
        _folded(ready / "state" / "footers-3.sqlite")
        for number in range(ROUNDS):
            copy = tmp_path / str(number)
            path, at = flipped(ready, copy, DERIVED[kind], rng)
            context = f"seed {SEED}, round {number}: {path}, byte {at}"
            journal = open_at(copy)
            assert answers(journal) == expected, context
            report = journal.verify(full=True)
            assert report.status == "green", f"{context}\n{report.problems}"
            assert journal.repair().beyond_repair == [], context
            assert journal.verify(full=True).derived == [], context
            assert answers(journal).history == expected.history, context
            shutil.rmtree(copy)


PRIVATE = {
    "signing key": "state/signing-key.json",
    "last signed": "state/signed-checkpoint",
}


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_flip_in_what_signs_signs_nothing_else(
    whole: tuple[Path, Answers], tmp_path: Path, kind: str
) -> None:
    """Nothing is read or verified differently; what is signed is signed by the same key, or not."""
    folder, expected = whole
    rng = random.Random(f"{SEED} {kind}")
    refused = 0
    known = stored_keys(folder / "state")
    assert known is not None
    key = known.current.key
    with small_ranges():
        for number in range(ROUNDS):
            copy = tmp_path / str(number)
            path, at = flipped(folder, copy, PRIVATE[kind], rng)
            context = f"seed {SEED}, round {number}: {path}, byte {at}"
            journal = open_at(copy)
            assert answers(journal) == expected, context
            assert journal.verify(full=True).status == "green", context
            journal.seal()
            made, told = None, ""
            try:
                made = journal.checkpoint()
            except LakecoreError as error:
                told = f"{error.where} {error}"
            if made is None:
                refused += 1
                assert path.rpartition("/")[2] in told, context
            else:
                assert [key.made(mark) for mark in made.note.signatures] == [True], context
            shutil.rmtree(copy)
    assert refused, f"seed {SEED}: no flip was found"


def test_a_flip_in_the_hot_log_is_found_or_changes_nothing(
    whole: tuple[Path, Answers], tmp_path: Path
) -> None:
    """What is in the database file itself; a write-ahead log ends where it is damaged."""
    folder, expected = whole
    rng = random.Random(f"{SEED} hot")
    ready = tmp_path / "ready"
    shutil.copytree(folder, ready)
    with small_ranges():
        _folded(ready / "state" / "hot.sqlite")
        found = 0
        for number in range(ROUNDS):
            copy = tmp_path / str(number)
            path, at = flipped(ready, copy, "state/hot.sqlite", rng)
            context = f"seed {SEED}, round {number}: {path}, byte {at}"
            journal = open_at(copy)
            findings = check(journal)
            if findings.is_good:
                got = _asked(journal, context)
                assert got == expected, context
            else:
                found += 1
                assert "hot.sqlite" in findings.text, f"{context}\n{findings.text}"
            shutil.rmtree(copy)
    assert found, f"seed {SEED}: no flip was found"


def _folded(database: Path) -> None:
    """Move what is in the write-ahead log into the file."""
    import sqlite3

    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _asked(journal: Journal, context: str) -> Answers | None:
    """Every call answers or raises one of our own errors."""
    got: Answers | None = None
    calls: list[Callable[[], object]] = [
        journal.repair,
        journal.seal,
        lambda: journal.recent(5),
        journal.stats,
        journal.verify,
    ]
    with suppress(LakecoreError):
        got = answers(journal)
    for call in calls:
        try:
            call()
        except LakecoreError:
            continue
        except Exception as error:
            raise AssertionError(f"{context}: {error!r}") from error
    return got
