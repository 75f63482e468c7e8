"""Rules: one context, and a million changed rows, by ten rules; beside the same in DuckDB SQL."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.pairs import Result, alone, compare
from lakecore.changes import Rules
from lakecore.documents import Documents
from lakecore.journal import Author, Journal
from lakecore.storage import open_store
from lakecore.truth import ChangeContext, Principal, RuleSet, Size, change_rows

ROWS = 1_000_000
ASKED = 10_000

CONDITIONS = (
    '{ field_greater = { path = "after.amount", value = 998 } }',
    '{ cel = "after.amount > before.amount + 990" }',
    "{ cel = \"after.site.startsWith('x')\" }",
    "{ cel = \"after.site in ['gamma', 'delta'] && before.count == 5\" }",
    '{ cel = "after.ratio != null && after.ratio > 0.999" }',
    '{ field_empty = "after.id" }',
    '{ field_equals = { path = "after.id", value = "N77" } }',
    '{ all = [{ field_equals = { path = "op", value = "delete" } },'
    ' { field_greater = { path = "size.rows", value = 1000 } }] }',
    '{ all = [{ not = { field_empty = "after.ratio" } },'
    ' { field_greater = { path = "after.ratio", value = 0.99999 } }] }',
    "{ cel = \"size(after.id) > 7 || principal.name == 'eve'\" }",
)

SQL = """
select count(*) filter (where a.amount > 998),
       count(*) filter (where a.amount > b.amount + 990),
       count(*) filter (where starts_with(a.site, 'x')),
       count(*) filter (where a.site in ('gamma', 'delta') and b.count = 5),
       count(*) filter (where a.ratio is not null and a.ratio > 0.999),
       count(*) filter (where coalesce(a.id, '') = ''),
       count(*) filter (where a.id = 'N77'),
       count(*) filter (where 'update' = 'delete'),
       count(*) filter (where a.ratio is not null and a.ratio > 0.99999),
       count(*) filter (where length(a.id) > 7 or 'ada' = 'eve')
from (select before b, after a from changes)
"""


def rule_set() -> RuleSet:
    """Ten rules of every kind."""
    return RuleSet.from_toml(
        "\n".join(
            f'[[rule]]\nid = "rule-{number}"\ntask_class = "*"\nwhen = {when}\n'
            f'action = "{"deny" if number % 2 else "warn"}"\nmessage = "no"'
            for number, when in enumerate(CONDITIONS)
        )
    )


def side(chance: np.random.Generator) -> pa.Table:
    """A million rows: numbers, a few sites, ids, and a column with nulls."""
    sites = np.array(["alpha", "beta", "gamma", "delta"])
    return pa.table(
        {
            "id": [f"N{number}" for number in range(ROWS)],
            "site": sites[chance.integers(0, 4, ROWS)],
            "amount": chance.integers(0, 1000, ROWS),
            "count": chance.integers(0, 1000, ROWS),
            "ratio": pa.array(chance.random(ROWS), mask=chance.random(ROWS) < 0.05),
        }
    )


def run(folder: Path) -> list[Result]:
    chance = np.random.default_rng(7)
    rules, before, after = rule_set(), side(chance), side(chance)
    change = ChangeContext(
        task_class="update",
        op="update",
        dataset="planes",
        entity_type="plane",
        principal=Principal("ada", roles=["ops"]),
        size=Size(rows=ROWS, fields=4 * ROWS, bytes=40 * ROWS, fraction=0.5),
    )
    changes = change_rows(before, after)
    connection = duckdb.connect()
    connection.register("changes", changes)
    connection.execute("set threads = 2")

    def ours() -> Callable[[], object]:
        return lambda: rules.evaluate_rows("update", changes, change.shared())

    def peer() -> Callable[[], object]:
        return lambda: connection.execute(SQL).fetchall()

    results = [
        compare(
            "truth: 1M changed rows x 10 rules",
            ours,
            peer,
            peer_name="DuckDB, counts only, 2 threads",
            note="ours: actions of all rows, counts, samples; goal 0.1 s",
        ),
        alone("truth: 1M changed rows x 10 rules, goal", ours, reach_s=0.1),
    ]
    context = change.row(before.slice(0, 1).to_pylist()[0], after.slice(0, 1).to_pylist()[0], ["a"])

    def one() -> Callable[[], object]:
        # Decisions are dropped: ten thousand kept would measure the garbage collector.
        return lambda: deque((rules.evaluate("update", context) for _ in range(ASKED)), maxlen=0)

    results.append(
        alone(
            f"truth: one context x 10 rules, {ASKED:,} times",
            one,
            reach_s=50e-6 * ASKED,
            note="goal 50 µs each",
        )
    )
    return [*results, in_force(folder, rules)]


def in_force(folder: Path, rules: RuleSet) -> Result:
    """The rules in force, as every change asks for them: one request to the store each time."""
    toml = "\n".join(
        f'[[rule]]\nid = "{rule.id}"\ntask_class = "*"\nwhen = {when}\n'
        f'action = "{rule.action}"\nmessage = "no"'
        for rule, when in zip(rules.rules, CONDITIONS, strict=True)
    )
    store = open_store(str(folder / "rules"))
    with closing(store), closing(Journal.open(store, folder / "rules-state")) as journal:
        kept = Rules(Documents(store, journal))
        kept.apply(toml, author=Author(actor="ada"))

        def ask() -> Callable[[], object]:
            return lambda: deque((kept.current() for _ in range(1_000)), maxlen=0)

        note = "one request each, local disk"
        return alone("truth: the rules in force, 1,000 times", ask, note=note)
