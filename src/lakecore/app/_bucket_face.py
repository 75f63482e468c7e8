"""What `Lake` offers of buckets: which there are and how they are, and moving datasets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakecore.app._buckets import PRIMARY, check_create_only, look_at, open_bucket
from lakecore.base import InvalidInput, LakecoreError, ReadOnly
from lakecore.storage import CredentialsReference, same_place

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.app._move import Moved, Progress
    from lakecore.app._serving import Served, Serving
    from lakecore.backup import Replicated
    from lakecore.catalog import Dataset
    from lakecore.config import BucketSettings
    from lakecore.journal import Author


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """One bucket of a lake, as it is now.

    Attributes:
        uri, credentials: where it is, and where its credentials are; no secret in either.
        state: ``ok``, ``read-only``, ``empty`` of a replica that nothing was copied to, or
            ``away`` with `error`.
        is_create_only: whether it creates an object only once; None: it was not tried.
        datasets: names of those whose tables are in it.
        replica: of a replica, which state of the lake it has; None without one.
    """

    name: str
    role: str
    uri: str
    credentials: str
    state: str
    error: str | None = None
    hint: str | None = None
    is_create_only: bool | None = None
    datasets: tuple[str, ...] = ()
    replica: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether it can be used for what it is for."""
        return self.state not in ("away", "empty") and self.is_create_only is not False


class BucketFace:
    """The lake's buckets."""

    _parts: Components
    _serving: Serving
    _author: Callable[[str | None, str, str], Author]

    @property
    def served(self) -> Served | None:
        """That a replica answers now, which one and how old; None while the primary does."""
        return self._serving.served

    @property
    def last_served(self) -> Served | None:
        """What was said of the last answer of a replica; None: there was none."""
        return self._serving.last

    def buckets(self, *, check: bool = False) -> list[BucketState]:
        """The lake's own store and every named bucket, each asked whether it answers.

        Args:
            check: try as well whether those that are written create an object only once.
        """
        return bucket_states(self._parts, check=check)

    def replicas(self) -> list[str]:
        """The names of the lake's replicas, in the order of the settings."""
        from lakecore.app._replicas import replica_buckets

        return [one.name for one in replica_buckets(self._parts.settings)]

    def replicate(
        self,
        name: str,
        *,
        max_bytes: int | None = None,
        prune: bool = False,
    ) -> Replicated:
        """Bring a replica to the lake's present state; writers may go on meanwhile.

        Records that wait on this machine are written to their tables before.

        Args:
            max_bytes: of data files, in this run; None: as many as there are.
            prune: remove data files from the replica that the lake has no more.

        Raises:
            InvalidInput: no such replica.
            Refused: its place is another lake's, or no replica and not empty.
            Stop: the lake lost events that the replica has.
            Conflict: somebody else replicates there.
        """
        from lakecore.app._replicas import replicate_to

        self._parts.records.flush()
        return replicate_to(self._parts, name, max_bytes=max_bytes, prune=prune)

    def move(
        self,
        dataset: str,
        *,
        bucket: str,
        grace_days: float = 7.0,
        progress: Progress = lambda objects, size_bytes: None,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Moved:
        """Move a dataset's table to a named bucket, or with ``""`` to the lake's own store.

        It is read and changed meanwhile, but for a moment at the end. Who breaks off leaves it
        where it was; the same call goes on. The old files stay for `grace_days`.

        Raises:
            InvalidInput: no such bucket, or it is there already.
            Conflict: it is being moved elsewhere, or another program commits to it.
            Unavailable: a bucket does not answer.
        """
        from lakecore.app._move import move_dataset

        parts = self._parts
        wanted = "" if bucket == PRIMARY else parts.buckets.check_named(bucket)
        return move_dataset(
            parts,
            dataset,
            wanted,
            author=self._author(actor, source, reason),
            grace_days=grace_days,
            progress=progress,
        )

    def cancel_move(
        self, dataset: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> Dataset:
        """Leave a dataset where it is whose move did not end."""
        from lakecore.app._move import cancel_move

        return cancel_move(self._parts, dataset, author=self._author(actor, source, reason))

    def _check_bucket(self, dataset: str, bucket: str) -> None:
        """That a dataset, if there is one of that name, is in a bucket. Raises `InvalidInput`."""
        entry = self._parts.catalog.find(dataset)
        if entry is not None and entry.bucket != bucket:
            raise InvalidInput(
                "the dataset is in another bucket",
                expected=entry.bucket or "the lake's own store",
                found=bucket,
                where=entry.name,
                hint=f"`lakecore bucket move {entry.name} --to {bucket}` moves it",
            )


def bucket_states(parts: Components, *, check: bool = False) -> list[BucketState]:
    """All buckets, the lake's own store first."""
    held: dict[str, list[str]] = {}
    for dataset in parts.catalog.list_datasets():
        held.setdefault(dataset.bucket, []).append(dataset.name)
    settings = parts.settings.storage.bucket
    own = next((one for one in settings if same_place(one.uri, parts.settings.lake.uri)), None)
    found = [_own_state(parts, own, tuple(held.pop("", ())), check=check)]
    for one in settings:
        if one is not own:
            names = tuple(held.pop(one.name, ()))
            found.append(_state(parts, one, names, check=check))
    found += [
        BucketState(
            name=name,
            role="archive",
            uri="",
            credentials="",
            state="away",
            error="not configured",
            hint=f'[[storage.bucket]] name = "{name}" says where it is',
            datasets=tuple(names),
        )
        for name, names in held.items()
        if not parts.is_inside(name)
    ]
    return found


def _own_state(
    parts: Components, own: BucketSettings | None, datasets: tuple[str, ...], *, check: bool
) -> BucketState:
    made = _tried(lambda: check_create_only(parts.own_store), check=check)
    return BucketState(
        name=own.name if own is not None else PRIMARY,
        role=own.role if own is not None else "primary",
        uri=parts.store.url,
        credentials=_credentials(own) if own is not None else "[storage] options",
        datasets=datasets,
        **made,
    )


def _state(
    parts: Components, one: BucketSettings, datasets: tuple[str, ...], *, check: bool
) -> BucketState:
    is_written = one.role == "archive" and not one.read_only

    def look() -> None:
        if one.role == "archive":
            parts.buckets.reading(one.name)
        store = open_bucket(one, probing_s=parts.settings.storage.probe_timeout_s)
        try:
            look_at(store)
            if check and is_written:
                check_create_only(store)
        finally:
            store.close()

    made = _tried(look, check=check and is_written)
    if made["state"] == "ok" and one.read_only:
        made["state"] = "read-only"
    replica = None
    if one.role == "replica" and made["state"] == "away" and "://" not in one.uri:
        # A folder that is made by the first replication.
        made["hint"] = f"`lakecore replicate {one.name}` makes it, where it is no disk to mount"
    if one.role == "replica" and made["state"] != "away":
        from lakecore.app._replicas import replica_state

        try:
            replica = replica_state(parts, one)
        except LakecoreError as error:
            made |= {"state": "away", "error": str(error), "hint": error.hint}
        else:
            if replica["complete"] is None:
                made |= {"state": "empty", "hint": f"`lakecore replicate {one.name}` fills it"}
    return BucketState(
        name=one.name,
        role=one.role,
        uri=one.uri,
        credentials=_credentials(one),
        datasets=datasets,
        replica=replica,
        **made,
    )


def _tried(look: Callable[[], object], *, check: bool) -> dict[str, Any]:
    try:
        look()
    except ReadOnly as error:
        return {"state": "read-only", "error": str(error), "hint": error.hint}
    except LakecoreError as error:
        is_liar = "only once" in error.message
        made: dict[str, Any] = {"error": str(error), "hint": error.hint}
        return made | ({"state": "ok", "is_create_only": False} if is_liar else {"state": "away"})
    return {"state": "ok", "is_create_only": True if check else None}


def _credentials(one: BucketSettings) -> str:
    return CredentialsReference(
        variables=one.credentials_env, profile=one.profile, file=one.credentials_file
    ).describe()
