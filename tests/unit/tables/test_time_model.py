"""Every operation in any order against dictionaries: table, events and differences agree."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.unit.tables.conftest import ADA, Lake, Ref
from tests.unit.tables.history import as_json, events_table, follow, lines

from lakecore.base import Conflict
from lakecore.storage import open_store
from lakecore.tables import (
    AddColumn,
    ColumnChange,
    DropColumn,
    MutationResult,
    RenameColumn,
    Sql,
    TableSettings,
    WidenColumn,
    entity_id,
)

KEY = ("k", "n")
INFO = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.field("element", pa.string())))])
COLUMNS: dict[str, pa.DataType] = {
    "k": pa.string(),
    "n": pa.int64(),
    "i": pa.int32(),
    "info": INFO,
    "d": pa.decimal128(6, 2),
    "t": pa.timestamp("us", tz="UTC"),
}
KEYS = [(k, n) for k in ("a", 'b"', "é") for n in (1, 2)]
SOME_KEYS = st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)
VALUES: dict[str, list[Any]] = {
    "int": [None, -1, 0, 7],
    "struct": [None, {"a": 1, "b": ["x", None]}, {"a": None, "b": []}, {"a": 2, "b": None}],
    "decimal": [None, Decimal("1.50"), Decimal("-0.01")],
    "timestamp": [None, datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)],
    "string": [None, "", "null", 'quote " and \\'],
}
PICKS = st.lists(st.integers(0, 5), min_size=1, max_size=24)

Key = tuple[str, int]
Rows = dict[Key, dict[str, Any]]


def kind_of(kind: pa.DataType) -> str:
    """Which of `VALUES` a column takes."""
    names = {
        "int": pa.types.is_integer,
        "struct": pa.types.is_struct,
        "decimal": pa.types.is_decimal,
        "timestamp": pa.types.is_timestamp,
    }
    return next((name for name, is_kind in names.items() if is_kind(kind)), "string")


class Machine(RuleBasedStateMachine):
    """A keyed table and its model: rows, columns, and both at every version."""

    @initialize(file_rows=st.sampled_from([2, 1_000]), is_small=st.booleans())
    def start(self, file_rows: int, is_small: bool) -> None:
        """An empty table; files of few rows or one; compared in memory, or spilled in parts."""
        limits = TableSettings(
            file_rows=file_rows, row_group_rows=2, input_bytes=1 << (15 if is_small else 29)
        )
        self.store = open_store("memory://")
        self.lake = Lake(self.store, dataset=Ref(key=KEY), settings=limits)
        self.rows: Rows = {}
        self.columns = dict(COLUMNS)
        self.past: list[tuple[Rows, dict[str, pa.DataType]]] = []
        self.mutations: list[tuple[str, int, bool]] = []
        self.named = 0
        self.lake.append(self.table([]))
        self.past.append((copy.deepcopy(self.rows), dict(self.columns)))

    def teardown(self) -> None:
        """Let go of the store."""
        self.store.close()

    def table(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Rows in the present columns."""
        return pa.Table.from_pylist(rows, schema=pa.schema(list(self.columns.items())))

    def row(self, key: Key, picks: list[int]) -> dict[str, Any]:
        """A row with that key, its values chosen by `picks`."""
        row: dict[str, Any] = dict(zip(KEY, key, strict=True))
        for position, (name, kind) in enumerate(self.columns.items()):
            if name not in KEY:
                values = VALUES[kind_of(kind)]
                row[name] = values[picks[position % len(picks)] % len(values)]
        return row

    def changed(self, result: MutationResult, *, moved: bool = False) -> None:
        """The table, its events and the newest difference are the model's."""
        before, columns = self.past[-1]
        if (before, columns) == (self.rows, self.columns):
            if not moved:
                assert result.version is None, "a change of nothing"
        else:
            assert result.version == len(self.past)
        if result.version is not None:
            self.past.append((copy.deepcopy(self.rows), dict(self.columns)))
            self.mutations.append((result.mutation_id, result.version, moved))
        assert self.lake.arrow().schema.names == list(self.columns)
        found = {(row["k"], row["n"]): row for row in self.lake.arrow().to_pylist()}
        assert found == self.rows
        replayed: dict[str, dict[str, Any]] = {}
        follow(replayed, self.lake.events())
        assert sorted(map(repr, map(_sorted, replayed.values()))) == _texts(self.rows)

    # -- changes of rows ------------------------------------------------------------------

    @rule(keys=SOME_KEYS, picks=PICKS)
    def upsert(self, keys: list[Key], picks: list[int]) -> None:
        """Whole rows."""
        rows = [self.row(key, picks[position:] or picks) for position, key in enumerate(keys)]
        result = self.lake.upsert(self.table(rows))
        self.rows |= dict(zip(keys, rows, strict=True))
        self.changed(result)

    @rule(keys=SOME_KEYS, pick=st.integers(0, 5), as_table=st.booleans())
    def update_keys(self, keys: list[Key], pick: int, as_table: bool) -> None:
        """One column of rows by key; unknown keys are counted."""
        name = sorted(set(self.columns) - set(KEY))[pick % (len(self.columns) - 2)]
        values = VALUES[kind_of(self.columns[name])]
        value = values[pick % len(values)]
        given: Any = keys
        if as_table:
            given = pa.table({"k": [k for k, _ in keys], "n": [n for _, n in keys]})
        result = self.lake.update(keys=given, set={name: value})
        assert result.missing == len([key for key in keys if key not in self.rows])
        for key in set(keys) & set(self.rows):
            self.rows[key] = {**self.rows[key], name: value}
        self.changed(result)

    @rule(keys=SOME_KEYS)
    def delete_keys(self, keys: list[Key]) -> None:
        """Rows by key."""
        result = self.lake.delete(keys=[list(key) for key in keys])
        there = [key for key in keys if key in self.rows]
        assert (result.deleted, result.missing) == (len(there), len(keys) - len(there))
        for key in there:
            del self.rows[key]
        self.changed(result)

    @rule()
    def swap(self) -> None:
        """Every row gets the key of the one beside it, where there is one."""
        result = self.lake.update(all_rows=True, set={"n": Sql("3 - n")})
        self.rows = {(k, 3 - n): {**row, "n": 3 - n} for (k, n), row in self.rows.items()}
        self.changed(result, moved=True)

    # -- changes of columns ---------------------------------------------------------------

    @rule(kind=st.sampled_from(["int", "string"]))
    @precondition(lambda self: len(self.columns) < 9)
    def add_column(self, kind: str) -> None:
        """A column, null everywhere."""
        self.named += 1
        name = f"c{self.named}"
        self.columns[name] = pa.int32() if kind == "int" else pa.string()
        self.rows = {key: {**row, name: None} for key, row in self.rows.items()}
        self.alter([AddColumn(name, kind)])

    @rule(pick=st.integers(0, 9))
    @precondition(lambda self: len(self.columns) > 3)
    def drop_and_rename(self, pick: int) -> None:
        """One column goes, another gets its own new name, in one version."""
        names = [name for name in self.columns if name not in KEY]
        gone = names[pick % len(names)]
        del self.columns[gone]
        changes: list[ColumnChange] = [DropColumn(gone)]
        renamed = next(name for name in names if name != gone)
        self.named += 1
        new = f"r{self.named}"
        changes.append(RenameColumn(renamed, new))
        names_now = {name: new if name == renamed else name for name in self.columns}
        self.columns = {names_now[name]: kind for name, kind in self.columns.items()}
        self.rows = {
            key: {names_now[name]: row[name] for name in names_now}
            for key, row in self.rows.items()
        }
        self.alter(changes)

    @rule()
    def widen(self) -> None:
        """Small integers and decimals become larger ones."""
        changes: list[ColumnChange] = []
        for name, kind in self.columns.items():
            if kind == pa.int32():
                self.columns[name] = pa.int64()
                changes.append(WidenColumn(name, "long"))
            elif kind == pa.decimal128(6, 2):
                self.columns[name] = pa.decimal128(20, 2)
                changes.append(WidenColumn(name, "decimal(20,2)"))
        if changes:
            self.alter(changes)

    def alter(self, changes: list[ColumnChange]) -> None:
        """The same on the table; there are no events of rows."""
        result = self.lake.tables.alter_columns(self.lake.dataset, changes, author=ADA)
        assert result.events == len(changes)
        self.changed(result)
        self.mutations.pop()

    # -- time -----------------------------------------------------------------------------

    @rule(pick=st.integers(0, 100))
    def restore(self, pick: int) -> None:
        """Any earlier version."""
        version = pick % len(self.past)
        result = self.lake.tables.restore(self.lake.dataset, version=version, author=ADA)
        self.rows, self.columns = copy.deepcopy(self.past[version])
        before = self.past[-1]
        self.changed(result)
        if before[1] != self.columns and result.version is not None:
            self.mutations.pop()  # one that changed columns, too

    @rule(one=st.integers(0, 100), other=st.integers(0, 100))
    def diff(self, one: int, other: int) -> None:
        """A difference leads from one version's rows to the other's, and says nothing more."""
        versions = one % len(self.past), other % len(self.past)
        found = lines(self.lake.tables.diff(self.lake.dataset, *versions))
        rows = {_name(key): as_json(row) for key, row in self.past[versions[0]][0].items()}
        follow(rows, found)
        expected = self.past[versions[1]][0]
        assert sorted(map(repr, map(_sorted, rows.values()))) == _texts(expected)
        if self.past[versions[0]] == self.past[versions[1]]:
            assert found == []

    @rule(pick=st.integers(0, 100), skip=st.booleans())
    @precondition(lambda self: bool(self.mutations))
    def revert(self, pick: int, skip: bool) -> None:
        """Any mutation of rows: undone where nothing came after it, else refused or skipped."""
        mutation, version, moved = self.mutations[pick % len(self.mutations)]
        expected, conflicts = undone(
            self.rows, set(self.columns), self.past[version - 1], self.past[version], moved
        )
        mine = [event for event in self.lake.events() if event.mutation_id == mutation]

        def call() -> MutationResult:
            return self.lake.tables.revert(
                self.lake.dataset,
                mutation,
                version=version,
                events=[events_table(mine)],
                author=ADA,
                skip_conflicts=skip,
            )

        if conflicts and not skip:
            try:
                call()
            except Conflict:
                return
            raise AssertionError("what came later would be lost")
        result = call()
        assert bool(result.conflicts) == conflicts
        self.rows = expected
        self.changed(result)


def undone(
    now: Rows,
    columns: set[str],
    before: tuple[Rows, dict[str, pa.DataType]],
    after: tuple[Rows, dict[str, pa.DataType]],
    moved: bool,
) -> tuple[Rows, bool]:
    """The rows without one mutation, and whether something stands in its way."""
    old, new = before[0], after[0]
    names = set(after[1])
    result, conflicts = dict(now), False
    for key in set(old) | set(new):
        if old.get(key) == new.get(key) and not moved:
            continue
        is_whole = moved or key not in old or key not in new
        if is_whole:
            present = now.get(key)
            expected = new.get(key)
            as_now = {name: (expected or {}).get(name) for name in columns}
            fits = present is None if expected is None else present == as_now
            if not names <= columns or not fits:
                conflicts = True
            elif key in old:
                result[key] = {name: old[key].get(name) for name in columns}
            else:
                del result[key]
            continue
        for name in names:
            if old[key].get(name) == new[key][name]:
                continue
            if key in now and name in columns and now[key][name] == new[key][name]:
                result[key] = {**result[key], name: old[key].get(name)}
            else:
                conflicts = True
    return result, conflicts


def _name(key: Key) -> str:
    return entity_id(KEY, key)


def _sorted(row: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(row.items()))


def _texts(rows: Rows) -> list[str]:
    return sorted(repr(_sorted(as_json(row))) for row in rows.values())


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
