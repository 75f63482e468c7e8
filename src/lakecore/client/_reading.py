"""Reading over HTTP: the calls that a lake and a workspace share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.client import _results
from lakecore.client._http import Connection, segment

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.journal import Event
    from lakecore.query import QueryResult

_PAGE: Final = 1_000
_SLACK_S: Final = 30.0


class Reading:
    """What reads, in main or in a workspace."""

    _connection: Connection
    _workspace: str | None = None

    def datasets(self, *, dropped: bool = False) -> list[Dataset]:
        """The datasets that may be read, by name; with `dropped` also those to be brought back."""
        found = self._connection.pages(
            "/catalog/datasets", dropped=dropped, workspace=self._workspace, limit=_PAGE
        )
        return [_results.dataset(told) for told in found]

    def dataset(self, name: str) -> Dataset:
        """One dataset's entry in the catalog."""
        return _results.dataset(self._described(name))

    def describe(self, name: str) -> dict[str, Any]:
        """A dataset with its table as it is now: schema, version, rows, files, size."""
        return _results.described(self._described(name))

    def _described(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._connection.get(
            f"/catalog/datasets/{segment(name)}", workspace=self._workspace
        )
        return found

    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        *,
        timeout_s: float | None = None,
        max_rows: int | None = None,
        memory_limit_bytes: int | None = None,
        engine: str | None = None,
    ) -> QueryResult:
        """Run one read-only SQL statement over what may be read.

        Rows come as Arrow while they are computed; close the result, or read it to its end.
        """
        from lakecore.client._arrow import ask
        from lakecore.query import QueryResult

        if max_rows is not None and max_rows < 0:
            raise InvalidInput("max_rows out of range", expected="at least 0", found=max_rows)
        body: dict[str, Any] = {"sql": query}
        if params is not None:
            body["params"] = dict(params) if isinstance(params, Mapping) else list(params)
        if max_rows is not None:
            body["limit"] = max_rows + 1  # one more tells whether there are more
        given = {
            "timeout_s": timeout_s,
            "memory_limit_bytes": memory_limit_bytes,
            "workspace": self._workspace,
            "engine": engine,
        }
        body |= {name: value for name, value in given.items() if value is not None}
        least_s = self._connection.timeout_s
        waits_s = None if timeout_s is None else max(timeout_s + _SLACK_S, least_s)
        stream = ask(self._connection, body, read_timeout_s=waits_s)
        return QueryResult(stream, max_rows=max_rows)

    def as_of(
        self, dataset: str, *, version: int | None = None, time: datetime | str | None = None
    ) -> QueryResult:
        """A dataset as it was at a version or at a time."""
        if (version is None) == (time is None):
            raise InvalidInput("as_of takes a version or a time", found=(version, time))
        name = self.dataset(dataset).name
        if isinstance(time, datetime):
            if time.tzinfo is None:
                raise InvalidInput("a time needs its zone", found=time.isoformat())
            time = time.isoformat()
        moment = version if version is not None else _literal(str(time))
        return self.sql(f"select * from as_of({_literal(name)}, {moment})")

    def history(self, dataset: str, key: object, field: str | None = None) -> list[Event]:
        """What happened to one entity, oldest first; in a workspace up to its base, then there."""
        from lakecore.journal import arrow_to_events

        name = self.dataset(dataset).name
        asked = f"select * from history({_literal(name)}, {_literal(key_text(key))})"
        with self.sql(asked) as result:
            events = arrow_to_events(result.to_arrow())
        return [event for event in events if field is None or event.field in (field, "*")]

    def blame(self, dataset: str, key: object) -> dict[str, Event]:
        """The last event that set each field of an entity; '*' is the row as a whole."""
        last: dict[str, Event] = {}
        for event in self.history(dataset, key):
            if event.field == "*":
                last.clear()
            last[event.field] = event
        return last


def _literal(text: str) -> str:
    """A text in SQL.

    >>> _literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def key_text(key: object) -> str:
    """A key as routes and `history` take it: one value's text, or several as a JSON array.

    >>> key_text("N1"), key_text({"id": 7}), key_text(["JFK", 1])
    ('N1', '7', '["JFK", 1]')
    """
    if isinstance(key, str):
        return key
    if isinstance(key, (Mapping, list, tuple)):
        if len(key) == 1:
            return key_text(next(iter(key.values() if isinstance(key, Mapping) else key)))
        parts = dict(key) if isinstance(key, Mapping) else list(key)
        return json.dumps(parts, ensure_ascii=False, default=str)
    return key.isoformat() if isinstance(key, datetime) else str(key)
