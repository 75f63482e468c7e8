"""What a judge saw is what became of the table, whatever is done to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.judges import FakeGate, FakeSink
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import InvalidInput
from lakecore.storage import open_store
from lakecore.tables import Sql, TableSettings

SCHEMA = pa.schema([("id", pa.int64()), ("n", pa.float64()), ("v", pa.string())])
SMALL = TableSettings(file_rows=4, row_group_rows=2, chunk_rows=3)

ids = st.integers(0, 9)
numbers = st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan")])
texts = st.none() | st.sampled_from(["", "a", "é\n"])
conditions = st.sampled_from(["id < 5", "n > 0", "v is null", "id % 2 = 0 and v = 'a'"])
values = st.sampled_from(
    [{"v": "b"}, {"n": Sql("n + 1")}, {"v": None, "n": 0.0}, {"id": Sql("9 - id")}, {"v": Sql("v")}]
)


@st.composite
def rows(draw: st.DrawFn, *, unique: bool) -> pa.Table:
    keys = draw(st.lists(ids, max_size=8, unique=unique))
    columns = [keys, [draw(numbers) for _ in keys], [draw(texts) for _ in keys]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA)


def operations(*, keyed: bool) -> st.SearchStrategy[tuple[Any, ...]]:
    given_rows = rows(unique=keyed)
    kinds = [
        st.tuples(st.just("append"), given_rows),
        st.tuples(st.just("replace"), given_rows),
        st.tuples(st.just("update"), conditions, values),
        st.tuples(st.just("delete"), conditions),
    ]
    if keyed:
        narrow = given_rows.map(lambda table: table.drop_columns(["n"]))
        kinds += [st.tuples(st.just("upsert"), given_rows), st.tuples(st.just("upsert"), narrow)]
    return st.one_of(kinds)


def _apply(lake: Lake, operation: tuple[Any, ...], **options: Any) -> Any:
    kind, *arguments = operation
    if kind == "update":
        return lake.update(where=arguments[0], set=arguments[1], **options)
    if kind == "delete":
        return lake.delete(where=arguments[0], **options)
    return getattr(lake, kind)(arguments[0], **options)


def _bag(found: Sequence[Mapping[str, Any]]) -> Counter[str]:
    # As text, since NaN equals itself here; the zeros are one value, as in the journal (RFC 8785).
    return Counter(repr({name: _plain(row.get(name)) for name in SCHEMA.names}) for row in found)


def _check(keyed: bool, todo: list[tuple[Any, ...]]) -> None:
    gate = FakeGate()
    store = open_store("memory://")
    lake = Lake(store, dataset=Ref(key=("id",) if keyed else ()), settings=SMALL, gate=gate)
    lake.append(SCHEMA.empty_table())
    for operation in todo:
        before = lake.rows()
        gate.judges.clear()
        sink = FakeSink()
        try:
            result = _apply(lake, operation, diff=sink)
        except InvalidInput:
            assert lake.rows() == before or repr(lake.rows()) == repr(before)
            continue
        judge = gate.last
        gone, come = _bag(judge.before()), _bag(judge.after())
        expected, found = _bag(before), _bag(lake.rows())
        expected.subtract(gone)
        expected.update(come)
        assert +expected == found
        assert not -expected
        _only_real_changes(judge)
        assert (judge.plan is not None) == result.committed
        if keyed and result.committed:
            _sink_agrees_with_the_events(lake, result.version, sink)
    store.close()


def _only_real_changes(judge: Any) -> None:
    for before, after, names in judge.seen:
        if before is None or after is None:
            assert names is None
            continue
        rows = zip(before.to_pylist(), after.to_pylist(), names.to_pylist(), strict=True)
        for old, new, changed in rows:
            differ = [n for n in SCHEMA.names if repr(_plain(old[n])) != repr(_plain(new[n]))]
            assert changed
            assert sorted(changed) == sorted(differ)


def _plain(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value


def _sink_agrees_with_the_events(lake: Lake, version: int, sink: FakeSink) -> None:
    events = [
        (e.entity_type, e.entity_id, e.field, e.action, e.old_value, e.new_value)
        for e in lake.events()
        if e.version == version and not e.entity_id.startswith("batch:")
    ]
    assert sink.rows() == events


BOUNDED = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


@BOUNDED
@given(st.lists(operations(keyed=True), min_size=1, max_size=4))
def test_of_a_keyed_dataset(todo: list[tuple[Any, ...]]) -> None:
    """Rows before, less those that go, and those that come, are the rows after."""
    _check(True, todo)


@BOUNDED
@given(st.lists(operations(keyed=False), min_size=1, max_size=4))
def test_of_an_unkeyed_dataset(todo: list[tuple[Any, ...]]) -> None:
    """The same where rows have no name and may be there twice."""
    _check(False, todo)
