"""Judges that do as they are told and remember what they were shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakecore.tables import ChangeFacts, Plan, Ruling

Seen = tuple[pa.Table | None, pa.Table | None, pa.ListArray | None]


@dataclass
class FakeJudge:
    """Judges one attempt as its gate says."""

    gate: FakeGate
    facts: ChangeFacts
    seen: list[Seen] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    plan: Plan | None = None
    digest: str | None = None

    @property
    def columns(self) -> frozenset[str] | None:
        return self.gate.columns

    @property
    def wants_changed(self) -> bool:
        return self.gate.wants_changed

    @property
    def wants_digest(self) -> bool:
        return self.gate.wants_digest

    def rows(
        self, before: pa.Table | None, after: pa.Table | None, changed: pa.ListArray | None
    ) -> None:
        """Remember them; raise what the gate has for rows."""
        self.threads.add(threading.current_thread().name)
        self.seen.append((before, after, changed))
        if self.gate.rows_raise is not None:
            raise self.gate.rows_raise

    def decide(self, plan: Plan) -> Ruling:
        """The gate's ruling, or what it has to raise."""
        self.plan = plan
        if self.gate.wants_digest:
            self.digest = plan.digest()
        if self.gate.decide_raises is not None:
            raise self.gate.decide_raises
        return self.gate.ruling

    def context(self) -> Mapping[str, object]:
        return self.gate.context

    def before(self) -> list[dict[str, Any]]:
        """All rows that would go or change, as they were."""
        return [row for before, _, _ in self.seen if before is not None for row in _rows(before)]

    def after(self) -> list[dict[str, Any]]:
        """All rows that would come or change, as they become."""
        return [row for _, after, _ in self.seen if after is not None for row in _rows(after)]

    def changed(self) -> list[list[str]]:
        """The names of the changed columns of all changed rows."""
        return [names for _, _, c in self.seen if c is not None for names in c.to_pylist()]


@dataclass
class FakeGate:
    """Gives every attempt a `FakeJudge`; `judges` are all so far."""

    columns: frozenset[str] | None = None
    wants_changed: bool = True
    wants_digest: bool = False
    ruling: Ruling = Ruling.COMMIT
    rows_raise: BaseException | None = None
    decide_raises: BaseException | None = None
    context: Mapping[str, object] = field(default_factory=lambda: {"tier": "auto", "rules": "r1"})
    exempt: Callable[[ChangeFacts], bool] = lambda facts: False
    judges: list[FakeJudge] = field(default_factory=list)

    def judge(self, facts: ChangeFacts) -> FakeJudge | None:
        if self.exempt(facts):
            return None
        self.judges.append(FakeJudge(self, facts))
        return self.judges[-1]

    @property
    def last(self) -> FakeJudge:
        return self.judges[-1]


@dataclass
class FakeSink:
    """Keeps the exact change."""

    tables: list[pa.Table] = field(default_factory=list)
    restarts: int = 0

    def write(self, rows: pa.Table) -> None:
        self.tables.append(rows)

    def restart(self) -> None:
        self.restarts += 1
        self.tables.clear()

    def rows(self) -> list[tuple[Any, ...]]:
        """(entity_type, entity_id, field, action, old, new), in the order they came."""
        return [tuple(row.values()) for table in self.tables for row in _rows(table)]


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
