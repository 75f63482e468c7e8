"""What a dataset is: its properties in the catalog, and the columns of its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.tables import ColumnChange, MutationResult


class AlterFace:
    """What `Lake` does to a dataset as a whole."""

    _parts: Components
    _author: Callable[..., Author]
    _change: Callable[..., MutationResult]
    dataset: Callable[[str], Dataset]

    def alter(
        self,
        name: str,
        *,
        add: Mapping[str, str] | None = None,
        rename: Mapping[str, str] | None = None,
        drop: Sequence[str] = (),
        widen: Mapping[str, str] | None = None,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
        **changes: Any,
    ) -> Dataset:
        """Change columns, or `contract`, `description`, `entity_type`, `owner`, `protected`, or
        how long versions are kept: `retention_days`, `retention_versions`; None: as the lake.

        Columns are changed as one version of the table, properties in the catalog: by two calls.

        Args:
            rename: column to new name. A key column keeps being one.
            drop: columns that go. Not a key's.
            widen: column to a type that holds all its values: ``long``, ``double``,
                ``decimal(20,4)``, ``timestamp``.
            add: new column to its type, null in every row.

        Raises:
            Refused: rules do not allow it, or have it wait for an approval; the text says which.
        """
        from lakecore.base import InvalidInput, Refused
        from lakecore.tables import column_changes

        author = {"actor": actor, "source": source, "reason": reason}
        columns = column_changes(add=add, rename=rename, drop=drop, widen=widen)
        if columns and changes:
            raise InvalidInput(
                "properties and columns", where=name, hint="change them by two calls"
            )
        if columns:
            result = self.alter_columns(name, columns, **author)
            if result.held:
                raise Refused(
                    "the change of columns waits for an approval",
                    found=result.mutation_id,
                    where=name,
                    hint="`alter_columns` returns what waits; `approve` commits it",
                )
            return self.dataset(name)
        return self._parts.catalog.change(name, author=self._author(**author), **changes)

    def alter_columns(
        self, name: str, changes: Sequence[ColumnChange], **options: Any
    ) -> MutationResult:
        """Change columns, in this order, as one version. Options as for every change.

        A key column's new name goes into the catalog behind it; where that failed, the same
        call again completes it.
        """
        from lakecore.base import uuid7
        from lakecore.tables import MutationResult, renamed_key

        entry = self.dataset(name)
        key = renamed_key(entry.key, changes)
        author = self._author(
            options.get("actor"), options.get("source", "api"), options.get("reason", "")
        )
        is_tried = options.get("tier", "auto") == "auto"
        if key != entry.key and is_tried and self._has_key(entry, key):
            # The table has the new names since a call that did not come to its end.
            entry = self._parts.catalog.rename_key(name, key, author=author)
            changes = [change for change in changes if not _renames_to(change, key)]
            if not changes:
                return MutationResult(
                    mutation_id=uuid7(), commit_id=None, dataset=entry.name, version=None
                )
        result = self._change(self._parts.tables.alter_columns, name, changes=changes, **options)
        if key != entry.key and result.committed:
            # Crash window: the catalog has the old names; the next call completes it, above.
            self._parts.catalog.rename_key(name, key, author=author)
        return result

    def _has_key(self, entry: Dataset, key: Sequence[str]) -> bool:
        """Whether the table has these key columns, and not those of the catalog."""
        view = self._parts.tables.open(entry)
        if view is None:
            return False
        names = set(view.schema.names)
        return set(key) <= names and not set(entry.key) <= names


def _renames_to(change: ColumnChange, key: Sequence[str]) -> bool:
    from lakecore.tables import RenameColumn

    return isinstance(change, RenameColumn) and change.new_name in key
