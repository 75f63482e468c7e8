"""Taking over a Delta table that another program made, where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from lakecore.base import AlreadyExists, InvalidInput, NotFound, UnsupportedFormat
from lakecore.journal import read_commit_record
from lakecore.reconcile._log import TableLog
from lakecore.reconcile._rows import Underivable
from lakecore.reconcile._schema import TableSchema
from lakecore.reconcile._version import table_rows
from lakecore.storage import Store, bucket_of, place_in
from lakecore.tables import (
    TableSettings,
    check_key_columns,
    check_keys,
    check_new_keys,
    empty_state,
)

if TYPE_CHECKING:
    from lakecore.catalog import Catalog, Dataset
    from lakecore.journal import Author
    from lakecore.reconcile._replay import Replay

NO_BUCKETS: Final[Mapping[str, Store]] = {}
_OWN_FOLDERS: Final = frozenset({"documents", "journal", "workspaces", "search", ".local"})


def adopt_table(
    store: Store,
    catalog: Catalog,
    uri: str,
    *,
    dataset: str,
    key: Sequence[str],
    author: Author,
    entity_type: str | None = None,
    contract: str = "evolve",
    description: str = "",
    buckets: Mapping[str, Store] = NO_BUCKETS,
) -> Dataset:
    """Register the table as a dataset, with the version that its history begins at.

    The catalog's document is the commit point; who dies behind it leaves an adopted table
    whose first event `reconcile` makes. Nothing is written into the table.

    Args:
        buckets: other places where tables may be, by name; `store` reads them below
            ``buckets/<name>/``.

    Raises:
        NotFound: no table is there.
        InvalidInput: it is outside of the lake and of its buckets, or the key is null or double
            somewhere.
        AlreadyExists: the name or the table is taken.
        UnsupportedFormat: its rows cannot be read.
    """
    location = locate_in_buckets(buckets, uri) or locate(store, uri)
    proposed = catalog.propose(
        dataset, key=key, entity_type=entity_type, contract=contract, description=description
    )
    if catalog.find(proposed.name) is not None:
        raise AlreadyExists(
            "there is a dataset of that name", where=proposed.name, hint="choose another name"
        )
    log = TableLog(store, location)
    if not log.entries:
        raise NotFound("there is no Delta table", where=uri, hint="name the table's own folder")
    live = log.replay(log.newest)
    found = proposed.with_changes(
        dataset_id=live.table_id, location=location, adopted_version=live.version
    )
    _check_free(catalog, found)
    if read_commit_record(store.get(log.path(live.version))) is not None:
        raise UnsupportedFormat(
            "the table was last changed by a Lakecore, whose journal is elsewhere",
            where=f"{location}, version {live.version}",
            hint="restore that lake from its backup, or ingest the table's rows",
        )
    try:
        schema = TableSchema(live.metadata or {}).arrow
        check_key_columns(schema, found.key)
        _check_rows(store, found, live)
    except Underivable as error:
        raise UnsupportedFormat(
            "the table's rows cannot be read", where=location, found=error
        ) from error
    return catalog.register(found, author=author)


def locate_in_buckets(buckets: Mapping[str, Store], uri: str) -> str | None:
    """The folder in one of the named buckets that `uri` names; None when it is in none of them.

    Raises:
        InvalidInput: it is in a bucket that is not there, or among what is Lakecore's own.
    """
    if name := bucket_of(uri):
        if name not in buckets:
            raise InvalidInput(
                "no such bucket", found=name, expected=", ".join(sorted(buckets)) or "none"
            )
        return place_in(name, _checked(uri.removeprefix(place_in(name, "")), uri))
    # The longest first: one bucket's place may be below another's.
    for name, bucket in sorted(buckets.items(), key=lambda item: -len(item[1].url)):
        below = _below(bucket, uri)
        if below is not None:
            return place_in(name, _checked(below, uri))
    return None


def _below(bucket: Store, uri: str) -> str | None:
    text = uri.rstrip("/")
    for prefix in (bucket.url.rstrip("/"), bucket.table_uri("x")[:-2]):
        if prefix and text.startswith(f"{prefix}/"):
            return text[len(prefix) + 1 :]
    root = bucket.local_path("x")
    plain = text.removeprefix("file://")
    if root is None or "://" in plain:
        return None
    inside = Path(plain).resolve()
    above = root.parent.resolve()
    return inside.relative_to(above).as_posix() if inside.is_relative_to(above) else None


def locate(store: Store, uri: str) -> str:
    """The folder within the lake's store that `uri` names: a path in the lake, or a full one.

    Raises:
        InvalidInput: it is outside of the store, or among what is Lakecore's own.
    """
    text = uri.rstrip("/")
    for prefix in (store.url.rstrip("/"), store.table_uri("x")[:-2]):
        if prefix and text.startswith(f"{prefix}/"):
            return _checked(text[len(prefix) + 1 :], uri)
    root = store.local_path("x")
    plain = text.removeprefix("file://")
    if root is not None and "://" not in plain and _is_elsewhere(store, plain):
        try:
            return _checked(
                Path(plain).resolve().relative_to(root.parent.resolve()).as_posix(), uri
            )
        except ValueError:
            raise _outside(store, uri) from None
    if "://" in plain or plain.startswith("/"):
        raise _outside(store, uri)
    return _checked(plain, uri)


def _is_elsewhere(store: Store, path: str) -> bool:
    """Whether a path is meant as the machine's, not as the lake's."""
    if Path(path).is_absolute():
        return True
    inside = store.local_path(path) if ".." not in path.split("/") else None
    return not (inside is not None and inside.exists()) and Path(path).exists()


def _checked(path: str, uri: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or parts[0] in _OWN_FOLDERS:
        raise InvalidInput(
            "not a folder for a table", found=uri, expected="a folder of the lake, tables/… say"
        )
    return "/".join(parts)


def _outside(store: Store, uri: str) -> InvalidInput:
    return InvalidInput(
        "the table is outside of this lake's store and of its buckets",
        expected=f"a folder below {store.url}",
        found=uri,
        hint="name its bucket, or a folder above it, in a [[storage.bucket]] of the settings",
    )


def _check_free(catalog: Catalog, found: Dataset) -> None:
    for other in catalog.list_datasets(dropped=True):
        inside = (
            f"{found.location}/".startswith(f"{other.location}/"),
            f"{other.location}/".startswith(f"{found.location}/"),
        )
        if any(inside) or other.dataset_id == found.dataset_id:
            raise AlreadyExists("the table is a dataset already", where=other.name)


def _check_rows(store: Store, dataset: Dataset, live: Replay) -> None:
    """Read the key columns: none is null, none comes twice."""
    if not dataset.key:
        return
    rows = 0
    for keys in _keys(store, dataset, live):
        check_keys(keys, dataset.key, first_row=rows)
        rows += keys.num_rows
    if rows:
        check_new_keys(
            new=lambda: _keys(store, dataset, live),
            new_rows=rows,
            state=empty_state(dataset, created_us=0),
            read_keys=lambda _: iter(()),
            key=dataset.key,
            settings=TableSettings(),
        )


def _keys(store: Store, dataset: Dataset, live: Replay) -> Iterator[pa.Table]:
    return table_rows(store, dataset.location, live, dataset.key)
