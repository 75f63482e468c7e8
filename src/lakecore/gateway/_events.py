"""Events as clients send them: checked for what a client may not say, and made theirs. No I/O.

A client records events in its own name. What ties an event to a version of a table is set
where that version is made, so nobody can tell of a change that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.auth import KEY_MEMBER, Principal
from lakecore.base import InvalidInput, Refused
from lakecore.gateway._problems import HttpProblem

if TYPE_CHECKING:
    import pyarrow as pa

SET_BY_LAKECORE: Final = (*("seq", "leaf", "version", "dataset_id", "mutation_id", "workspace_id"),)
_SET: Final = frozenset(SET_BY_LAKECORE)
RESERVED_TYPES: Final = frozenset({"decision", "schema", "maintenance", "journal", "journal.key"})
"""What Lakecore itself says of decisions, columns, upkeep and the log."""

_SYSTEM: Final = "system."

Event = dict[str, Any]
Allow = Callable[[str | None], object]
"""Raises `Refused` unless the caller may write to a dataset; None: to none in particular."""


def parse_events(data: bytes, *, lines: bool) -> list[Event]:
    """JSON objects: one, a list of them, or one a line.

    Raises:
        HttpProblem: it is no such JSON.
    """
    try:
        found = (
            msgspec.json.decode(data) if not lines else msgspec.json.Decoder().decode_lines(data)
        )
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HttpProblem(400, "bad-request", "the body is not JSON", found=error) from None
    events = found if isinstance(found, list) else [found]
    for row, event in enumerate(events):
        if not isinstance(event, dict):
            raise HttpProblem(400, "bad-request", "an event is a JSON object", where=f"row {row}")
    return events


_Text = str | None | msgspec.UnsetType


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An event of texts alone. What else an event may be, `parse_events` knows."""

    entity_type: str
    entity_id: str
    action: str
    event_id: _Text = msgspec.UNSET
    field: _Text = msgspec.UNSET
    old_value: _Text = msgspec.UNSET
    new_value: _Text = msgspec.UNSET
    actor: _Text = msgspec.UNSET
    source: _Text = msgspec.UNSET
    dataset: _Text = msgspec.UNSET
    context: _Text = msgspec.UNSET


_LINES: Final = msgspec.json.Decoder(_Line)


def parse_alike(data: bytes) -> pa.Table | None:
    """Events, one a line, that all have the same members, as a table; None: `parse_events` them.

    A third of the time of the way over dictionaries; what is wrong with a line that way says.
    """
    import pyarrow as pa

    try:
        lines = _LINES.decode_lines(data)
        columns: dict[str, pa.Array] = {}
        for name in _Line.__struct_fields__:
            cells = list(map(attrgetter(name), lines))
            missing = cells.count(msgspec.UNSET)
            if name == "event_id" and not missing and not all(cells):
                return None  # some are to get an id
            if not missing:
                columns[name] = pa.array(cells, pa.string())
            elif missing < len(cells):
                return None
    except (msgspec.MsgspecError, pa.ArrowException, RecursionError, UnicodeError):
        return None
    return pa.table(columns)


def own(events: Sequence[Event], principal: Principal, allow: Allow, prefix: str | None) -> None:
    """Make events the principal's, in place.

    Args:
        prefix: of the ids of those that have none; None: the journal makes them.

    Raises:
        Refused: one names another actor, or a dataset that they may not write to.
        InvalidInput: one says what is not for clients to say.
    """
    context = principal.author().context_text()
    allowed: set[str | None] = set()
    for row, event in enumerate(events):
        if not _SET.isdisjoint(event):
            for name in SET_BY_LAKECORE:
                if event.get(name) not in (None, "") and not (name == "leaf" and event[name] == 1):
                    raise _not_yours(name, f"row {row}")
                event.pop(name, None)
        if event.get("actor"):
            principal.actor(_text(event["actor"], "actor", row))
        dataset = event.get("dataset")
        if type(dataset) is not str or not dataset:
            dataset = _text(dataset, "dataset", row)
        if dataset not in allowed:
            _check_dataset(dataset, f"row {row}")
            allow(dataset)
            allowed.add(dataset)
        kind = event.get("entity_type")
        if isinstance(kind, str) and kind in RESERVED_TYPES:
            raise _reserved(kind, f"row {row}")
        event["actor"] = principal.name
        given = event.get("context")
        event["context"] = context if not given else own_context(given, principal, row)
        if prefix is not None and not event.get("event_id"):
            event["event_id"] = f"{prefix}:{row}"


def own_batch(table: pa.Table, principal: Principal, allow: Allow, prefix: str | None) -> pa.Table:
    """The same for a table of events; its columns are looked at as a whole."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in SET_BY_LAKECORE:
        if name in table.schema.names:
            values = set(_unique(table, name)) - {None, ""}
            if values - ({1} if name == "leaf" else set()):
                raise _not_yours(name, "the batch")
            table = table.drop_columns([name])
    for actor in _unique(table, "actor"):
        principal.actor(_text(actor, "actor", 0))
    for dataset in _unique(table, "dataset") if "dataset" in table.schema.names else [None]:
        _check_dataset(_text(dataset, "dataset", 0), "the batch")
        allow(dataset or None)
    for kind in _unique(table, "entity_type"):
        if kind in RESERVED_TYPES:
            raise _reserved(kind, "the batch")
    rows = table.num_rows
    context = principal.author().context_text()
    columns = {"actor": pa.repeat(principal.name, rows), "context": pa.repeat(context, rows)}
    if "context" in table.schema.names:
        _unique(table, "context")
        given = table.column("context").combine_chunks().dictionary_encode()
        texts = [
            own_context(text, principal, 0) if text else context
            for text in given.dictionary.to_pylist()
        ]
        own_texts = pa.array(texts, pa.string()).take(given.indices)
        columns["context"] = pc.fill_null(own_texts, context)
    if prefix is not None and "event_id" not in table.schema.names:
        columns["event_id"] = pa.array([f"{prefix}:{row}" for row in range(rows)], pa.string())
    for name, values in columns.items():
        if name in table.schema.names:
            table = table.drop_columns([name])
        table = table.append_column(name, values)
    return table


def own_context(given: object, principal: Principal, row: int) -> str:
    """A context with the key that the event came by; `InvalidInput` where it names one."""
    try:
        told = msgspec.json.decode(given) if isinstance(given, str) else given
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        told = None
    if not isinstance(told, Mapping):
        raise InvalidInput("context is the text of a JSON object", where=f"row {row}, context")
    if KEY_MEMBER in told:
        raise InvalidInput(f"context.{KEY_MEMBER} is set by Lakecore alone", where=f"row {row}")
    if principal.key_id is None:
        return given if isinstance(given, str) else json.dumps(told, ensure_ascii=False)
    return json.dumps({**told, KEY_MEMBER: principal.key_id}, ensure_ascii=False)


def _check_dataset(dataset: str | None, where: str) -> None:
    if dataset is not None and dataset.startswith(_SYSTEM):
        raise Refused("system datasets are written by Lakecore alone", where=where)


def _unique(table: pa.Table, name: str) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in table.schema.names:
        return []
    column = table.column(name)
    try:
        found = list(pc.unique(column).to_pylist())
        hash(tuple(found))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput("wrong type", found=column.type, where=f"the batch, {name}") from error
    return found


def _text(value: object, name: str, row: int) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidInput(
            "wrong type", expected="text", found=type(value).__name__, where=f"row {row}, {name}"
        )
    return value


def _not_yours(name: str, where: str) -> InvalidInput:
    return InvalidInput(f"{name} is set by Lakecore alone", where=where, hint="leave it out")


def _reserved(kind: str, where: str) -> InvalidInput:
    return InvalidInput("Lakecore itself tells of this", found=kind, where=f"{where}, entity_type")
