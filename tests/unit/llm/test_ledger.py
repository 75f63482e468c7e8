"""The ledger alone: what it grants, what it denies, what stays of it."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from lakecore.base import CorruptData, ManualClock, UnsupportedFormat
from lakecore.llm import Budgets, By, Circuit, Ledger, Outcome, Prices, Rung
from lakecore.llm._records import Denied, Granted, Reservation, Settlement
from lakecore.llm._tokens import Origin, Usage
from lakecore.llm._uptime import ManualUptime

HOUR_US = 3_600 * 1_000_000
NOON_US = 20_000 * 24 * HOUR_US + 12 * HOUR_US
RUNG = Rung(
    name="one",
    base_url="http://127.0.0.1:9/v1",
    model="m",
    prices=Prices.of_usd(1, 1),
    max_concurrent=1_000,
)


def reservation(id_: str, **given: Any) -> Reservation:
    """An attempt of up to 1,000 tokens at a thousandth of a dollar for a thousand."""
    known = {
        "call_id": f"call-{id_}",
        "ordinal": 0,
        "by": By(actor="ada", key="k", run="r"),
        "rung": RUNG,
        "most_nano": 1_000_000,
        "prompt_most": 500,
        "output_most": 500,
        "tokens": 400,
        "budgets": Budgets(),
    }
    return Reservation(**{"id": id_, **known, **given})  # type: ignore[arg-type]  # many types


def granted(ledger: Ledger, wanted: Reservation) -> None:
    """Reserved."""
    assert ledger.reserve(wanted).result() == Granted()


def settled(ledger: Ledger, id_: str, tokens: int = 100, **given: Any) -> None:
    """Settled as ok, with as many tokens of each kind."""
    usage = Usage(tokens, tokens, Origin.PROVIDER)
    how = Settlement(**{"outcome": Outcome.OK, "usage": usage, **given})
    assert ledger.settle(id_, how).result()


def test_reserved_then_settled(tmp_path: Path) -> None:
    """What is reserved counts until it is settled, and once."""
    ledger = Ledger(tmp_path)
    granted(ledger, reservation("a"))
    report = ledger.usage()
    assert (report.under_way, report.reserved_nano, report.total.requests) == (1, 1_000_000, 0)
    settled(ledger, "a")
    assert not ledger.settle("a", Settlement(outcome=Outcome.TRANSPORT)).result()
    report = ledger.usage()
    assert (report.under_way, report.total.requests, report.total.cost_nano) == (0, 1, 200_000)
    assert report.by["key"]["k"] == report.by["model"]["m"] == report.total
    ledger.close()


def test_a_budget_is_never_passed(tmp_path: Path) -> None:
    """Many at a time, each for more than it will cost: granted and spent stay below."""
    limit = 5_500_000
    budgets = Budgets(day_nano=limit)
    ledger = Ledger(tmp_path)
    verdicts: list[Any] = []

    def spend(name: str) -> None:
        for at in range(20):
            wanted = reservation(f"{name}{at}", budgets=budgets)
            verdict = ledger.reserve(wanted).result()
            verdicts.append(verdict)
            if isinstance(verdict, Granted):
                settled(ledger, wanted.id, tokens=200)

    threads = [threading.Thread(target=spend, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = ledger.usage().total
    assert 4_500_000 < total.cost_nano <= limit
    assert Counter_of(verdicts) == {"granted": total.requests, "budget": 80 - total.requests}
    ledger.close()


def Counter_of(verdicts: list[Any]) -> dict[str, int]:  # noqa: N802 - reads as what it gives
    """How many of each."""
    found: dict[str, int] = {}
    for verdict in verdicts:
        name = "granted" if isinstance(verdict, Granted) else str(verdict.outcome)
        found[name] = found.get(name, 0) + 1
    return found


@pytest.mark.parametrize(
    ("budgets", "word"),
    [
        (Budgets(call_nano=999_999), "call"),
        (Budgets(run_nano=1_999_999), "run"),
        (Budgets(key_nano=1_999_999), "key"),
        (Budgets(day_nano=1_999_999), "day"),
    ],
)
def test_every_budget_says_which(tmp_path: Path, budgets: Budgets, word: str) -> None:
    """And what is spent of it; nothing of a denied attempt stays."""
    ledger = Ledger(tmp_path)
    granted(ledger, reservation("a"))
    verdict = ledger.reserve(reservation("b", budgets=budgets)).result()
    assert isinstance(verdict, Denied)
    assert verdict.outcome is Outcome.BUDGET
    assert f"the {word}'s" in verdict.detail
    assert ledger.usage().under_way == 1
    free = reservation("c", budgets=budgets, most_nano=0)
    granted(ledger, free)
    ledger.close()


def ledger_at(tmp_path: Path, **given: Any) -> tuple[Ledger, ManualClock, ManualUptime]:
    """A ledger whose clocks a test sets, at noon."""
    clock, uptime = ManualClock(NOON_US), ManualUptime(HOUR_US)
    return Ledger(tmp_path, clock=clock, uptime=uptime, **given), clock, uptime


def is_granted(ledger: Ledger, id_: str, budgets: Budgets) -> bool:
    """Whether it is; what was granted is settled at its most."""
    verdict = ledger.reserve(reservation(id_, budgets=budgets)).result()
    if isinstance(verdict, Granted):
        settled(ledger, id_, is_most=True)
    return isinstance(verdict, Granted)


def test_a_clock_that_jumps_opens_no_budget(tmp_path: Path) -> None:
    """Forth over midnight, back, by years, in another process: one day's money a day."""
    ledger, clock, uptime = ledger_at(tmp_path)
    budgets = Budgets(day_nano=1_000_000)
    assert is_granted(ledger, "a", budgets)
    for number, jump_hours in enumerate((24, 48, -24, 24 * 365, -24 * 365, 13)):
        clock.set(NOON_US + jump_hours * HOUR_US)
        uptime.advance(1_000_000)
        assert not is_granted(ledger, f"jump{number}", budgets)
    ledger.close()
    # Another process, the same run of the machine.
    again = Ledger(tmp_path, clock=clock, uptime=uptime)
    assert not is_granted(again, "other", budgets)
    # Midnight by both clocks.
    clock.set(NOON_US + 13 * HOUR_US)
    uptime.advance(13 * HOUR_US)
    assert is_granted(again, "next", budgets)
    assert not is_granted(again, "next2", budgets)
    again.close()


def test_a_wrong_clock_locks_nobody_out_for_long(tmp_path: Path) -> None:
    """A day in force lasts a day of real time at most, whatever the wall clock says."""
    ledger, clock, uptime = ledger_at(tmp_path)
    budgets = Budgets(day_nano=1_000_000)
    assert is_granted(ledger, "a", budgets)
    clock.set(NOON_US - 3_000 * 24 * HOUR_US)
    uptime.advance(24 * HOUR_US)
    assert is_granted(ledger, "b", budgets)
    # The machine starts again, and its clock is set back further: kept, for a day at most.
    ledger.close()
    uptime = ManualUptime(1, boot="second")
    clock.set(NOON_US - 4_000 * 24 * HOUR_US)
    ledger = Ledger(tmp_path, clock=clock, uptime=uptime)
    assert not is_granted(ledger, "c", budgets)
    uptime.advance(24 * HOUR_US)
    assert is_granted(ledger, "d", budgets)
    ledger.close()


def test_rates_are_of_a_minute_of_real_time(tmp_path: Path) -> None:
    """By the machine's own count; the wall clock does not matter."""
    ledger, clock, uptime = ledger_at(tmp_path)
    limited = Rung(
        name="slow", base_url=RUNG.base_url, model="m", requests_per_minute=2, max_concurrent=9
    )
    for id_ in "ab":
        granted(ledger, reservation(id_, rung=limited))
    clock.advance(10 * HOUR_US)
    uptime.advance(30_000_000)
    verdict = ledger.reserve(reservation("c", rung=limited)).result()
    assert isinstance(verdict, Denied)
    assert (verdict.outcome, verdict.retry_after_s) == (Outcome.RATE, 30.0)
    uptime.advance(30_000_001)
    granted(ledger, reservation("d", rung=limited))
    ledger.close()


def test_a_circuit_has_one_probe(tmp_path: Path) -> None:
    """Left alone after faults; one request finds out, the others wait for it."""
    ledger, _, uptime = ledger_at(tmp_path, circuit=Circuit(faults=2, open_s=10))
    for id_ in "ab":
        granted(ledger, reservation(id_))
        settled(ledger, id_, outcome=Outcome.TRANSPORT)
    assert Counter_of([ledger.reserve(reservation("c")).result()]) == {"asleep": 1}
    uptime.advance(10_000_001)
    granted(ledger, reservation("d"))
    assert Counter_of([ledger.reserve(reservation("e")).result()]) == {"asleep": 1}
    settled(ledger, "d")
    granted(ledger, reservation("f"))
    ledger.close()


def test_a_fork_is_another_process(tmp_path: Path) -> None:
    """A child uses the ledger as its own; what it leaves open is found when it is gone."""
    ledger = Ledger(tmp_path)
    granted(ledger, reservation("parent"))
    child = os.fork()
    if child == 0:
        try:
            granted(ledger, reservation("child"))
            settled(ledger, "parent")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    ledger.close()
    found = Ledger(tmp_path).usage()
    assert (found.under_way, found.total.requests) == (0, 2)


def test_denied_calls_are_counted(tmp_path: Path) -> None:
    """With a row, up to a bound a day."""
    ledger = Ledger(tmp_path)
    how = Settlement(outcome=Outcome.NO_RUNG)
    ledger.note(reservation("a"), how).result()
    total = ledger.usage().total
    assert (total.calls, total.requests, total.denied) == (1, 0, 1)
    assert ledger.unprojected(10)[0]["outcome"] == "no_rung"
    ledger.close()


def test_pruning_keeps_the_sums(tmp_path: Path) -> None:
    """Rows that are in the dataset go after their days; no others do."""
    ledger, clock, uptime = ledger_at(tmp_path)
    for id_ in "ab":
        granted(ledger, reservation(id_))
        settled(ledger, id_)
    ledger.mark_projected([ledger.unprojected(1)[0]["number"]])
    clock.advance(5 * 24 * HOUR_US)
    uptime.advance(5 * 24 * HOUR_US)
    before = ledger.usage().total
    assert ledger.prune(keep_days=3) == 1
    assert ledger.usage().total == before
    assert len(ledger.unprojected(10)) == 1
    assert ledger.usage(days=3).total.requests == 0
    ledger.close()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    """A newer version, and what is no ledger at all."""
    path = tmp_path / "llm-ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnsupportedFormat):
        Ledger(tmp_path).usage()
    path.write_bytes(b"not a database, by any means" * 100)
    with pytest.raises(CorruptData):
        Ledger(tmp_path).usage()
