"""`Lake.observer`: events and traces of programs, kept and asked for in the caller's name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.observer import Accepted, Observer
    from lakecore.query import QueryResult


class ObserverFace(ABC):
    """What `Lake` has of the observer."""

    _parts: Components
    _actor: str

    @abstractmethod
    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult:
        """As `Lake` has it."""

    @cached_property
    def observer(self) -> LakeObserver:
        """Events and traces: accept, events, stats, traces; see docs/observer.md."""
        return LakeObserver(self)

    def observe(
        self, source: str, kind: str = "event", message: str | None = None, **members: Any
    ) -> None:
        """Keep one event, durably.

        Args:
            source: who tells: the figures are by source.
            kind: what it is.
            members: `id`, `time`, `level`, `trace_id`, `span_id`, `duration_ms`; all else is the
                event's data.

        Raises:
            InvalidInput: it is no event.
            TooManyRequests: there is no room now.
        """
        event = {"source": source, "kind": kind, "message": message, **members}
        self.observer.accept([event])


class LakeObserver:
    """The observer of a lake in one caller's name: what they send is theirs, what they ask is SQL.

    The calls are those of `lakecore.observer.Observer`.
    """

    def __init__(self, lake: ObserverFace) -> None:
        self._lake = lake

    @property
    def _observer(self) -> Observer:
        return self._lake._parts.observer

    def accept(self, events: Sequence[object], *, prefix: str | None = None) -> Accepted:
        """Keep events."""
        return self._observer.accept(events, principal=self._lake._actor, prefix=prefix)

    def accept_traces(self, data: bytes, kind: str) -> Accepted:
        """Keep the spans of an OTLP request: its body and media type."""
        return self._observer.accept_traces(data, kind, principal=self._lake._actor)

    def accept_scores(self, scores: Sequence[object]) -> Accepted:
        """Keep scores of Langfuse's SDK."""
        return self._observer.accept_scores(scores, principal=self._lake._actor)

    def events(
        self,
        filters: Mapping[str, str | None] | None = None,
        *,
        since: object = None,
        until: object = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of events, the newest first: ``{"items", "next"}``.

        Args:
            filters: `source`, `kind`, `level`, `trace_id`, `id`, `principal`.
            since, until: RFC 3339 text, aware datetimes, or seconds since the epoch.
        """
        return self._observer.events(
            self._sql, filters or {}, since=since, until=until, cursor=cursor, limit=limit
        )

    def stats(
        self,
        *,
        since: object = None,
        until: object = None,
        bucket_s: int | None = None,
        tables: Iterable[str] = ("events", "spans"),
    ) -> dict[str, Any]:
        """Counts and rates by source, kind and time, of the last hour unless told."""
        return self._observer.stats(
            self._sql, since=since, until=until, bucket_s=bucket_s, tables=tables
        )

    def traces(
        self,
        filters: Mapping[str, str | None] | None = None,
        *,
        since: object = None,
        until: object = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of traces, the newest first.

        Args:
            filters: `source`, `model`, `session_id`, `user_id`, `status` of one of its spans.
        """
        return self._observer.traces(
            self._sql, filters or {}, since=since, until=until, cursor=cursor, limit=limit
        )

    def trace(self, trace_id: str) -> dict[str, Any]:
        """One trace: its spans as a tree. Raises `NotFound`."""
        return self._observer.trace(self._sql, trace_id)

    def _sql(self, query: str, params: Mapping[str, object]) -> list[dict[str, Any]]:
        with self._lake.sql(query, params, engine="datafusion") as result:
            return list(result.to_pylist())


def make_observer(parts: Components) -> Observer:
    """The observer of a lake, as its settings say."""
    from lakecore.observer import Observer, ObserverSettings

    chosen = parts.settings.observer
    settings = ObserverSettings(
        trace_sample_rate=chosen.trace_sample_rate, max_text=chosen.max_text
    )
    return Observer(parts.records, settings, parts.clock)
