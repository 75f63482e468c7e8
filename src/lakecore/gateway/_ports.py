"""What the gateway needs of a lake and of its keys. `app` joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from lakecore.auth import Principal
    from lakecore.catalog import Dataset
    from lakecore.journal import Journal
    from lakecore.query import QueryResult, SqlChange


class Authenticator(Protocol):
    """Who comes with a key. Threads may share it; calls may have to ask the store."""

    def authenticate(self, text: str | None, *, address: str | None = None) -> Principal:
        """The principal of a key, or `Unauthenticated`, `TooManyRequests`, `Unavailable`."""
        ...

    def at_once(self, text: str | None) -> Principal | None:
        """The principal of a key, where that is known without waiting; None: `authenticate`."""
        ...

    def recheck(self, principal: Principal) -> None:
        """Raises `Unauthenticated` when the principal's key has ended."""
        ...


class LakePort(Protocol):
    """A lake in one principal's name: what it writes is theirs, and SQL sees what they may.

    The methods are those of `lakecore.app.Lake`. Threads may share it.
    """

    @property
    def journal(self) -> Journal:
        """The journal itself: who reaches it here has been asked."""
        ...

    def datasets(self) -> list[Dataset]:
        """All datasets."""
        ...

    def describe(self, name: str) -> dict[str, Any]:
        """A dataset with its table."""
        ...

    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult:
        """A query over what the principal may read."""
        ...

    def statement(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult | SqlChange:
        """A query, or what a statement would change, which `make` does."""
        ...


class Accepted(Protocol):
    """What became of events or spans; what is accepted is durable."""

    @property
    def accepted(self) -> int: ...
    @property
    def duplicates(self) -> int: ...
    @property
    def refused(self) -> list[tuple[int, str]]: ...
    @property
    def refused_count(self) -> int: ...


class ObserverPort(Protocol):
    """The observer in one principal's name: `lake.observer` of the lake that `ActingAs` gives.

    `TooManyRequests` says that there is no room, and that nothing of the call was kept.
    """

    def accept(self, events: Sequence[object], *, prefix: str | None = None) -> Accepted:
        """Keep events; those that are none are refused one by one."""
        ...

    def accept_traces(self, data: bytes, kind: str) -> Accepted:
        """Keep the spans of an OTLP request."""
        ...

    def accept_scores(self, scores: Sequence[object]) -> Accepted:
        """Keep scores of Langfuse's SDK."""
        ...

    def events(self, filters: Mapping[str, str | None], **asked: Any) -> dict[str, Any]:
        """A page of events."""
        ...

    def stats(self, **asked: Any) -> dict[str, Any]:
        """Counts and rates."""
        ...

    def traces(self, filters: Mapping[str, str | None], **asked: Any) -> dict[str, Any]:
        """A page of traces."""
        ...

    def trace(self, trace_id: str) -> dict[str, Any]:
        """One trace as a tree."""
        ...


ActingAs = Callable[["Principal"], Any]
"""The lake in a principal's name: a `LakePort`, with the calls of the rooms that use it."""
