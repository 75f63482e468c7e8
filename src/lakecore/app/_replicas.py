"""The replicas of a lake: brought up to date, looked at, and opened to be read."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lakecore.app._buckets import open_bucket
from lakecore.app._format import PATH
from lakecore.backup import ReplicaState, Replicated, read_replica, replicate
from lakecore.base import Conflict, InvalidInput, LakecoreError, format_timestamp, uuid7
from lakecore.storage import BUCKETS, Store, same_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lakecore.app._components import Components
    from lakecore.config import BucketSettings, Settings

_FOLDER: Final = "replicas"
_log = logging.getLogger(__name__)


def replica_buckets(settings: Settings) -> list[BucketSettings]:
    """The replicas that settings name, in their order; not the lake itself."""
    return [
        one
        for one in settings.storage.bucket
        if one.role == "replica" and not same_place(one.uri, settings.lake.uri)
    ]


def replicate_to(
    parts: Components,
    name: str,
    *,
    max_bytes: int | None = None,
    prune: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Replicated:
    """Bring one replica to the lake's present state; see `lakecore.backup.replicate`."""
    bucket = named_replica(parts.settings, name)
    identity = json.loads(parts.own_store.get(PATH)) | {"replica": True}
    with _alone(parts.state_dir, name), _opened(bucket) as store:
        return replicate(
            parts.store,
            parts.journal,
            store,
            identity=(json.dumps(identity, indent=1) + "\n").encode(),
            node=_node(parts.state_dir),
            roots=lambda: bucket_roots(parts),
            clock=parts.clock,
            max_bytes=max_bytes,
            prune=prune,
            progress=progress,
            on_step=on_step,
        )


def named_replica(settings: Settings, name: str) -> BucketSettings:
    """One by its name. Raises `InvalidInput`."""
    known = replica_buckets(settings)
    for bucket in known:
        if bucket.name == name:
            return bucket
    raise InvalidInput(
        "no replica of this name",
        expected=", ".join(one.name for one in known) or "one in [[storage.bucket]], role replica",
        found=name,
    )


def bucket_roots(parts: Components) -> Sequence[str]:
    """Folders of tables in buckets: those of all datasets, dropped ones and copies included."""
    found: set[str] = set()
    for dataset in parts.catalog.list_datasets(dropped=True):
        if dataset.location.startswith(BUCKETS):
            found.add(f"{dataset.location}/")
    return sorted(found)


def replica_state(parts: Components, bucket: BucketSettings) -> dict[str, Any]:
    """How far a replica is, and how far behind: JSON-ready."""
    with _opened(bucket) as store:
        state = read_replica(store)
    return describe(state, parts.clock.now_us(), parts.journal.stats()["tree_size"])


def describe(state: ReplicaState | None, now_us: int, tree_size: int) -> dict[str, Any]:
    """A replica's state as `status` has it."""
    if state is None or state.complete is None:
        return {"complete": None, "said": "nothing is there yet", "lag_s": None, "lag_events": None}
    age_s = state.age_s(now_us) or 0.0
    behind = max(0, tree_size - state.complete.tree_size)
    return {
        "complete": state.complete.tree_size,
        "root": state.complete.root,
        "at": format_timestamp(state.complete.at_us),
        "lag_s": round(age_s, 3),
        "lag_events": behind,
        "copying": None if state.copying is None else state.copying.tree_size,
        "said": f"as of {format_timestamp(state.complete.at_us)[:19]}Z, {behind:,} events behind",
    }


def replica_state_directory(state_dir: Path, url: str) -> Path:
    """Where this machine keeps what it knows of a replica: never beside the replica's objects."""
    name = hashlib.sha256(url.encode()).hexdigest()[:12]
    return state_dir.with_name(f"{state_dir.name}-replica-{name}")


class Replicating:
    """Replication by itself, in a process that serves: one replica after the other."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, where settings name a replica and do not say never."""
        interval_s = self._parts.settings.storage.replicate_interval_s
        if not interval_s or not replica_buckets(self._parts.settings):
            return
        self._thread = threading.Thread(
            target=self._loop, args=(interval_s,), name="lakecore-replicate", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End; a run that is under way is broken off between two of its steps."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s):
            for bucket in replica_buckets(self._parts.settings):
                if self._ended.is_set():
                    return
                try:
                    replicate_to(self._parts, bucket.name, on_step=self._check)
                except _Ended:
                    return
                except LakecoreError as error:
                    # The next run goes on; metrics show how old the replica gets.
                    _log.warning("the replica %s is not brought up to date: %s", bucket.name, error)

    def _check(self, step: str) -> None:
        if self._ended.is_set():
            raise _Ended


class _Ended(Exception):
    """The process ends: replication is broken off."""


@contextmanager
def _opened(bucket: BucketSettings) -> Iterator[Store]:
    store = open_bucket(bucket)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _alone(state_dir: Path, name: str) -> Iterator[None]:
    """One run of this machine at a time; the lock goes with the process, however it ends."""
    folder = state_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline_s = time.monotonic() + 2.0
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise Conflict(
                        "another process of this machine is replicating there", where=name
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _node(state_dir: Path) -> str:
    """Who this machine is to others that replicate: an id of its own."""
    file = state_dir / _FOLDER / "node"
    if not file.exists():
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(uuid7())
        temporary.replace(file)
    return file.read_text().strip()
