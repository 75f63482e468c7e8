"""What `Lake` offers of tables that other programs write: reconciling, adopting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from lakecore.base import CorruptData, Retry
from lakecore.storage import bucket_of

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.reconcile import ReconcileReport
    from lakecore.storage import Store


class ReconcileFace:
    """Versions that others made, journaled; tables that others made, taken over."""

    _parts: Components
    _author: Callable[[str | None, str, str], Author]

    def reconcile(self, dataset: str | None = None) -> ReconcileReport:
        """Journal what other programs committed to one dataset, or to all.

        Of a dataset with a key exactly what changed, field by field; of others how many rows
        went and came. The actor is ``external:<engine>``, the source ``external``.
        """
        return self._parts.reconciler.reconcile(dataset)

    def adopt(
        self,
        uri: str,
        *,
        dataset: str,
        key: Sequence[str] | str = (),
        entity_type: str | None = None,
        contract: str = "evolve",
        description: str = "",
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Dataset:
        """Make a Delta table of another program a dataset, where it lies; see `adopt_table`.

        Its history begins with one event ``adopt``: the version, how many rows, their hash.

        Args:
            uri: the table's folder: a path in the lake, or a full path or URL below it or below
                one of its named buckets; ``buckets/<name>/…`` names one, too.
            key: the columns that identify a row: read once, none may be null or double.

        Raises:
            InvalidInput: outside of the lake's store and of its buckets, or not a key.
            NotFound, AlreadyExists, UnsupportedFormat: no table, taken, or not readable.
        """
        from lakecore.reconcile import adopt_table

        parts = self._parts
        adopted = adopt_table(
            parts.store,
            parts.catalog,
            uri,
            dataset=dataset,
            key=(key,) if isinstance(key, str) else tuple(key),
            author=self._author(actor, source, reason),
            entity_type=entity_type,
            contract=contract,
            description=description,
            buckets=_buckets_for(parts, uri),
        )
        report = parts.reconciler.reconcile(adopted.name)
        if report.problems:
            raise CorruptData(
                "the table is adopted, its first event is not journaled yet",
                where=adopted.name,
                found=report.problems[0],
                hint=f"mend the table, then `lakecore reconcile {adopted.name}`",
            )
        return adopted


def _buckets_for(parts: Components, uri: str) -> dict[str, Store]:
    """Buckets that the place may be in. Others, and those that do not answer, are left out."""
    named = bucket_of(uri)
    if named:
        return {named: parts.buckets.reading(named)}
    found = {}
    for name in parts.buckets.likely(uri):
        with suppress(Retry):
            found[name] = parts.buckets.reading(name)
    return found
