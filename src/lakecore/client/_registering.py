"""Datasets over HTTP: registered, altered, renamed, taken out of sight and brought back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput, Refused
from lakecore.client import _results
from lakecore.client._http import Connection, segment

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.changes import ChangeResult

_PROPERTIES: Final = (
    *("checks", "contract", "description", "entity_type", "owner", "protected"),
    *("retention_days", "retention_versions"),
)


class Registering:
    """What is done to a dataset as a whole. Each call is made once, as changes of rows are."""

    _connection: Connection
    dataset: Callable[[str], Dataset]
    alter_columns: Callable[..., ChangeResult]

    def create(
        self,
        name: str,
        *,
        key: Sequence[str] | str = (),
        entity_type: str | None = None,
        contract: str = "evolve",
        owner: str = "",
        description: str = "",
        bucket: str = "",
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> Dataset:
        """Register an empty dataset; its columns come with its first rows."""
        from lakecore.catalog import check_dataset_name

        check_dataset_name(name)  # no key covers what is no name
        body = {
            "name": name,
            "key": columns(key),
            "entity_type": entity_type,
            "contract": contract,
            "owner": owner,
            "description": description,
            "bucket": bucket,
            "reason": reason,
        }
        return self._entry("POST", "/catalog/datasets", body, idempotency_key)

    def alter(
        self,
        name: str,
        *,
        add: Mapping[str, str] | None = None,
        rename: Mapping[str, str] | None = None,
        drop: Sequence[str] = (),
        widen: Mapping[str, str] | None = None,
        reason: str = "",
        idempotency_key: str | None = None,
        **changes: Any,
    ) -> Dataset:
        """Change columns, or properties: of each as the lake's own call, by two calls.

        Raises:
            Refused: rules do not allow it, or have it wait for an approval; the text says which.
        """
        from lakecore.tables import column_changes

        columns = column_changes(add=add, rename=rename, drop=drop, widen=widen)
        if columns and changes:
            raise InvalidInput(
                "properties and columns", where=name, hint="change them by two calls"
            )
        if not columns:
            unknown = sorted(set(changes) - set(_PROPERTIES))
            if unknown:
                raise InvalidInput(
                    "not a property that can be changed",
                    expected=" | ".join(_PROPERTIES),
                    found=", ".join(unknown),
                )
            path = f"/catalog/datasets/{segment(name)}"
            return self._entry("PATCH", path, {**changes, "reason": reason}, idempotency_key)
        result = self.alter_columns(name, columns, reason=reason, idempotency_key=idempotency_key)
        if result.held:
            raise Refused(
                "the change of columns waits for an approval",
                found=result.mutation_id,
                where=name,
                hint="`alter_columns` returns what waits; `approve` commits it",
            )
        return self.dataset(name)

    def drop(
        self,
        name: str,
        *,
        grace_days: float = 7,
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> Dataset:
        """Take a dataset out of sight; for `grace_days` it can be brought back by `undrop`."""
        path = f"/catalog/datasets/{segment(name)}"
        answer = self._connection.delete(
            path, idempotency_key=idempotency_key, reason=reason or None, grace_days=grace_days
        )
        return _results.dataset(answer.body)

    def undrop(self, name: str, *, reason: str = "", idempotency_key: str | None = None) -> Dataset:
        """Bring back a dropped dataset."""
        path = f"/catalog/datasets/{segment(name)}/undrop"
        return self._entry("POST", path, {"reason": reason}, idempotency_key)

    def rename(
        self, name: str, new_name: str, *, reason: str = "", idempotency_key: str | None = None
    ) -> Dataset:
        """Give a dataset another name. Its history stays with it."""
        from lakecore.catalog import check_dataset_name

        check_dataset_name(new_name)
        path = f"/catalog/datasets/{segment(name)}/rename"
        return self._entry("POST", path, {"new_name": new_name, "reason": reason}, idempotency_key)

    def _entry(self, method: str, path: str, body: object, key: str | None) -> Dataset:
        answer = self._connection.change(method, path, body, idempotency_key=key)
        return _results.dataset(answer.body)

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
            "key": columns(key),
            "entity_type": entity_type,
            "contract": contract,
            "description": description,
            "reason": reason,
        }
        return _results.dataset(self._connection.post("/catalog/adopt", body).body)


def columns(key: Sequence[str] | str) -> list[str]:
    """One name or several, as a list."""
    return [key] if isinstance(key, str) else list(key)
