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


ActingAs = Callable[["Principal"], Any]
"""The lake in a principal's name: a `LakePort`, with the calls of the rooms that use it."""
