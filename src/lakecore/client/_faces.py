"""`Client.truth`, `Client.keys`, `Client.workspace`: rules, API keys, changes apart from main."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Refused
from lakecore.client import _results
from lakecore.client._changes import Changing
from lakecore.client._http import Connection, segment
from lakecore.client._reading import Reading
from lakecore.client._results import Judged

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.auth import Key, NewKey
    from lakecore.changes import ChangeResult
    from lakecore.workspaces import MergeResult, Workspace

_PAGE: Final = 1_000


class ClientTruth:
    """The rules that decide whether a change may happen."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def evaluate(self, task_class: str, context: Mapping[str, Any]) -> Judged:
        """Ask every rule that concerns a class of tasks about a context."""
        task = {"task_class": task_class, "context": dict(context)}
        return Judged(self._connection.post("/truth/evaluate", task).body)

    def check(
        self, task_class: str, context: Mapping[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], ...]:
        """What could apply to tasks of a class: `rule_id`, `action`, `severity`, `message`."""
        task = {"task_class": task_class, "context": dict(context or {})}
        return tuple(self._connection.post("/truth/check", task).body["items"])

    def text(self) -> str:
        """The TOML of the rules in force, as it was given to `apply`."""
        return str(self._connection.get("/truth/rules")["toml"])

    def rules(self) -> dict[str, Any]:
        """The rules in force: `name`, `version`, `hash`, `rules`, `toml`."""
        found: dict[str, Any] = self._connection.get("/truth/rules")
        return found

    def apply(self, toml: str, *, reason: str = "", force: bool = False) -> dict[str, Any]:
        """Put rules in force, as a new version: `version`, `changed`, and what was found."""
        body = {"toml": toml, "reason": reason, "force": force}
        found: dict[str, Any] = self._connection.put("/truth/rules", body).body
        return found


class ClientKeys:
    """The API keys of the lake. They need admin over all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        principal: str,
        *,
        scopes: Iterable[str],
        datasets: Iterable[str] = (),
        kind: str | None = None,
        roles: Iterable[str] = (),
        trust: float | None = None,
        expires: timedelta | None = None,
        note: str = "",
        reason: str = "",
    ) -> NewKey:
        """Make a key; its `text` is what a client sends, and is never shown again."""
        body = {
            "principal": principal,
            "scopes": list(scopes),
            "datasets": list(datasets),
            "kind": kind,
            "roles": list(roles),
            "trust": trust,
            "expires_s": None if expires is None else expires.total_seconds(),
            "note": note,
            "reason": reason,
        }
        # A key whose text is lost is of no use: it is not asked for twice unseen.
        return _results.new_key(self._connection.post("/keys", body, again=False).body)

    def list(self) -> list[Key]:
        """All keys there ever were, the oldest first, without their hashes."""
        return [_results.key(told) for told in self.describe()]

    def describe(self) -> Sequence[dict[str, Any]]:
        """All keys with their state as of now, JSON-ready."""
        return [*self._connection.pages("/keys", limit=_PAGE)]

    def rotate(
        self,
        key_id: str,
        *,
        overlap: timedelta = timedelta(days=1),
        expires: timedelta | None = None,
        reason: str = "",
    ) -> NewKey:
        """A successor with the same principal and scopes; the old key lives for the overlap."""
        body = {
            "overlap_s": overlap.total_seconds(),
            "expires_s": None if expires is None else expires.total_seconds(),
            "reason": reason,
        }
        answer = self._connection.post(f"/keys/{segment(key_id)}/rotate", body, again=False)
        return _results.new_key(answer.body)

    def revoke(self, key_id: str, *, reason: str = "") -> Key:
        """End a key: at once there, within seconds in every other process."""
        answer = self._connection.delete(f"/keys/{segment(key_id)}", reason=reason or None)
        return _results.key(answer.body)


class ClientWorkspace(Reading, Changing):
    """Changes apart from main: the same calls inside. Made by `Client.workspace`."""

    def __init__(self, connection: Connection, made: Workspace) -> None:
        self._connection = connection
        self._workspace = made.name
        self.name = made.name
        self.workspace_id = made.workspace_id

    @property
    def info(self) -> Workspace:
        """Its state as of now, its base's versions, and when it ended.

        Raises:
            Refused: it is over, and another has its name.
        """
        now = _results.workspace(self._connection.get(f"/workspaces/{segment(self.name)}"))
        if now.workspace_id != self.workspace_id:
            raise Refused(
                "the workspace is over, and another has its name",
                where=self.name,
                found=now.workspace_id,
                expected=self.workspace_id,
            )
        return now

    def add_columns(self, dataset: str, columns: Mapping[str, str], **options: Any) -> ChangeResult:
        """Add columns: name to type, null in every row. Others are altered in main alone."""
        from lakecore.tables import column_changes

        return self.alter_columns(dataset, column_changes(add=columns), **options)

    def diff(self, dataset: str | None = None) -> dict[str, pa.RecordBatchReader]:
        """What was changed here, by dataset, each as a stream that begins when it is read.

        Datasets without a change are left out.
        """
        path = f"/workspaces/{segment(self.name)}/diff"
        told = self._connection.get(path, dataset=dataset, limit=1)["datasets"]
        return {name: self._reader(path, name) for name in told}

    def _reader(self, path: str, dataset: str) -> pa.RecordBatchReader:
        import pyarrow as pa

        from lakecore.client._arrow import rows_of
        from lakecore.tables import DIFF_COLUMNS

        def batches() -> Iterator[pa.RecordBatch]:
            yield from rows_of(self._connection, path, {"dataset": dataset})

        schema = pa.schema([(name, pa.string()) for name in DIFF_COLUMNS])
        return pa.RecordBatchReader.from_batches(schema, batches())

    def merge(
        self,
        *,
        on_conflict: str = "refuse",
        resolve: Mapping[tuple[str, str, str], str] | Sequence[Sequence[str]] = (),
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> MergeResult:
        """Make in main what was changed here: one mutation a dataset, by the rules.

        Raises:
            Conflict: main changed the same since; nothing was merged.
        """
        sides = (
            [[*cell, side] for cell, side in resolve.items()]
            if isinstance(resolve, Mapping)
            else [list(one) for one in resolve]
        )
        body = {"on_conflict": on_conflict, "resolve": sides, "reason": reason}
        path = f"/workspaces/{segment(self.name)}/merge"
        return _results.merged(
            self._connection.post(path, body, idempotency_key=idempotency_key).body
        )

    def drop(self, *, reason: str = "", idempotency_key: str | None = None) -> Workspace:
        """End it without a merge. Its files go with the next maintenance, the base's stay."""
        _ = self.info
        path = f"/workspaces/{segment(self.name)}/drop"
        body = {"reason": reason}
        answer = self._connection.post(path, body, idempotency_key=idempotency_key)
        return _results.workspace(answer.body)
