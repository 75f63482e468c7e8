"""What was recorded is given again, offline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.model_server import TEXT, Dial, answering, oracle, planned
from tests.unit.llm.conftest import ADA, Make, asked, attempts, rung
from tests.unit.llm.test_forms import SEATS
from tests.unit.llm.test_streams import streamed

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.llm import Budgets, Mode, Outcome, Policy, ReplayStore

NOBODY = "http://127.0.0.1:9/v1"


def test_a_run_is_repeated_offline(make: Make, tmp_path: Path) -> None:
    """Failures, a climb, a repair, a stream: the same outcomes, and nothing is sent or spent."""
    climb = Policy(climb=frozenset({Outcome.TRANSPORT}), backoff_s=0.01)
    asks = [asked("one"), asked("two"), asked("seats", output=SEATS)]

    def run(urls: list[str], mode: Mode, name: str) -> list[Any]:
        ladder = make(
            rung(urls[0], "weak", model="m1", retries=0),
            rung(urls[1], "strong", model="m2"),
            policy=climb,
            replay=ReplayStore(tmp_path / "kept", mode),
            folder=tmp_path / name,
        )
        answers = [ladder.complete(ask, ADA) for ask in asks]
        text, last = asyncio.run(streamed(ladder, asked("streamed")))
        told = [(a.outcome, a.value, a.rung, [one.reason for one in a.left]) for a in answers]
        return [*told, text, last.outcome]

    dials = planned(
        *(answering('{"seats": 1}'), answering("no"), answering('{"seats": 55}'), Dial())
    )
    with oracle(planned("500")) as weak, oracle(dials) as strong:
        before = run([weak.url, strong.url], Mode.RECORD, "recorded")
    after = run([NOBODY, NOBODY], Mode.REPLAY, "replayed")
    assert after[0][:3] == before[0][:3] == (Outcome.OK, '{"seats": 1}', "strong")
    assert before == after
    rows = attempts(tmp_path / "replayed")
    assert {row["tokens_from"] for row in rows} == {"replay"}
    assert sum(row["cost_nano"] + row["is_sent"] for row in rows) == 0


def test_what_was_not_recorded(make: Make, tmp_path: Path) -> None:
    """Nobody is asked, whatever the budget: `asleep`, and it says what to do."""
    ladder = make(
        rung(NOBODY),
        replay=ReplayStore(tmp_path / "kept", Mode.REPLAY),
        budgets=Budgets(day_nano=0),
    )
    answer = ladder.complete(asked(), ADA)
    assert answer.outcome is Outcome.ASLEEP
    assert "nothing is recorded" in answer.detail


def test_the_name_is_of_model_parameters_and_messages(make: Make, tmp_path: Path) -> None:
    """Any other of them is another request; whether it is streamed is not."""
    store = tmp_path / "kept"
    with oracle() as server:
        one = rung(server.url)
        recording = make(one, replay=ReplayStore(store, Mode.RECORD))
        recording.complete(asked("x", parameters={"temperature": 0.5, "seed": 1}), ADA)
    replaying = make(one, replay=ReplayStore(store, Mode.REPLAY))
    same = asked("x", parameters={"seed": 1, "temperature": 0.5})
    assert replaying.complete(same, ADA).value == TEXT
    assert asyncio.run(streamed(replaying, same))[0] == TEXT
    for other in (
        asked("y", parameters=same.parameters),
        asked("x", parameters={"seed": 2, "temperature": 0.5}),
        asked("x", parameters=same.parameters, max_output_tokens=5),
    ):
        assert not replaying.complete(other, ADA).ok


def test_secrets_are_not_recorded(make: Make, tmp_path: Path) -> None:
    """Neither of the question nor of the answer."""
    secret = "ghp_" + "Ab1" * 12
    with oracle(planned(answering(f"it is {secret}"))) as server:
        ladder = make(rung(server.url), replay=ReplayStore(tmp_path / "kept", Mode.RECORD))
        ladder.complete(asked(f"is it {secret}?"), ADA)
    (file,) = (tmp_path / "kept").rglob("*.json")
    assert secret not in file.read_text()
    assert file.read_text().count("[redacted:token]") == 2


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{", CorruptData),
        (b"[]", CorruptData),
        (b'{"version": 1}', CorruptData),
        (b'{"version": 1, "outcome": "splendid", "chunks": []}', CorruptData),
        (b'{"version": 99}', UnsupportedFormat),
    ],
)
def test_damaged_records(make: Make, tmp_path: Path, content: bytes, error: type) -> None:
    """Are told, and not taken for an answer."""
    with oracle() as server:
        one = rung(server.url)
        make(one, replay=ReplayStore(tmp_path / "kept", Mode.RECORD)).complete(asked(), ADA)
    (file,) = (tmp_path / "kept").rglob("*.json")
    file.write_bytes(content)
    with pytest.raises(error):
        make(one, replay=ReplayStore(tmp_path / "kept", Mode.REPLAY)).complete(asked(), ADA)
