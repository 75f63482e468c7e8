"""The buckets of a lake, as settings name them: opened when they are first used, and watched.

A bucket is claimed by the first write: `lakecore-bucket.json` says which lake it belongs to, by
which name, and is created once. Before that the bucket is tried: one that accepts two objects of
one name would lose commits, so nothing is written there. Another lake's bucket is refused for
reading as well, so a slip in the settings cannot show somebody else's tables.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    AlreadyExists,
    CorruptData,
    InvalidInput,
    LakecoreError,
    NotFound,
    ReadOnly,
    Refused,
    Retry,
    Unavailable,
)
from lakecore.storage import (
    BUCKET_MARKER,
    Breaker,
    CredentialsReference,
    GuardedStore,
    Store,
    not_configured,
    open_by_reference,
    open_store,
    probe_create_only,
    same_place,
)

if TYPE_CHECKING:
    from lakecore.config import BucketSettings, Settings

PRIMARY: Final = "primary"
"""What the lake's own store is called where settings give it no name."""

MARKER_FORMAT: Final = 1
_REMOTE: Final = ("s3", "s3a", "gs", "az")


def open_lake_store(settings: Settings, environ: Mapping[str, str] | None = None) -> Store:
    """The store of the lake itself: by the bucket that is there, else by `[storage] options`."""
    uri = settings.lake.uri
    found = next((one for one in settings.storage.bucket if same_place(one.uri, uri)), None)
    if found is not None:
        return open_bucket(found, environ, options=settings.storage.options, uri=uri)
    return open_store(uri, options=settings.storage.options)


def open_bucket(
    bucket: BucketSettings,
    environ: Mapping[str, str] | None = None,
    *,
    options: Mapping[str, str] | None = None,
    uri: str | None = None,
    probing_s: int | None = None,
) -> Store:
    """The store of one bucket; nothing is asked of it yet.

    Args:
        options: for what the bucket's own settings do not say.
        probing_s: for a look whether it answers: one try, within so many seconds.
    """
    place = uri or bucket.uri
    variables = os.environ if environ is None else environ
    reference = CredentialsReference(
        variables=bucket.credentials_env, profile=bucket.profile, file=bucket.credentials_file
    )
    if place.partition("://")[0].lower() not in _REMOTE:
        return open_store(place)
    given = {
        "max_retries": str(bucket.max_retries),
        "retry_timeout": str(bucket.retry_timeout_s),
        "timeout": f"{bucket.timeout_s}s",
        **{name.lower(): text for name, text in (options or {}).items()},
        **{name.lower(): text for name, text in bucket.options.items()},
    }
    if bucket.region:
        given["region"] = bucket.region
    if bucket.endpoint:
        given["endpoint"] = bucket.endpoint
    if probing_s is not None:
        given |= {"max_retries": "0", "retry_timeout": "1", "timeout": f"{probing_s}s"}
        given["connect_timeout"] = f"{probing_s}s"
    return open_by_reference(place, reference, variables, options=given)


def look_at(store: Store) -> None:
    """Ask a bucket for one name that may be there or not. Raises what keeps it from answering."""
    root = store.local_path(BUCKET_MARKER)
    if root is not None and not root.parent.is_dir():
        raise NotFound("no such bucket", where=store.url, hint="is the disk mounted?")
    # An exact name and a list: some servers answer the one without the bucket.
    store.exists(BUCKET_MARKER)
    for _ in store.list_objects("documents/", after="documents/datasets"):
        break


class Buckets:
    """The named buckets that hold datasets: the `Mounts` of the lake's store.

    Args:
        settings: those of the lake; a bucket that is the lake itself, or a replica, is not here.
    """

    def __init__(self, settings: Settings, *, environ: Mapping[str, str] | None = None) -> None:
        storage = settings.storage
        self.settings: dict[str, BucketSettings] = {
            one.name: one
            for one in storage.bucket
            if one.role == "archive" and not same_place(one.uri, settings.lake.uri)
        }
        self.lake_id = ""
        """Known once the lake is open."""
        self.holds: Callable[[str], bool] = lambda name: False
        """Whether any dataset of the lake is in a bucket; asked where it looks empty."""
        self._environ = environ
        self._interval_s = storage.probe_interval_s
        self._timeout_s = storage.probe_timeout_s
        self._stores: dict[str, Store] = {}
        self._checked: set[str] = set()
        self._claimed: set[str] = set()
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.RLock()

    def likely(self, uri: str) -> list[str]:
        """Those that a table's URI may be in, by its beginning."""
        scheme = uri.partition("://")[0].lower() if "://" in uri else "file"
        return [
            name
            for name, one in sorted(self.settings.items())
            if (one.uri.partition("://")[0].lower() if "://" in one.uri else "file") == scheme
        ]

    # -- the mounts -------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        return sorted(self.settings)

    def reading(self, name: str) -> Store:
        breaker = self.breaker(name)
        if breaker.error is not None:
            raise away(name, breaker.error)
        store = self._opened(name)
        marker = store.local_path(BUCKET_MARKER)
        # A disk that is not mounted any more answers, with nothing: it is looked at each time.
        if name not in self._checked or (marker is not None and not marker.exists()):
            self._check(name, store)
        return store

    def writing(self, name: str) -> Store:
        store = self.reading(name)
        if self.settings[name].read_only:
            return GuardedStore(store, lambda path: _read_only(name, path))
        if name not in self._claimed:
            self._claim(name, store)
        return store

    def check_named(self, name: str) -> str:
        """A bucket that new tables may be in, claimed for the lake; '' is the lake's own store.

        Before a dataset is there: so one that has datasets, and no marker, is known to be away.

        Raises:
            InvalidInput: there is none of this name that may be written.
            Refused: it is another lake's, or lets two writers create the same name.
            Unavailable: it does not answer.
        """
        found = self.settings.get(name)
        if name and (found is None or found.read_only):
            usable = sorted(n for n, one in self.settings.items() if not one.read_only)
            raise InvalidInput(
                "no bucket for new tables of this name",
                expected=", ".join(usable) or "one in [[storage.bucket]], role archive",
                found=name,
            )
        if name:
            self.writing(name)
        return name

    def close(self) -> None:
        for breaker in list(self._breakers.values()):
            breaker.close()
        for store in list(self._stores.values()):
            store.close()

    # -- how they are -----------------------------------------------------------------

    def breaker(self, name: str) -> Breaker:
        """Whether one answers. Raises `Unavailable` for a name that settings do not have."""
        with self._lock:
            if name not in self.settings:
                raise not_configured(name)
            if name not in self._breakers:
                bucket = self.settings[name]
                self._breakers[name] = Breaker(
                    lambda: _probe(bucket, self._environ, self._timeout_s),
                    interval_s=self._interval_s,
                )
            return self._breakers[name]

    def ask_used(self) -> list[str]:
        """Which of the buckets that were used do not answer now; their breakers are open then."""
        with self._lock:
            used = sorted(self._stores)
        return [name for name in used if not self.breaker(name).ask()]

    # -- inside -----------------------------------------------------------------------

    def _opened(self, name: str) -> Store:
        with self._lock:
            if name not in self._stores:
                self._stores[name] = open_bucket(self.settings[name], self._environ)
            return self._stores[name]

    def _check(self, name: str, store: Store) -> None:
        """That the bucket is this lake's, or nobody's yet."""
        bucket = self.settings[name]
        root = store.local_path(BUCKET_MARKER)
        if root is not None and not root.parent.is_dir() and bucket.read_only:
            raise Unavailable("the bucket's folder is not there", where=store.url)
        try:
            data = store.get(BUCKET_MARKER)
        except NotFound as error:
            if error.where != BUCKET_MARKER:
                raise Unavailable(
                    "there is no such bucket", found=name, where=store.url, hint=error.hint
                ) from error
            if not bucket.read_only and self.holds(name):
                raise Unavailable(
                    "a bucket with datasets of the lake has nothing",
                    expected=BUCKET_MARKER,
                    found=name,
                    where=store.url,
                    hint="is the disk mounted, and the place the right one?",
                ) from None
            return
        found = read_marker(data, store.url)
        if not self.lake_id:
            return  # while the lake opens; it is checked with the next use
        if found["lake_id"] != self.lake_id or found["name"] != name:
            raise Refused(
                "the bucket is another lake's, or has another name there",
                expected=f"{name} of lake {self.lake_id}",
                found=f"{found['name']} of lake {found['lake_id']}",
                where=f"{store.url}/{BUCKET_MARKER}",
                hint="check [[storage.bucket]]: each bucket, or prefix, is one lake's",
            )
        self._claimed.add(name)
        self._checked.add(name)

    def _claim(self, name: str, store: Store) -> None:
        check_create_only(store)
        content = {"format": MARKER_FORMAT, "lake_id": self.lake_id, "name": name}
        with suppress(AlreadyExists):  # `_check` says whose it is
            store.create(BUCKET_MARKER, (json.dumps(content, indent=1) + "\n").encode())
        self._check(name, store)
        self._claimed.add(name)


def read_marker(data: bytes, where: str) -> dict[str, Any]:
    """What a bucket's marker says. Raises `CorruptData`."""
    try:
        content = json.loads(data)
        if isinstance(content["lake_id"], str) and isinstance(content["name"], str):
            return dict(content)
    except (ValueError, KeyError, TypeError):
        pass
    raise CorruptData("a bucket's marker does not read", where=f"{where}/{BUCKET_MARKER}")


def check_create_only(store: Store) -> None:
    """Raises `Refused` for a store that lets two writers create the same name."""
    result = probe_create_only(store)
    if not result.is_create_only:
        raise Refused(
            "the bucket does not create an object only once",
            expected="one winner of 8, and a second create refused",
            found=f"{result.winners} winners, a second create "
            f"{'refused' if result.refuses_second else 'accepted'}",
            where=store.url,
            hint="commits would be lost there: use a server with conditional puts",
        )


def away(name: str, error: Exception) -> LakecoreError:
    """The error for a bucket that does not answer."""
    found = error.message if isinstance(error, LakecoreError) else str(error)
    return Unavailable(
        f"the bucket {name!r} does not answer",
        found=found,
        hint="it is asked again by itself; try again when it is back",
    )


def is_away(error: BaseException) -> bool:
    """Whether an error may be a store's that does not answer, and so is worth a look at it."""
    if isinstance(error, Retry | Refused | CorruptData | ReadOnly | NotFound):
        return True
    return isinstance(error, OSError) or not isinstance(error, LakecoreError)


def _probe(bucket: BucketSettings, environ: Mapping[str, str] | None, timeout_s: int) -> None:
    store = open_bucket(bucket, environ, probing_s=timeout_s)
    try:
        look_at(store)
    finally:
        store.close()


def _read_only(name: str, path: str) -> LakecoreError:
    return ReadOnly(
        "the bucket is read-only by its settings",
        found=name,
        where=path,
        hint="copy the table into a dataset of a bucket that may be written",
    )
