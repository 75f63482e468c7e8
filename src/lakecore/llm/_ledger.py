"""The ledger: every attempt on record before it is made and after, and so the limiter.

    reserve   checked and written in one transaction, durable before the request leaves
    settle    what it was and what it cost, durable before the answer is handed on

A budget holds what is spent and what is reserved, at the most that it can cost. So the sum of
all costs never passes a budget by more than what a server reports beyond the bound of its own
request, and such figures are not believed.

**Crash windows.** Killed before `reserve` is durable: nothing left. Between the two: the attempt
is open, its owner's lock is free; whoever opens the ledger next, or finds it so while it works,
settles it as ``unknown`` at what was reserved. After `settle`: as if nothing had happened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from lakecore.base import Clock, SystemClock
from lakecore.llm import _tables
from lakecore.llm._day import Day
from lakecore.llm._money import Prices, usd_of
from lakecore.llm._outcome import ANSWERED, Outcome, is_fault
from lakecore.llm._owners import Owner
from lakecore.llm._records import (
    MAX_DETAIL_CHARACTERS,
    Circuit,
    Denied,
    Figures,
    Granted,
    Reservation,
    Scope,
    Settlement,
    UsageReport,
)
from lakecore.llm._store import LedgerFile
from lakecore.llm._tokens import Origin, Usage
from lakecore.llm._uptime import SystemUptime, Uptime

_MINUTE_US: Final = 60 * 1_000_000
_SWEEP_US: Final = 5 * 1_000_000
_FULL_RETRY_S: Final = 0.1
MAX_RESUME_S: Final = 3_600.0
"""The longest that a Retry-After keeps a rung alone."""

DENIED_ROWS: Final = 100_000
"""Calls of one day that were denied and have a row of their own; further ones are counted."""

Row = dict[str, Any]


class Ledger:
    """The ledger of one machine for one lake. Threads, forks and processes may share it.

    Args:
        folder: the state directory.
        clock: the wall clock; may jump.
        uptime: the machine's own count of time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        uptime: Uptime | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._uptime = uptime or SystemUptime()
        self._circuit = circuit or Circuit()
        self._owner = Owner(folder / "llm-owners")
        self._swept_us: int | None = None
        self._file = LedgerFile(
            folder / _tables.FILE_NAME,
            _tables.SCHEMA,
            version=_tables.VERSION,
            on_open=self._opened,
        )

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def reserve(self, wanted: Reservation) -> Future[Granted | Denied]:
        """Put an attempt on record, unless something forbids it."""
        return self._file.submit(lambda db: self._reserve(db, wanted))

    def settle(self, attempt_id: str, how: Settlement) -> Future[bool]:
        """Put on record how an attempt ended; False where that was done before."""
        return self._file.submit(lambda db: self._settle(db, attempt_id, how))

    def note(self, wanted: Reservation, how: Settlement) -> Future[None]:
        """Put on record what ended without a request: denied, or replayed."""
        return self._file.submit(lambda db: self._note(db, wanted, how))

    def usage(self, *, days: int | None = None, key: str | None = None) -> UsageReport:
        """Figures of this machine: of the last `days` (today is one), of one key, or of all."""
        return self._file.call(lambda db: self._usage(db, days, key))

    def spent_today(self, key: str | None = None) -> int:
        """Nano-dollars that are spent or reserved of the day's budget, or of a key's."""

        def read(db: sqlite3.Connection) -> int:
            scopes = dict(_names("", key or "", self._day(db).label))
            scope = Scope.DAY if key is None else Scope.KEY
            query = "SELECT nano FROM spent WHERE scope = ? AND name = ?"
            row = db.execute(query, (scope, scopes[scope])).fetchone()
            return row[0] if row else 0

        return int(self._file.call(read))

    def unprojected(self, limit: int) -> list[Row]:
        """Settled attempts that are not in the dataset yet, the oldest first."""

        def read(db: sqlite3.Connection) -> list[Row]:
            cursor = db.execute(_tables.SETTLED_ROWS, (limit,))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

        return self._file.call(read)

    def mark_projected(self, rows: Iterable[int]) -> None:
        """These are in the dataset, durably."""
        numbers = [(number,) for number in rows]
        self._file.call(
            lambda db: (
                db.executemany("UPDATE attempts SET is_projected = 1 WHERE number = ?", numbers)
                and None
            )
        )

    def prune(self, *, keep_days: int, limit: int = 10_000) -> int:
        """Forget rows of attempts that are in the dataset; sums stay."""

        def forget(db: sqlite3.Connection) -> int:
            until = self._day(db).minus(keep_days)
            found = db.execute(
                "DELETE FROM attempts WHERE number IN (SELECT number FROM attempts "
                "WHERE is_projected = 1 AND day < ? LIMIT ?)",
                (until, limit),
            )
            db.execute("DELETE FROM spent WHERE day < ?", (until,))
            return found.rowcount

        return self._file.call(forget)

    def call(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run something over the tables: for checks and tests."""
        return self._file.call(run)

    def close(self) -> None:
        """Write what waits, and let go. Safe to call twice."""
        self._file.close()
        self._owner.close()

    # -- reserving --------------------------------------------------------------------

    def _reserve(self, db: sqlite3.Connection, wanted: Reservation) -> Granted | Denied:
        self._sweep(db)
        day, now_us, boot = self._day(db), self._uptime.now_us(), self._uptime.boot
        denied = self._unfit(db, wanted, now_us, boot) or self._unaffordable(db, wanted, day)
        if denied is not None:
            return denied
        self._insert(db, wanted, day, is_sent=True)
        for scope, name, _ in _budgets(wanted, day.label):
            db.execute(_tables.ADD_SPENT, (scope, name, day.label, wanted.most_nano))
        self._probe(db, wanted, now_us, boot)
        return Granted()

    def _unfit(
        self, db: sqlite3.Connection, wanted: Reservation, now_us: int, boot: str
    ) -> Denied | None:
        """What the rung itself says: is it awake, has it room, is it too soon?"""
        rung = wanted.rung
        faults, open_until_us, resume_us = self._rung(db, rung.name, boot)
        if open_until_us > now_us:
            wait_s = (open_until_us - now_us) / 1e6
            detail = f"left alone after {faults} faults on end"
            return Denied(Outcome.ASLEEP, detail, wait_s)
        if resume_us > now_us:
            wait_s = (resume_us - now_us) / 1e6
            return Denied(Outcome.RATE, "its server asked to wait", wait_s)
        query = "SELECT count(*) FROM attempts WHERE rung = ? AND outcome IS NULL"
        under_way = db.execute(query, (rung.name,)).fetchone()[0]
        if under_way >= rung.max_concurrent:
            detail = f"{under_way} requests are under way"
            return Denied(Outcome.RATE, detail, _FULL_RETRY_S, is_full=True)
        return self._too_soon(db, wanted, now_us, boot)

    def _too_soon(
        self, db: sqlite3.Connection, wanted: Reservation, now_us: int, boot: str
    ) -> Denied | None:
        rung = wanted.rung
        if rung.requests_per_minute is None and rung.tokens_per_minute is None:
            return None
        count, tokens, oldest_us = db.execute(
            "SELECT count(*), total(tokens), min(uptime_us) FROM attempts "
            "WHERE rung = ? AND uptime_us > ? AND boot = ? AND is_sent = 1",
            (rung.name, now_us - _MINUTE_US, boot),
        ).fetchone()
        if not count:
            return None
        wait_s = max(0.001, (oldest_us + _MINUTE_US - now_us) / 1e6)
        if rung.requests_per_minute is not None and count >= rung.requests_per_minute:
            return Denied(Outcome.RATE, f"{count} requests within a minute", wait_s)
        most = rung.tokens_per_minute
        if most is not None and tokens + wanted.tokens > most:
            return Denied(Outcome.RATE, f"{tokens:,.0f} tokens within a minute", wait_s)
        return None

    def _unaffordable(self, db: sqlite3.Connection, wanted: Reservation, day: Day) -> Denied | None:
        if not wanted.most_nano:
            return None
        limit = wanted.budgets.call_nano
        if limit is not None and wanted.most_nano > limit:
            return _too_dear(Scope.CALL, wanted.most_nano, 0, limit)
        for scope, name, most in _budgets(wanted, day.label):
            if most is None:
                continue
            query = "SELECT nano FROM spent WHERE scope = ? AND name = ?"
            row = db.execute(query, (scope, name)).fetchone()
            spent = row[0] if row else 0
            if spent + wanted.most_nano > most:
                return _too_dear(scope, wanted.most_nano, spent, most)
        return None

    def _probe(self, db: sqlite3.Connection, wanted: Reservation, now_us: int, boot: str) -> None:
        """One request finds out whether a rung that was left alone is back; others wait for it."""
        faults, _, resume_us = self._rung(db, wanted.rung.name, boot)
        if faults >= self._circuit.faults:
            until_us = now_us + int(self._circuit.open_s * 1e6)
            db.execute(_tables.SET_RUNG, (wanted.rung.name, boot, faults, until_us, resume_us))

    def _insert(
        self, db: sqlite3.Connection, wanted: Reservation, day: Day, *, is_sent: bool
    ) -> None:
        by = wanted.by
        known = (wanted.id, wanted.call_id, wanted.ordinal, self._owner.name, self._uptime.boot)
        when = (self._uptime.now_us(), self._clock.now_us(), day.label)
        who = (by.actor, by.key, by.source, by.run, wanted.rung.name, wanted.rung.model)
        prices = wanted.rung.prices
        priced = (prices.prompt_micro, prices.completion_micro, wanted.most_nano)
        most = (*priced, wanted.prompt_most, wanted.output_most, wanted.tokens)
        rest = (wanted.left_json, wanted.redactions, is_sent)
        db.execute(_tables.INSERT_ATTEMPT, (*known, *when, *who, *most, *rest))

    # -- settling ---------------------------------------------------------------------

    def _settle(self, db: sqlite3.Connection, attempt_id: str, how: Settlement) -> bool:
        row = db.execute(_tables.OPEN_ATTEMPT, (attempt_id,)).fetchone()
        if row is None:
            return False
        _, day, run, key, reserved_nano, rung, model, source, actor, ordinal, *rest = row
        prompt_most, output_most, is_sent, *prices = rest
        if how.is_most:
            usage, cost_nano = Usage(prompt_most, output_most, Origin.RESERVED), reserved_nano
        else:
            usage = how.usage
            # By the prices at which it was reserved: settings may have changed since.
            cost_nano = Prices(*prices).cost_nano(usage.prompt_tokens, usage.completion_tokens)
        self._write(db, attempt_id, how, usage, cost_nano, is_sent=bool(is_sent))
        for scope, name in _names(run, key, day):
            db.execute(_tables.ADD_SPENT, (scope, name, day, cost_nano - reserved_nano))
        figures = _figures(how.outcome, usage, cost_nano, is_first=ordinal == 0, is_sent=is_sent)
        db.execute(_tables.ADD_TOTALS, (day, rung, model, source, key, actor, *figures))
        self._judge(db, rung, how)
        return True

    def _write(
        self,
        db: sqlite3.Connection,
        attempt_id: str,
        how: Settlement,
        usage: Usage,
        cost_nano: int,
        *,
        is_sent: bool,
    ) -> None:
        tokens = usage.prompt_tokens + usage.completion_tokens
        counted = (usage.prompt_tokens, usage.completion_tokens, usage.origin, cost_nano)
        told = (how.reported, how.detail[:MAX_DETAIL_CHARACTERS], how.status, how.duration_ms)
        db.execute(
            _tables.SETTLE_ATTEMPT, (how.outcome, is_sent, *counted, *told, tokens, attempt_id)
        )

    def _judge(self, db: sqlite3.Connection, rung: str, how: Settlement) -> None:
        """What the end of an attempt says about the rung's server."""
        now_us, boot = self._uptime.now_us(), self._uptime.boot
        before = faults, open_until_us, resume_us = self._rung(db, rung, boot)
        if is_fault(how.outcome):
            faults += 1
            if faults >= self._circuit.faults:
                open_until_us = now_us + int(self._circuit.open_s * 1e6)
        elif how.outcome in ANSWERED:
            faults = open_until_us = 0
        if how.retry_after_s is not None:
            wait_s = min(max(how.retry_after_s, 0.0), MAX_RESUME_S)
            resume_us = max(resume_us, now_us + int(wait_s * 1e6))
        if (faults, open_until_us, resume_us) != before:
            db.execute(_tables.SET_RUNG, (rung, boot, faults, open_until_us, resume_us))

    def _note(self, db: sqlite3.Connection, wanted: Reservation, how: Settlement) -> None:
        day, by, rung = self._day(db), wanted.by, wanted.rung
        is_denied = how.usage.origin is not Origin.REPLAY
        query = "SELECT total(denied) FROM totals WHERE day = ?"
        if db.execute(query, (day.label,)).fetchone()[0] < DENIED_ROWS:
            self._insert(db, wanted, day, is_sent=False)
            self._write(db, wanted.id, how, how.usage, 0, is_sent=False)
        figures = (int(wanted.ordinal == 0), 0, 0, int(is_denied), 0, 0, 0, 0)
        named = (day.label, rung.name, rung.model, by.source, by.key, by.actor)
        db.execute(_tables.ADD_TOTALS, (*named, *figures))

    # -- what others left -------------------------------------------------------------

    def _opened(self, db: sqlite3.Connection) -> None:
        self._owner.tidy()
        self._swept_us = None
        self._sweep(db)

    def _sweep(self, db: sqlite3.Connection) -> None:
        """Settle what processes left open that are no more."""
        now_us = self._uptime.now_us()
        if self._swept_us is not None and 0 <= now_us - self._swept_us < _SWEEP_US:
            return
        self._swept_us = now_us
        query = "SELECT DISTINCT owner FROM attempts WHERE outcome IS NULL"
        for owner in self._owner.dead(name for (name,) in db.execute(query).fetchall()):
            query = "SELECT id FROM attempts WHERE outcome IS NULL AND owner = ?"
            for (attempt_id,) in db.execute(query, (owner,)).fetchall():
                how = Settlement(
                    outcome=Outcome.UNKNOWN, is_most=True, detail="its process ended meanwhile"
                )
                self._settle(db, attempt_id, how)

    # -- looking ----------------------------------------------------------------------

    def _rung(self, db: sqlite3.Connection, rung: str, boot: str) -> tuple[int, int, int]:
        """Faults on end, and until when it is left alone; times of another boot mean nothing."""
        query = "SELECT boot, faults, open_until_us, resume_us FROM rungs WHERE rung = ?"
        row = db.execute(query, (rung,)).fetchone()
        return (0, 0, 0) if row is None or row[0] != boot else (row[1], row[2], row[3])

    def _day(self, db: sqlite3.Connection) -> Day:
        """The day whose budget is in force."""
        now = (self._clock.now_us(), self._uptime.now_us(), self._uptime.boot)
        row = db.execute("SELECT number, wall_us, uptime_us, boot FROM day").fetchone()
        before = None if row is None else Day(*row)
        day = Day.first(*now) if before is None else before.at(*now)
        if day != before:
            db.execute(
                "INSERT OR REPLACE INTO day VALUES (1, ?, ?, ?, ?)",
                (day.number, day.wall_us, day.uptime_us, day.boot),
            )
        return day

    def _usage(self, db: sqlite3.Connection, days: int | None, key: str | None) -> UsageReport:
        since = "" if days is None else self._day(db).minus(days - 1)
        where, given = "day >= ?", [since]
        if key is not None:
            where, given = where + " AND key_id = ?", [since, key]
        sums = ", ".join(f"sum({name})" for name in _tables.FIGURES)
        by: dict[str, dict[str, Figures]] = {}
        for name in ("model", "rung", "source", "key_id", "actor", "day"):
            query = f"SELECT {name}, {sums} FROM totals WHERE {where} GROUP BY 1 ORDER BY 1"
            rows = db.execute(query, given).fetchall()
            by[name.removesuffix("_id")] = {row[0]: Figures(*row[1:]) for row in rows}
        total = db.execute(f"SELECT {sums} FROM totals WHERE {where}", given).fetchone()
        query = (
            f"SELECT count(*), sum(reserved_nano) FROM attempts WHERE outcome IS NULL AND {where}"
        )
        count, reserved = db.execute(query, given).fetchone()
        return UsageReport(
            total=Figures(*(number or 0 for number in total)),
            by=by,
            under_way=count,
            reserved_nano=reserved or 0,
        )


def _budgets(wanted: Reservation, day: str) -> list[tuple[Scope, str, int | None]]:
    """What an attempt counts against: scope, name, and the limit if there is one."""
    limits = {
        Scope.DAY: wanted.budgets.day_nano,
        Scope.KEY: wanted.budgets.key_nano,
        Scope.RUN: wanted.budgets.run_nano,
    }
    names = _names(wanted.by.run, wanted.by.key, day)
    return [(scope, name, limits[scope]) for scope, name in names]


def _names(run: str, key: str, day: str) -> list[tuple[Scope, str]]:
    found = [(Scope.DAY, day), (Scope.KEY, f"{day} {key}")]
    return [*found, (Scope.RUN, run)] if run else found


def _figures(
    outcome: Outcome, usage: Usage, cost_nano: int, *, is_first: bool, is_sent: bool
) -> tuple[int, ...]:
    is_estimate = usage.origin in (Origin.ESTIMATE, Origin.RESERVED)
    counts = (is_first, is_sent, is_sent and outcome is not Outcome.OK, False, is_estimate)
    return (*map(int, counts), usage.prompt_tokens, usage.completion_tokens, cost_nano)


def _too_dear(scope: Scope, most_nano: int, spent_nano: int, limit_nano: int) -> Denied:
    detail = (
        f"it may cost up to {usd_of(most_nano):.6f} USD; of the {scope}'s "
        f"{usd_of(limit_nano):.6f} USD {usd_of(spent_nano):.6f} are spent or reserved"
    )
    return Denied(Outcome.BUDGET, detail)
