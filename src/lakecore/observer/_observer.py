"""The face: takes events and traces, and answers what is asked of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from lakecore.base import Clock, InvalidInput, NotFound, SystemClock
from lakecore.base.limits import KIB
from lakecore.observer import _questions as questions
from lakecore.observer._clean import is_object
from lakecore.observer._event import event_row
from lakecore.observer._kinds import EVENTS, SPANS
from lakecore.observer._otlp import read_request, span_rows
from lakecore.observer._tree import cut, depth_of, tree_of

MAX_EVENTS: Final = 10_000
"""Of one call."""

MAX_LIMIT: Final = 1_000
_MAX_SHOWN: Final = 20
_MAX_TREE_DEPTH: Final = 100


class Taken(Protocol):
    """What became of the rows of an append; `lakecore.records.Appended` has it."""

    @property
    def rows(self) -> int: ...
    @property
    def duplicates(self) -> int: ...


class Records(Protocol):
    """Keeps records, durably; `lakecore.records.Recorder` does."""

    def append(
        self, name: str, rows: Sequence[Mapping[str, Any]], *, ids: Sequence[str] | None = None
    ) -> Taken:
        """Durable on return, each id once; `TooManyRequests` where there is no room."""
        ...


class Sql(Protocol):
    """Asks the lake in somebody's name: sees what they may read, and what was appended."""

    def __call__(self, query: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        """The rows of a query."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverSettings:
    """What is kept.

    Attributes:
        trace_sample_rate: part of the traces, 0 to 1.
        max_text: characters of a span's input and output.
    """

    trace_sample_rate: float = 1.0
    max_text: int = 16 * KIB


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of events or spans; all that is accepted is durable.

    Attributes:
        accepted: kept from now on.
        duplicates: were kept before.
        refused: (position, why), the first twenty of `refused_count`.
        sampled_out: spans of traces that are not kept.
    """

    accepted: int
    duplicates: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    refused_count: int = 0
    sampled_out: int = 0


class Observer:
    """Events and traces of one lake. Threads may share it."""

    def __init__(
        self,
        records: Records,
        settings: ObserverSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._records = records
        self._settings = settings or ObserverSettings()
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self.sampled_out = 0
        """Spans that this process left out by sampling."""

    # -- in ---------------------------------------------------------------------------

    def accept(
        self,
        events: Sequence[object],
        *,
        principal: str,
        prefix: str | None = None,
        is_own: bool = False,
    ) -> Accepted:
        """Keep events; those that are none are refused one by one, the others kept.

        Args:
            events: see `event_row`.
            principal: who sends them. Ids are theirs: nobody else's are the same.
            prefix: of the ids of those that have none, where the same call may come again.

        Raises:
            InvalidInput: there are too many, or none of them is an event.
            TooManyRequests: there is no room now; nothing is kept.
        """
        if len(events) > MAX_EVENTS:
            raise InvalidInput(
                "too many events at a time", expected=f"at most {MAX_EVENTS:,}", found=len(events)
            )
        now_us = self._clock.now_us()
        rows: list[dict[str, Any]] = []
        refused: list[tuple[int, str]] = []
        count = 0
        has_ids = prefix is not None
        for position, event in enumerate(events):
            try:
                row = event_row(event, principal=principal, now_us=now_us, is_own=is_own)
            except InvalidInput as error:
                count += 1
                if len(refused) < _MAX_SHOWN:
                    refused.append((position, str(error)))
                if count == len(events):
                    raise
                continue
            if is_object(event) and event.get("id") is not None:
                has_ids = True
            elif prefix is not None:
                row["id"] = f"{prefix}:{position}"
            rows.append(row)
        ids = [f"{principal}\0{row['id']}" for row in rows] if has_ids else None
        taken = self._records.append(EVENTS, rows, ids=ids)
        return Accepted(taken.rows, taken.duplicates, refused, count)

    def accept_traces(self, data: bytes, kind: str, *, principal: str) -> Accepted:
        """Keep the spans of an OTLP request, each once.

        Args:
            data: the body, not compressed.
            kind: its media type.

        Raises:
            InvalidInput: it is no OTLP.
            TooManyRequests: there is no room now; nothing is kept.
        """
        found = span_rows(
            read_request(data, kind),
            principal=principal,
            now_us=self._clock.now_us(),
            sample_rate=self._settings.trace_sample_rate,
            max_text=self._settings.max_text,
        )
        ids = [f"{principal}\0{row['trace_id']}{row['span_id']}" for row in found.rows]
        taken = self._records.append(SPANS, found.rows, ids=ids)
        if found.left_out:
            with self._lock:
                self.sampled_out += found.left_out
        refused = [(0, found.reason)] if found.reason else []
        return Accepted(taken.rows, taken.duplicates, refused, found.rejected, found.left_out)

    def accept_scores(self, scores: Sequence[object], *, principal: str) -> Accepted:
        """Keep scores of Langfuse's SDK as events of source ``langfuse`` and kind ``score``."""
        return self.accept([_score(one) for one in scores], principal=principal)

    # -- out --------------------------------------------------------------------------

    def events(
        self,
        sql: Sql,
        filters: Mapping[str, str | None],
        *,
        since: object = None,
        until: object = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of events, the newest first: ``{"items", "next"}``. All time, unless told."""
        asked = questions.window(_all(since), until, _days(), now_us=self._clock.now_us())
        limit = _bounded(limit)
        return questions.events_of(sql(*questions.event_page(asked, filters, cursor, limit)), limit)

    def stats(
        self,
        sql: Sql,
        *,
        since: object = None,
        until: object = None,
        bucket_s: int | None = None,
        tables: Iterable[str] = (EVENTS, SPANS),
    ) -> dict[str, Any]:
        """Counts and rates by source, kind and time, of the last hour unless told."""
        asked = questions.window(since, until, bucket_s, now_us=self._clock.now_us())
        found = {table: sql(*questions.groups(table, asked)) for table in tables}
        return questions.stats_of(asked, found.get(EVENTS, ()), found.get(SPANS, ()))

    def traces(
        self,
        sql: Sql,
        filters: Mapping[str, str | None],
        *,
        since: object = None,
        until: object = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of traces, the newest first: ``{"items", "next"}``. All time, unless told."""
        asked = questions.window(_all(since), until, _days(), now_us=self._clock.now_us())
        limit = _bounded(limit)
        return questions.traces_of(sql(*questions.trace_page(asked, filters, cursor, limit)), limit)

    def trace(self, sql: Sql, trace_id: str) -> dict[str, Any]:
        """One trace: its spans as a tree. Raises `NotFound`."""
        rows = sql(*questions.one_trace(trace_id.lower()))
        if not rows:
            raise NotFound("there is no such trace", found=repr(trace_id)[:100])
        is_cut = len(rows) > questions.MAX_TRACE_SPANS
        rows = rows[: questions.MAX_TRACE_SPANS]
        roots = tree_of(rows)
        if depth_of(roots) > _MAX_TREE_DEPTH:
            cut(roots, _MAX_TREE_DEPTH)
        count = len({row["span_id"] for row in rows})
        return {"trace_id": rows[0]["trace_id"], "spans": count, "is_cut": is_cut, "roots": roots}


def _score(score: object) -> object:
    if not isinstance(score, Mapping):
        return score
    names = {"id", "timestamp", "traceId", "observationId"}
    return {
        "id": score.get("id"),
        "time": score.get("timestamp"),
        "source": "langfuse",
        "kind": "score",
        "trace_id": score.get("traceId"),
        "span_id": score.get("observationId"),
        "data": {name: value for name, value in score.items() if name not in names},
    }


def _all(since: object) -> object:
    return 0 if since is None else since


def _days() -> int:
    """Steps that are of no interest."""
    return 1_000 * 24 * questions.HOUR_S


def _bounded(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput("not a limit", expected=f"1 to {MAX_LIMIT}", found=limit)
    return limit
