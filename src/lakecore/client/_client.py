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
from lakecore.client._reading import Reading, key_text
from lakecore.client._registering import Registering, columns
from lakecore.client._results import Verified
from lakecore.client._search import ClientIndexes, search

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

    from lakecore.changes import ChangeResult, Pending
    from lakecore.ingest import IngestResult
    from lakecore.maintain import MaintenanceReport
    from lakecore.reconcile import ReconcileReport
    from lakecore.search import SearchResult
    from lakecore.workspaces import Workspace

TIMEOUT_S: Final = 330.0
"""As long as the longest query of a gateway that nobody set otherwise."""

RETRIES: Final = 5
_PAGE: Final = 1_000
Moment = int | datetime | str
"""A version, or a time with its zone."""


class Client(Reading, Changing, Registering):
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
        self.journal = ClientJournal(self._connection)
        """The append-only journal: record, history, recent, query, tail, stats."""

        self.index = ClientIndexes(self._connection)
        """The indexes: create, list, refresh, drop."""

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

    # -- files in ---------------------------------------------------------------------

    def ingest(
        self,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        dataset: str,
        key: Sequence[str] | str = (),
        entity_type: str | None = None,
        mode: str = "append",
        bucket: str = "",
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
            "key": columns(key),
            "entity_type": entity_type or "",
            "mode": mode,
            "bucket": bucket,
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

    def diff(self, dataset: str, from_version: Moment, to_version: Moment) -> pa.RecordBatchReader:
        """What turns one version (or the dataset at a time) into another, as a stream.

        Columns as of the lake's own; read it to its end.
        """
        from lakecore.client._arrow import rows_of

        params = {"from": _moment(from_version), "to": _moment(to_version)}
        path = f"/datasets/{segment(dataset)}/diff"
        return rows_of(self._connection, path, params).reader()

    def entity(
        self,
        dataset: str,
        key: object,
        *,
        seq: int | None = None,
        version: int | None = None,
        time: datetime | str | None = None,
    ) -> dict[str, Any] | None:
        """One row as the journal has it at a seq, a version or a time, inclusive; None: gone."""
        found = self._connection.get(
            f"/datasets/{segment(dataset)}/entity",
            key=key_text(key),
            seq=seq,
            version=version,
            time=None if time is None else _moment(time),
        )
        values: dict[str, Any] | None = found["values"]
        return values

    # -- changes that wait, and undoing -------------------------------------------------

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

    # -- search -----------------------------------------------------------------------

    def search(self, index: str, text: str | None = None, **asked: Any) -> SearchResult:
        """The rows of an index that fit a text best; options as `Lake.search` has them."""
        return search(self._connection, index, text, asked)

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
        found = self._connection.get(f"/workspaces/{segment(name)}")
        return ClientWorkspace(self._connection, _results.workspace(found))

    # -- soundness and upkeep --------------------------------------------------------

    def verify(self, *, full: bool = False) -> Verified:
        """Recompute the journal and match every version of every table and document with it."""
        return Verified.of(self._connection.get("/verify", full=full))

    def reconcile(self, dataset: str | None = None) -> ReconcileReport:
        """Journal what other programs committed to the tables."""
        answer = self._connection.post("/reconcile", {"dataset": dataset})
        return _results.reconciled(answer.body)

    def maintain(
        self,
        datasets: Sequence[str] | str | None = None,
        *,
        dry_run: bool = False,
        reason: str = "",
        engine: str = "datafusion",
    ) -> MaintenanceReport:
        """Do what is due: compaction, checkpoints, vacuum, purge of what was dropped.

        Args:
            datasets: only these, and these at once: without names, one is vacuumed once a day.
            dry_run: say what would be done, and do nothing.
            engine: ``spark``: the lake's Spark server sorts the rows of a compaction.
        """
        names = None if datasets is None else columns(datasets)
        body = {"datasets": names, "dry_run": dry_run, "reason": reason, "engine": engine}
        return _results.maintained(self._connection.post("/maintain", body).body)

    def status(self) -> dict[str, Any]:
        """What the lake holds and what waits: JSON-ready."""
        found: dict[str, Any] = self._connection.get("/status")
        return found


def _moment(moment: Moment) -> str:
    """A version or a time, as a route takes it."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidInput("a time needs its zone", found=moment.isoformat())
        return moment.isoformat()
    return str(moment)
