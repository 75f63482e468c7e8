"""The tools that read: datasets, schema, sql, history, blame, pending, verify. They may block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.base import NotFound
from lakecore.mcp._answers import Found
from lakecore.mcp._cut import to_json
from lakecore.mcp._limits import KEPT_ROWS
from lakecore.mcp._shelf import gathered

if TYPE_CHECKING:
    from lakecore.mcp._arguments import (
        Blame,
        History,
        Nothing,
        OfDataset,
        Pending,
        Search,
        Sql,
        Verify,
    )
    from lakecore.mcp._desk import Desk

DIFF_ROWS: Final = 2_000
"""Changed fields of a waiting change that are read."""

_EVENT: Final = (
    *("seq", "timestamp", "actor", "action", "entity_id", "field", "old_value", "new_value"),
    *("source", "version", "mutation_id"),
)


def datasets(desk: Desk, given: Nothing) -> Found:
    """Those that the visitor may read."""
    entries = [entry for entry in desk.looking().datasets() if desk.may("read", entry.name)]
    rows = (
        {
            "name": entry.name,
            "key": list(entry.key),
            "entity_type": entry.entity_type,
            "description": entry.description,
        }
        for entry in entries
    )
    return listed("Datasets that you may read.", rows)


def schema(desk: Desk, given: OfDataset) -> Found:
    """A dataset as it is now, a row a column."""
    facts = dict(desk.lake("read", given.dataset).describe(given.dataset))
    columns = facts.pop("columns")
    facts.pop("location", None)
    return listed("A dataset as it is now; each row below is a column.", columns, facts)


def sql(desk: Desk, given: Sql, timeout_s: float, opened: Callable[[Any], None]) -> Found:
    """Rows of a query.

    Args:
        opened: gets the result as soon as it is there, to cancel it.
    """
    lake = desk.asking("read")
    result = lake.sql(given.sql, given.params, max_rows=KEPT_ROWS + 1, timeout_s=timeout_s)
    opened(result)
    with result:
        columns = [{"name": field.name, "type": str(field.type)} for field in result.schema]
        lines, is_cut = gathered(_lines(result.chunks("ndjson")))
    return Found("A query's rows.", {"columns": columns}, lines, is_cut)


def search(desk: Desk, given: Search) -> Found:
    """The rows of an index that fit a text best, of what the visitor may read."""
    found = desk.looking().search(given.index, given.text, limit=given.limit, where=given.where)
    words = f"Rows of {found.dataset}, version {found.covered_version}, the best first."
    if found.is_behind:
        words += f" The dataset has version {found.version} by now."
    return listed(words, found.to_pylist(), found.facts())


def history(desk: Desk, given: History) -> Found:
    """What happened to one row, oldest first."""
    lake = desk.lake("read", given.dataset)
    events = lake.history(given.dataset, given.key, given.field)
    return listed("Events of one row, the oldest first.", map(_event, events))


def blame(desk: Desk, given: Blame) -> Found:
    """The last event that set each field."""
    last = desk.lake("read", given.dataset).blame(given.dataset, given.key)
    rows = (_event(event) for event in last.values())
    return listed("The last event that set each field; '*' is the row as a whole.", rows)


def pending(desk: Desk, given: Pending) -> Found:
    """What waits; with an id one of it, with its diff."""
    if given.id is None:
        found = [
            one
            for one in desk.looking().pending()
            if desk.may("read", one.dataset) or desk.may("approve", one.dataset)
        ]
        return listed("Changes that wait for an approval, the oldest first.", map(shown, found))
    one = desk.pending(given.id)
    told = {"id": one.id, "state": one.state}
    words = f"The change is {one.state}. {_NEXT.get(one.state, '')}".strip()
    lines, is_cut = diff(desk, one)
    return Found(words, {"change": shown(one)}, lines, is_cut, told)


def verify(desk: Desk, given: Verify) -> Found:
    """Whether the record is whole."""
    report = desk.lake("read").verify(full=given.full)
    words = f"The lake is {report.status}: integrity {report.integrity.status}, "
    words += f"anchored {report.anchored.status}, completeness {report.completeness.status}."
    return Found(words, {"report": report.to_dict()}, told={"status": report.status})


def diff(desk: Desk, one: Any) -> tuple[list[bytes] | None, bool]:
    """Changed fields of a waiting change, for who may read the dataset; None for others."""
    if not desk.may("read", one.dataset):
        return None, False
    try:
        table = desk.looking().pending_diff(one.id, limit=DIFF_ROWS)
    except NotFound:
        return None, False  # decided: the journal has what was made
    lines, is_cut = gathered(map(to_json, table.to_pylist()))
    return lines, is_cut or int(one.body["diff_rows"]) > len(lines)


def shown(one: Any) -> dict[str, Any]:
    """A waiting change without its arguments: they may be rows."""
    body = one.body
    decision = body["decision"]
    return {
        "id": one.id,
        **{name: body[name] for name in ("state", "op", "dataset", "counts", "decided_by")},
        "actor": one.author.actor,
        "reason": one.author.reason,
        "why_it_waits": [reason["message"] for reason in decision.get("reasons", ())],
        "rules_demand": decision.get("demanded"),
        "rejected_because": body.get("reason"),
        "version": body.get("version"),
    }


def listed(words: str, rows: Iterable[Any], head: dict[str, Any] | None = None) -> Found:
    """Rows of plain values."""
    lines, is_cut = gathered(map(to_json, rows))
    return Found(words, head or {}, lines, is_cut)


def _event(event: Any) -> dict[str, Any]:
    """An event without what programs alone need: the digests of its commit."""
    told = event.to_dict()
    shown = {name: told[name] for name in _EVENT if told.get(name) not in (None, "")}
    context = msgspec.json.decode(event.context)
    context.pop("commit", None)
    return {**shown, "context": context}


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of NDJSON as it comes: each chunk ends with a line."""
    return chain.from_iterable(chunk.removesuffix(b"\n").split(b"\n") for chunk in chunks)


_NEXT: Final = {
    "waiting": "A person has to decide: `lakecore approve ID`, or over HTTP.",
    "approved": "It is being carried out.",
}
