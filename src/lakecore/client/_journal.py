"""`Client.journal`: the journal over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput, uuid7
from lakecore.client import _results
from lakecore.client._http import Connection, segment

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.client._tail import HttpTail
    from lakecore.journal import Event, Page, SignedCheckpoint

_NDJSON: Final = "application/x-ndjson"
_MAX_PAGE: Final = 1_000
_OURS: Final = ("seq", "leaf", "version", "dataset_id", "mutation_id", "workspace_id")
"""Members of an `Event` that a client does not say: the lake sets them."""


class ClientJournal:
    """The calls of a lake's journal, as far as a key reaches it; the actor is its principal."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- recording --------------------------------------------------------------------

    def record(self, event: Event | Mapping[str, object]) -> str:
        """Record one event; durable on return. Returns its id."""
        return self.record_many([event])[0]

    def record_many(self, events: Iterable[Event | Mapping[str, object]]) -> list[str]:
        """Record events, all or none; durable on return. Returns their ids.

        Events without an id get one here: so the journal knows them again when they have to
        be sent twice.
        """
        from lakecore.client._http import encode

        prefix = uuid7()
        rows = [_row(event, f"{prefix}:{number}") for number, event in enumerate(events)]
        if not rows:
            return []
        data = b"\n".join(encode(row) for row in rows)
        self._connection.post("/journal/events", content=lambda: data, content_type=_NDJSON)
        return [str(row["event_id"]) for row in rows]

    def record_batch(self, events: pa.Table | pa.RecordBatch) -> int:
        """Record a batch of events, all or none; durable on return. Returns their number."""
        from lakecore.client._arrow import ARROW, Spool

        with Spool(events) as spool:
            answer = self._connection.post(
                "/journal/events", content=spool.content, content_type=ARROW
            )
        return int(answer.body["count"])

    def flush(self) -> int:
        """Seal what is recorded and committed; how many events this sealed."""
        return int(self._connection.post("/journal/flush").body["sealed"])

    seal = flush

    # -- reading ----------------------------------------------------------------------

    def entity_history(
        self,
        entity_id: str,
        entity_type: str,
        *,
        dataset: str | None = None,
        field: str | None = None,
    ) -> list[Event]:
        """What happened to one entity, oldest first; without `dataset` needs to read all."""
        path = f"/journal/history/{segment(entity_type)}/{segment(entity_id)}"
        found = self._connection.pages(path, dataset=dataset, field=field, limit=_MAX_PAGE)
        return [_results.event(told) for told in found]

    def recent(self, limit: int = 100, *, dataset: str | None = None) -> list[Event]:
        """The newest events, the newest first."""
        return self.query(limit=limit, dataset=dataset).items

    def query(
        self,
        *,
        limit: int = 100,
        cursor: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        **columns: str | None,
    ) -> Page:
        """A page of the events that match, the newest first.

        Args:
            columns: `entity_type`, `entity_id`, `field`, `action`, `actor`, `source`,
                `workspace_id`, `dataset`, `mutation_id`, `event_id`.
            since, until: at or after the one, before the other.
            cursor: the page before's `next`.
        """
        from lakecore.journal import Page

        if limit < 1:
            raise InvalidInput("limit out of range", expected="at least 1", found=limit)
        items: list[Event] = []
        times = {"since": _moment(since), "until": _moment(until)}
        while True:
            wanted = min(limit - len(items), _MAX_PAGE)
            page = self._connection.get(
                "/journal/events", **columns, **times, limit=wanted, cursor=cursor
            )
            items += map(_results.event, page["items"])
            cursor = page["next"]
            if cursor is None or len(items) >= limit:
                return Page(items, cursor)

    def tail(
        self,
        cursor: str | None = None,
        *,
        from_seq: int = 0,
        follow: bool = False,
        timeout_s: float | None = None,
        limit: int | None = None,
        dataset: str | None = None,
    ) -> HttpTail:
        """Sealed events in order, in batches that each have a `cursor` to go on from.

        Args:
            cursor: go on behind it.
            from_seq: without a cursor, begin here; below 0, so many events before the end.
            follow: wait for further events, until `timeout_s` passed without one, `limit`
                events were given, or the tail is closed. Else it ends with what is there.
            dataset: only its events; then it has to follow.
        """
        from lakecore.client._tail import HttpTail

        if dataset is not None and not follow:
            raise InvalidInput("a tail of one dataset follows", hint="follow=True, timeout_s=…")
        end = None if follow else int(self.stats()["tree_size"])
        return HttpTail(
            self._connection,
            cursor=cursor,
            from_seq=from_seq,
            end=end,
            timeout_s=timeout_s,
            limit=limit,
            dataset=dataset,
        )

    def stats(self) -> dict[str, Any]:
        """Counts, the tree's size and root, and what waits."""
        found: dict[str, Any] = self._connection.get("/journal/stats")
        return found

    def checkpoint(self) -> SignedCheckpoint:
        """The last signed checkpoint. Raises `NotFound` where nothing is signed yet."""
        from lakecore.journal import SignedCheckpoint

        return SignedCheckpoint.parse(self._connection.text("/journal/checkpoint"), "the gateway")

    def prove(self, event: int | str) -> dict[str, Any]:
        """The proof that an event is in the signed journal, by its `seq` or id: as JSON has it.

        `proof` is the text of a tlog-proof, `entry` the event that it shows.
        """
        found: dict[str, Any] = self._connection.get(f"/journal/proof/{segment(str(event))}")
        return found


def _row(event: Event | Mapping[str, object], event_id: str) -> dict[str, object]:
    from lakecore.journal import Event

    if isinstance(event, Event):
        given = {name: value for name, value in event.to_dict().items() if name not in _OURS}
        row = {name: value for name, value in given.items() if value is not None}
    elif isinstance(event, Mapping):
        row = {name: _plain(value) for name, value in event.items()}
    else:
        raise InvalidInput(
            "not an event", expected="an Event or a mapping", found=type(event).__name__
        )
    if not row.get("event_id"):
        row["event_id"] = event_id
    return row


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _moment(value: datetime | str | None) -> str | None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidInput("a time needs its zone", found=value.isoformat())
        return value.isoformat()
    return value
