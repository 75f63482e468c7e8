"""Changes of rows over HTTP: the calls that a lake and a workspace share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.client import _results
from lakecore.client._http import Connection, segment

if TYPE_CHECKING:
    from datetime import datetime

    from lakecore.changes import ChangeResult
    from lakecore.tables import ColumnChange

_EDITS: Final = {
    "AddColumn": "add",
    "RenameColumn": "rename",
    "DropColumn": "drop",
    "WidenColumn": "widen",
}


class Changing:
    """What changes rows. Each call is made once, however often it has to be sent.

    All take `reason`, `tier` and `idempotency_key`: the same change again under the same key is
    the same change, and gets the same answer. The actor is the key's principal.
    """

    _connection: Connection
    _workspace: str | None = None

    def insert(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Add rows; of a keyed dataset, rows whose key is new."""
        return self._with_rows("insert", dataset, rows, **options)

    def upsert(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Insert rows whose key is new and change those whose key is there."""
        return self._with_rows("upsert", dataset, rows, **options)

    def replace(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Make the dataset hold exactly these rows."""
        return self._with_rows("replace", dataset, rows, **options)

    def update(
        self,
        dataset: str,
        *,
        set: Mapping[str, object],  # noqa: A002 - SQL's word
        where: str | None = None,
        keys: object | None = None,
        all: bool = False,  # noqa: A002 - as the lake has it
        **options: Any,
    ) -> ChangeResult:
        """Set columns of the rows with some keys, or where an SQL condition holds.

        Values are plain ones; `Sql` expressions cannot be sent.
        """
        from lakecore.tables import Sql

        if any(isinstance(value, Sql) for value in set.values()):
            raise InvalidInput("an SQL expression cannot be sent", hint="set plain values")
        given = {"set": dict(set), "where": where, "keys": _keys(keys), "all": all}
        return self._change("update", dataset, given, **options)

    def delete(
        self,
        dataset: str,
        *,
        where: str | None = None,
        keys: object | None = None,
        all: bool = False,  # noqa: A002 - as the lake has it
        **options: Any,
    ) -> ChangeResult:
        """Delete rows by `where` and `keys`; without both, `all` must be set."""
        given = {"where": where, "keys": _keys(keys), "all": all}
        return self._change("delete", dataset, given, **options)

    def restore(
        self,
        dataset: str,
        *,
        version: int | None = None,
        time: datetime | str | None = None,
        **options: Any,
    ) -> ChangeResult:
        """Make a dataset what it was at a version or a time."""
        moment = time if time is None or isinstance(time, str) else time.isoformat()
        return self._change("restore", dataset, {"version": version, "time": moment}, **options)

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
        if self._workspace is not None:
            body["workspace"] = self._workspace
        path = f"/mutations/{segment(mutation_id)}/revert"
        return _results.change(
            self._connection.post(path, body, idempotency_key=idempotency_key).body
        )

    def alter_columns(
        self,
        name: str,
        changes: Sequence[ColumnChange],
        *,
        reason: str = "",
        tier: str = "auto",
        workspace: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangeResult:
        """Change columns, in this order, as one version."""
        edits = [{"op": _EDITS[type(one).__name__], **asdict(one)} for one in changes]
        body = {"changes": edits, "reason": reason, "tier": tier}
        inside = workspace or self._workspace
        if inside is not None:
            body["workspace"] = inside
        path = f"/datasets/{segment(name)}/columns"
        return _results.change(
            self._connection.post(path, body, idempotency_key=idempotency_key).body
        )

    # -- inside -----------------------------------------------------------------------

    def _change(
        self,
        op: str,
        dataset: str,
        given: Mapping[str, object],
        *,
        reason: str = "",
        tier: str = "auto",
        workspace: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangeResult:
        body = {name: value for name, value in given.items() if value is not None}
        told = {"op": op, **body, "reason": reason, "tier": tier}
        inside = workspace or self._workspace
        if inside is not None:
            told["workspace"] = inside
        answer = self._connection.post(
            f"/datasets/{segment(dataset)}/mutations", told, idempotency_key=idempotency_key
        )
        return _results.change(answer.body)

    def _with_rows(
        self,
        op: str,
        dataset: str,
        rows: object,
        *,
        reason: str = "",
        tier: str = "auto",
        workspace: str | None = None,
        idempotency_key: str | None = None,
    ) -> ChangeResult:
        """Rows go as Arrow: their types with them, as the lake itself would take them."""
        from lakecore.client._arrow import ARROW, Spool
        from lakecore.tables import to_batches

        params = {
            "op": op,
            "reason": reason or None,
            "tier": tier,
            "workspace": workspace or self._workspace,
        }
        with Spool(to_batches(rows)) as spool:
            answer = self._connection.post(
                f"/datasets/{segment(dataset)}/mutations",
                params=params,
                content=spool.content,
                content_type=ARROW,
                idempotency_key=idempotency_key,
            )
        return _results.change(answer.body)


def _keys(keys: object | None) -> object:
    """Keys as JSON has them: a list of values, lists or objects."""
    if keys is None:
        return None
    if hasattr(keys, "__arrow_c_stream__") or hasattr(keys, "__arrow_c_array__"):
        import pyarrow as pa

        rows: list[dict[str, Any]] = pa.table(keys).to_pylist()
        return rows
    if isinstance(keys, (str, bytes)) or not isinstance(keys, (list, tuple, set, frozenset)):
        return [keys]
    return list(keys)
