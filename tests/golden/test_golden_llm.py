"""Recorded answers and the ledger are written as they were, and read."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.golden import generate_llm_v1 as golden

from lakecore.llm import Ledger, Outcome
from lakecore.llm._replay import parse, request_name


def test_recorded_answers() -> None:
    """Byte for byte; what is read is the answer, with its usage."""
    for name, made, is_stream in (
        ("llm_replay_v1.json", golden.recorded(), False),
        ("llm_replay_stream_v1.json", golden.recorded_stream(), True),
    ):
        path = golden.FOLDER / name
        assert path.read_bytes() == made
        prepared = golden.prepared(is_stream=is_stream)
        found = parse(made, prepared, path)
        assert found.reply.outcome is Outcome.OK
        assert found.reply.reported["prompt_tokens"] == 9  # type: ignore[index]  # a document
        assert len(found.chunks) == (3 if is_stream else 0)


def test_the_name_of_a_request() -> None:
    """The same for ever: else a recorded run is not found again."""
    name = "ed31bf34ab1afa8091ca97f5371310f8"
    found = request_name(golden.prepared().content)
    assert found == request_name(golden.prepared(is_stream=True).content)
    assert found[:32] == name


def test_the_ledger(tmp_path: Path) -> None:
    """The same tables and rows; an old file opens, and what was open in it is settled."""
    golden.write_ledger(tmp_path / "made.sqlite")
    dumps = []
    for path in (golden.FOLDER / "llm_ledger_v1.sqlite", tmp_path / "made.sqlite"):
        connection = sqlite3.connect(path)
        dumps.append(list(connection.iterdump()))
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        connection.close()
    assert dumps[0] == dumps[1]
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(golden.FOLDER / "llm_ledger_v1.sqlite", state / "llm-ledger.sqlite")
    ledger = Ledger(state)
    total = ledger.usage().total
    assert (total.calls, total.requests, total.denied, total.estimated) == (4, 3, 1, 1)
    assert total.cost_nano == 2 * 13_000 + 5_000_000
    waiting = [row["id"] for row in ledger.unprojected(10)]
    assert waiting == ["attempt-1", "attempt-2", "attempt-3"]
    ledger.close()
