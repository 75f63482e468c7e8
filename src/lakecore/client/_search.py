"""`Client.search`, `Client.index`: what is near a text, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lakecore.client._http import Connection, segment

if TYPE_CHECKING:
    from lakecore.search import SearchResult

_PAGE: Final = 1_000
_FACTS: Final = (
    *("index", "dataset", "covered_version", "version", "rows_behind", "is_exact", "recall"),
    "next_offset",
)


class ClientIndexes:
    """The indexes of the lake, told JSON-ready, as by `lake.index`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        dataset: str,
        columns: Sequence[str] | str,
        *,
        kind: str = "hybrid",
        model: str | None = None,
        metric: str = "cosine",
        parameters: Mapping[str, float] | None = None,
        wait: bool = True,
        reason: str = "",
    ) -> dict[str, Any]:
        """Make an index over columns of a dataset with a key, and build it."""
        body = {
            "name": name,
            "dataset": dataset,
            "columns": [columns] if isinstance(columns, str) else list(columns),
            "kind": kind,
            "model": model,
            "metric": metric,
            "parameters": dict(parameters or {}),
            "wait": wait,
            "reason": reason,
        }
        made: dict[str, Any] = self._connection.post("/search/indexes", body).body
        return made

    def list(self) -> list[dict[str, Any]]:
        """Those over what may be read, by name."""
        return [*self._connection.pages("/search/indexes", limit=_PAGE)]

    def get(self, name: str) -> dict[str, Any]:
        """One of them. Raises `NotFound`."""
        told: dict[str, Any] = self._connection.get(f"/search/indexes/{segment(name)}")
        return told

    def refresh(
        self, name: str, *, rebuild: bool = False, wait: bool = True, reason: str = ""
    ) -> dict[str, Any]:
        """Bring an index to its dataset's newest version."""
        body = {"rebuild": rebuild, "wait": wait, "reason": reason}
        path = f"/search/indexes/{segment(name)}/refresh"
        made: dict[str, Any] = self._connection.post(path, body).body
        return made

    def drop(self, name: str, *, reason: str = "") -> dict[str, Any]:
        """End an index, and remove its files."""
        path = f"/search/indexes/{segment(name)}"
        ended: dict[str, Any] = self._connection.delete(path, reason=reason or None).body
        return ended


def search(
    connection: Connection, index: str, text: str | None, asked: dict[str, Any]
) -> SearchResult:
    """The rows of an index that fit a text best."""
    import pyarrow as pa

    from lakecore.search import SearchResult

    told = connection.post(f"/search/{segment(index)}", {"text": text, **asked}).body
    facts = {name: told[name] for name in _FACTS}
    return SearchResult(**facts, rows=pa.Table.from_pylist(told["items"]))
