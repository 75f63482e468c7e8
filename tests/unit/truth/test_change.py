"""The contexts of changes."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from lakecore.base import InvalidInput
from lakecore.truth import ChangeContext, Principal, RuleSet, Size, change_rows
from lakecore.truth._change import MEMBERS

CHANGE = ChangeContext(
    task_class="update",
    op="upsert",
    dataset="planes",
    entity_type="plane",
    principal=Principal("ada", roles=["ops"], trust=0.5, more={"team": "data"}),
    size=Size(rows=2, fields=3, bytes=40, fraction=0.1),
)


def test_a_row_has_every_member() -> None:
    """What the page promises is there."""
    row = CHANGE.row(None, {"a": 1}, ["a"])
    assert set(row) == set(MEMBERS)
    assert row["principal"] == {
        "name": "ada",
        "kind": "person",
        "roles": ["ops"],
        "trust": 0.5,
        "team": "data",
    }
    assert row["size"] == {"rows": 2, "fields": 3, "bytes": 40, "fraction": 0.1}


def test_rows_of_an_upsert() -> None:
    """Inserted rows have no `before`; chunks of the tables need not match."""
    before = pa.table({"a": pa.chunked_array([[1], [2, 3]])})
    after = pa.table({"a": pa.chunked_array([[1, 5], [6]])})
    existed = pa.array([True, False, True])
    rows = change_rows(before, after, existed=existed, changed=pa.array([[], ["a"], ["a"]]))
    assert rows.to_pylist() == [
        {"before": {"a": 1}, "after": {"a": 1}, "changed": []},
        {"before": None, "after": {"a": 5}, "changed": ["a"]},
        {"before": {"a": 3}, "after": {"a": 6}, "changed": ["a"]},
    ]
    rules = RuleSet.from_toml(
        """
        [[rule]]
        id = "new"
        task_class = "*"
        when = { cel = "before == null && 'ops' in principal.roles && 'a' in changed" }
        action = "warn"
        message = "a new row"
        """
    )
    batch = rules.evaluate_rows("update", rows, CHANGE.shared())
    assert batch.actions.tolist() == [0, 1, 0]
    assert batch.rules[0].rows_one_by_one == 0
    one = rules.evaluate("update", CHANGE.row(None, {"a": 5}, ["a"]))
    assert one.action is batch.decision(1).action


def test_rows_of_a_delete() -> None:
    """There is no `after`."""
    assert change_rows(pa.table({"a": [1]}), None).to_pylist() == [
        {"before": {"a": 1}, "after": None}
    ]


def test_the_package_is_light() -> None:
    """Importing it loads no engine and no arrays: one context needs neither Arrow nor NumPy."""
    code = (
        "import sys; from lakecore.truth import RuleSet; RuleSet.from_dict({}).evaluate('x', {});"
        "print([m for m in ('pyarrow', 'numpy', 'cel_expr_python') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_sides_match() -> None:
    """As many rows on each; at least one side."""
    with pytest.raises(InvalidInput, match="do not match"):
        change_rows(pa.table({"a": [1]}), pa.table({"a": [1, 2]}))
    with pytest.raises(InvalidInput, match="do not match"):
        change_rows(None, None)
    with pytest.raises(InvalidInput, match="do not match"):
        change_rows(pa.table({"a": [1]}), None, existed=pa.array([True, False]))
