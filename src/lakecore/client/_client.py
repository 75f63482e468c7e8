"""`Client`: a lake over HTTP, by the calls of `lakecore.open`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import httpx

from lakecore.base import AlreadyExists, InvalidInput, NotFound
from lakecore.client import _results
from lakecore.client._changes import Changing
from lakecore.client._faces import ClientKeys, ClientTruth, ClientWorkspace
from lakecore.client._http import Connection, segment
from lakecore.client._journal import ClientJournal
from lakecore.client._results import Verified

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

    from lakecore.catalog import Dataset
    from lakecore.changes import ChangeResult, Pending
    from lakecore.ingest import IngestResult
    from lakecore.journal import Event
    from lakecore.query import QueryResult
    from lakecore.reconcile import ReconcileReport
    from lakecore.workspaces import Workspace

TIMEOUT_S: Final = 330.0
"""As long as the longest query of a gateway that nobody set otherwise."""

RETRIES: Final = 5
_PAGE: Final = 1_000
_SLACK_S: Final = 30.0


class Client(Changing):
    """A lake over HTTP: the calls of `lakecore.open`, their results and errors, by an API key.

    Everything is done in the name of the key's principal. A change is made once, however often
    it has to be sent; reads are sent again, too. A context manager; threads may share it.

    Args:
        url: of the gateway, such as ``http://127.0.0.1:3100``.
        key: None: where no key is asked for.
        timeout_s: for an answer to begin, and between two pieces of it.
        retries: so often again at most, where the gateway does not answer or has no room now.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            url, key, timeout_s=timeout_s, retries=retries, transport=transport
        )
        self._timeout_s = timeout_s
        self.journal = ClientJournal(self._connection)
        """The append-only journal: record, history, recent, query, tail, stats."""

        self.truth = ClientTruth(self._connection)
        """The rules: evaluate, check, apply."""

        self.keys = ClientKeys(self._connection)
        """The API keys: create, list, rotate, revoke."""

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return self._connection.url

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """Let go of the connections. Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- datasets ---------------------------------------------------------------------

    def datasets(self) -> list[Dataset]:
        """The datasets that may be read, by name."""
        found = self._connection.pages("/catalog/datasets", limit=_PAGE)
        return [_results.dataset(told) for told in found]

    def dataset(self, name: str) -> Dataset:
        """One dataset's entry in the catalog, as far as it is told."""
        return _results.dataset(self.describe(name))

    def describe(self, name: str) -> dict[str, Any]:
        """A dataset with its table as it is now: schema, version, rows, files, size."""
        found: dict[str, Any] = self._connection.get(f"/catalog/datasets/{segment(name)}")
        return found

    def drop(self, name: str, *, reason: str = "") -> Dataset:
        """Take a dataset out of sight; for some days it can be brought back."""
        entry = self.dataset(name)
        path = f"/catalog/datasets/{segment(name)}"
        told = self._connection.delete(path, again=False, reason=reason or None).body
        return entry.with_changes(state=told["state"])

    def adopt(
        self,
        uri: str,
        *,
        dataset: str,
        key: Sequence[str] | str = (),
        entity_type: str | None = None,
        contract: str = "evolve",
        description: str = "",
        reason: str = "",
    ) -> Dataset:
        """Make a Delta table that lies in the lake's store a dataset, where it lies."""
        body = {
            "uri": uri,
            "dataset": dataset,
            "key": _columns(key),
            "entity_type": entity_type,
            "contract": contract,
            "description": description,
            "reason": reason,
        }
        return _results.dataset(self._connection.post("/catalog/adopt", body).body)

    # -- files in ---------------------------------------------------------------------

    def ingest(
        self,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        dataset: str,
        key: Sequence[str] | str = (),
        entity_type: str | None = None,
        mode: str = "append",
        reason: str = "",
        tier: str = "auto",
    ) -> list[IngestResult]:
        """Files into a dataset, one mutation a file; the dataset is made when it is new.

        Files are sent as they are read. One that has to be sent twice is known again by its
        content: `duplicate_of` says which version it is in.
        """
        paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        form = {
            "dataset": dataset,
            "key": _columns(key),
            "entity_type": entity_type or "",
            "mode": mode,
            "reason": reason,
            "tier": tier,
        }
        form = {name: value for name, value in form.items() if value}
        return [self._ingest(Path(path), form) for path in paths]

    def _ingest(self, path: Path, form: Mapping[str, Any]) -> IngestResult:
        try:
            stream: IO[bytes] = path.open("rb")
        except OSError as error:
            kind = NotFound if isinstance(error, FileNotFoundError) else InvalidInput
            raise kind("the file cannot be read", where=path, found=error.strerror) from error
        with stream:

            def files() -> Any:
                stream.seek(0)
                return {"file": (path.name, stream, "application/octet-stream")}

            answer = self._connection.post("/ingest/file", files=files, form=form)
        return _results.ingested(answer.body)

    # -- reading ----------------------------------------------------------------------

    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        *,
        timeout_s: float | None = None,
        max_rows: int | None = None,
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
        if timeout_s is not None:
            body["timeout_s"] = timeout_s
        waits_s = None if timeout_s is None else max(timeout_s + _SLACK_S, self._timeout_s)
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
        """What happened to one entity, oldest first."""
        from lakecore.journal import arrow_to_events

        name = self.dataset(dataset).name
        asked = f"select * from history({_literal(name)}, {_literal(_key_text(key))})"
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

    # -- changes that wait, and undoing -------------------------------------------------

    def revert(
        self,
        mutation_id: str,
        *,
        skip_conflicts: bool = False,
        reason: str = "",
        tier: str = "auto",
        idempotency_key: str | None = None,
    ) -> ChangeResult:
        """Undo exactly one mutation, whatever came after it."""
        body = {"reason": reason, "tier": tier, "skip_conflicts": skip_conflicts}
        path = f"/mutations/{segment(mutation_id)}/revert"
        return _results.change(
            self._connection.post(path, body, idempotency_key=idempotency_key).body
        )

    def pending(self, *, decided: bool = False) -> list[Pending]:
        """The changes that wait, of datasets that may be read or approved, the oldest first."""
        found = self._connection.pages("/pending", decided=decided, limit=_PAGE)
        return [_results.pending(told) for told in found]

    def pending_change(self, change_id: str) -> Pending:
        """One change that waits or waited. Raises `NotFound`."""
        return _results.pending(self._connection.get(f"/pending/{segment(change_id)}", limit=1))

    def pending_diff(self, change_id: str, *, limit: int = 100) -> pa.Table:
        """Some rows of what a waiting change would change, field by field; at most 1,000.

        Raises:
            NotFound: there is no such change, it is decided, or its rows may not be read.
        """
        import pyarrow as pa

        from lakecore.tables import DIFF_COLUMNS

        told = self._connection.get(f"/pending/{segment(change_id)}", limit=min(limit, _PAGE))
        if not told.get("diff"):
            raise NotFound("there is no diff of this change to be seen", where=change_id)
        schema = pa.schema([(name, pa.string()) for name in DIFF_COLUMNS])
        return pa.Table.from_pylist(told["diff"], schema=schema)

    def approve(
        self, change_id: str, *, reason: str = "", idempotency_key: str | None = None
    ) -> ChangeResult:
        """Make a change that waits, exactly as it was shown."""
        path = f"/pending/{segment(change_id)}/approve"
        answer = self._connection.post(path, {"reason": reason}, idempotency_key=idempotency_key)
        return _results.change(answer.body)

    def reject(
        self, change_id: str, reason: str = "", *, idempotency_key: str | None = None
    ) -> Pending:
        """Have a change that waits not made."""
        path = f"/pending/{segment(change_id)}/reject"
        answer = self._connection.post(path, {"reason": reason}, idempotency_key=idempotency_key)
        return _results.pending(answer.body)

    # -- workspaces -------------------------------------------------------------------

    def workspaces(self, *, closed: bool = False) -> list[Workspace]:
        """The workspaces by name; with `closed` also those that were merged or dropped."""
        found = self._connection.pages("/workspaces", closed=closed, limit=_PAGE)
        return [_results.workspace(told) for told in found]

    def create_workspace(self, name: str, *, reason: str = "") -> ClientWorkspace:
        """A new workspace. Raises `AlreadyExists` when one of that name is open."""
        answer = self._connection.post("/workspaces", {"name": name, "reason": reason})
        return ClientWorkspace(self._connection, _results.workspace(answer.body))

    def workspace(self, name: str, *, create: bool = True, reason: str = "") -> ClientWorkspace:
        """The workspace of that name; a new one when there is none.

        Args:
            create: False: it has to be there; `NotFound` otherwise.
        """
        if create:
            try:
                return self.create_workspace(name, reason=reason)
            except AlreadyExists:
                pass
        found = next((one for one in self.workspaces() if one.name == name), None)
        if found is None:
            raise NotFound("there is no such workspace", found=name)
        return ClientWorkspace(self._connection, found)

    # -- soundness --------------------------------------------------------------------

    def verify(self, *, full: bool = False) -> Verified:
        """Recompute the journal and match every version of every table and document with it."""
        return Verified.of(self._connection.get("/verify", full=full))

    def reconcile(self, dataset: str | None = None) -> ReconcileReport:
        """Journal what other programs committed to the tables."""
        answer = self._connection.post("/reconcile", {"dataset": dataset})
        return _results.reconciled(answer.body)


def _columns(key: Sequence[str] | str) -> list[str]:
    return [key] if isinstance(key, str) else list(key)


def _literal(text: str) -> str:
    """A text in SQL.

    >>> _literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _key_text(key: object) -> str:
    """A key as `history` takes it: one value's text, or several as a JSON array."""
    import json

    if isinstance(key, str):
        return key
    if isinstance(key, Mapping):
        return json.dumps(dict(key), ensure_ascii=False, default=str)
    if isinstance(key, (list, tuple)):
        return json.dumps(list(key), ensure_ascii=False, default=str)
    return key.isoformat() if isinstance(key, datetime) else str(key)
