"""The lake as tools of an agent: it sees what its principal may read, and proposes changes.

A proposal goes the way of every change: the rules and the gradient decide whether it is made at
once, waits for a person, or is refused; the agent cannot ask for more. Its id is that of the
step that makes it, so that a run that is resumed does not make it twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from lakecore.agents._ports import Tool, ToolAnswer, Verdict
from lakecore.auth import Principal, authorize, may
from lakecore.base import InvalidInput, NotFound, Refused

SOURCE: Final = "agent"
MAX_ROWS: Final = 200
MAX_EVENTS: Final = 200
MAX_FOUND: Final = 20
QUERY_TIMEOUT_S: Final = 30.0
OPS: Final = ("insert", "upsert", "update", "delete")

_TEXT: Final = {"type": "string"}
_KEY: Final = {
    "type": ["string", "number", "boolean", "array"],
    "description": "The value of the key column; of several, a list in their order.",
}


class AgentLake(Protocol):
    """What a lake in the agent's name must be able to do: as `lakecore.Lake` has it."""

    @property
    def journal(self) -> Any: ...
    def sql(self, query: str, params: Any = None, **limits: Any) -> Any: ...
    def datasets(self) -> Sequence[Any]: ...
    def describe(self, name: str) -> dict[str, Any]: ...
    def history(self, dataset: str, key: object) -> Sequence[Any]: ...
    def search(self, index: str, text: str | None = None, **asked: Any) -> Any: ...
    def pending_change(self, change_id: str) -> Any: ...
    def insert(self, dataset: str, rows: object, **options: Any) -> Any: ...
    def upsert(self, dataset: str, rows: object, **options: Any) -> Any: ...
    def update(self, dataset: str, *, set: Mapping[str, object], **options: Any) -> Any: ...  # noqa: A002  # SQL's word
    def delete(self, dataset: str, **options: Any) -> Any: ...


def lake_tools(lake: AgentLake, principal: Principal) -> list[Tool]:
    """The tools over one lake, in one principal's name."""
    return [
        Tool(
            "datasets",
            "List the datasets, or describe one: its columns, key, version and number of rows.",
            _schema({"dataset": _TEXT}, ()),
            lambda given, id_: _datasets(lake, principal, given.get("dataset")),
        ),
        Tool(
            "sql",
            "Run one read-only SQL statement. "
            f"At most {MAX_ROWS} rows come back: count, group and filter in SQL.",
            _schema({"query": _TEXT}, ("query",)),
            lambda given, id_: _sql(lake, given["query"]),
        ),
        Tool(
            "history",
            "Every change of one row, newest last: who, when, why, and each field old and new.",
            _schema({"dataset": _TEXT, "key": _KEY}, ("dataset", "key")),
            lambda given, id_: _history(lake, principal, given["dataset"], given["key"]),
        ),
        Tool(
            "search",
            "The rows of an index that fit a text best, the best first. `system.indexes` in SQL "
            "lists the indexes; `where` is an SQL condition over the columns of its dataset.",
            _schema({"index": _TEXT, "text": _TEXT, "where": _TEXT}, ("index", "text")),
            lambda given, id_: _search(lake, given["index"], given["text"], given.get("where")),
        ),
        Tool(
            "propose_change",
            "Propose a change of rows: `insert` and `upsert` take `rows`; `update` takes `set` and "
            "`delete` nothing more, of the rows that `where`, an SQL condition, selects. Say in "
            "`reason` why. You are told whether it was made, waits for a person, or is refused.",
            _schema(
                {
                    "dataset": _TEXT,
                    "op": {"enum": list(OPS)},
                    "rows": {"type": "array", "items": {"type": "object"}, "maxItems": 1_000},
                    "set": {"type": "object"},
                    "where": _TEXT,
                    "reason": _TEXT,
                },
                ("dataset", "op", "reason"),
            ),
            lambda given, id_: _propose(lake, principal, given, id_),
        ),
    ]


class LakeApprovals:
    """What became of changes that wait, as the agent may know it."""

    def __init__(self, pending_change: Callable[[str], Any]) -> None:
        self._pending_change = pending_change

    def verdict(self, pending: str) -> Verdict:
        """Whether a change was decided, and by whom."""
        try:
            one = self._pending_change(pending)
        except NotFound:
            return Verdict(True, "It does not wait any more, and was not made.")
        body = one.body
        by = body.get("decided_by") or "somebody"
        if one.state == "committed":
            version = body.get("version")
            at = "" if version is None else f" as version {version}"
            return Verdict(True, f"{by} approved it. It was made{at}.")
        if one.state == "rejected":
            why = body.get("rejection") or body.get("reason") or ""
            return Verdict(True, f"{by} rejected it{f': {why}' if why else ''}.")
        if one.state == "lapsed":
            return Verdict(True, "It lapsed: nobody approved it in time, and it was not made.")
        return Verdict(False)


def _datasets(lake: AgentLake, principal: Principal, name: str | None) -> ToolAnswer:
    if name is not None:
        authorize(principal, "read", name)
        return ToolAnswer(_json(lake.describe(name)))
    listed = [one for one in lake.datasets() if may(principal, "read", one.name)]
    told = [
        {"name": one.name, "key": list(one.key), "description": one.description} for one in listed
    ]
    return ToolAnswer(_json(told))


def _sql(lake: AgentLake, query: str) -> ToolAnswer:
    with lake.sql(query, max_rows=MAX_ROWS + 1, timeout_s=QUERY_TIMEOUT_S) as result:
        rows = result.to_pylist()
    more = len(rows) > MAX_ROWS
    told = {"rows": rows[:MAX_ROWS], "is_all": not more}
    return ToolAnswer(_json(told))


def _search(lake: AgentLake, index: str, text: str, where: str | None) -> ToolAnswer:
    found = lake.search(index, text, limit=MAX_FOUND, where=where)
    return ToolAnswer(_json({"rows": found.to_pylist(), "rows_behind": found.rows_behind}))


def _history(lake: AgentLake, principal: Principal, dataset: str, key: object) -> ToolAnswer:
    authorize(principal, "read", dataset)
    events = lake.history(dataset, tuple(key) if isinstance(key, list) else key)
    names = ("timestamp", "version", "actor", "action", "field", "old_value", "new_value")
    told = [
        {name: getattr(one, name) for name in names} | {"context": one.context}
        for one in events[-MAX_EVENTS:]
    ]
    return ToolAnswer(_json({"events": told, "is_all": len(events) <= MAX_EVENTS}))


def _propose(
    lake: AgentLake, principal: Principal, given: Mapping[str, Any], id_: str
) -> ToolAnswer:
    dataset, op = str(given["dataset"]), str(given["op"])
    authorize(principal, "write", dataset)
    known = _known(lake, id_)
    if known is not None:
        return known
    options = {"reason": given["reason"], "source": SOURCE, "tier": "auto", "mutation_id": id_}
    try:
        if op in ("insert", "upsert"):
            if not given.get("rows"):
                raise InvalidInput(f"{op} needs rows", expected="a list of objects", where="rows")
            result = getattr(lake, op)(dataset, given["rows"], **options)
        else:
            if not given.get("where"):
                raise InvalidInput(
                    f"{op} needs a condition", expected="an SQL condition", where="where"
                )
            named = {"where": given["where"]} | (
                {"set": given.get("set") or {}} if op == "update" else {}
            )
            result = getattr(lake, op)(dataset, **named, **options)
    except Refused as error:
        return ToolAnswer(f"It is refused, and nothing was changed: {error}", "refused")
    counts = f"{result.inserted} inserted, {result.updated} updated, {result.deleted} deleted"
    if result.held:
        reasons = [one["message"] for one in result.decision.get("reasons", ())]
        why = f" Reasons: {'; '.join(reasons)}." if reasons else ""
        text = f"It waits for a person as {result.mutation_id} ({counts}).{why}"
        return ToolAnswer(text, pending=result.mutation_id)
    if not result.committed:
        return ToolAnswer("Nothing would change: the rows are like that already.")
    return ToolAnswer(f"It was made: {counts}, version {result.version}.")


def _known(lake: AgentLake, id_: str) -> ToolAnswer | None:
    """What came of the proposal, where it was made before: by a process that died since."""
    events = lake.journal.query(mutation_id=id_, limit=1).items
    made = [event for event in events if event.version is not None]
    if made:
        return ToolAnswer(f"It was made: version {made[0].version}.")
    try:
        one = lake.pending_change(id_)
    except NotFound:
        return None
    return ToolAnswer(f"It waits for a person as {id_}.", pending=one.id)


def _schema(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
