"""Bringing a replica up to date: another store that has the lake, some moments behind.

A replica is a lake by itself: the same objects at the same paths, tables of other buckets below
``buckets/<name>/``, and `lakecore.json` with one member more. What is copied is a consistent cut,
found as for a backup (the package's docstring), in this order:

1. data files, runs of the journal, whatever nothing refers to yet;
2. *marker*: ``copying`` the new state, and which versions may be ahead of their events;
3. staged files of commits that are not sealed;
4. versions of tables, in their order, then checkpoints of their logs;
5. versions of documents, oldest first: one may name a table's new place, a rule or a key;
6. the journal's segments, in order, then stubs in the place of those that were merged;
7. signed checkpoints: none is there before the events under it;
8. of the first state only `lakecore.json`: before it there is no lake;
9. *marker*: ``complete``, the new state.

**Crash windows.** Before 2, and behind 9, the replica is the state that it says is complete, with
files beside it that nothing names. From 2 to 9 it is that state and some of the changes up to the
new one, each table at one of its versions, their events there or about to come: what a lake with
unsealed commits looks like, and `verify` says so (*pending*), since the marker names the versions.
A document never names what is not there; a checkpoint never signs events that are not there. Who
is killed anywhere leaves one of these; the next run goes on, and copies nothing twice.

**What is overwritten**: the marker; a segment by its stub, once the run that has its events is
there; a checkpoint of a table's log that was written anew. **What is removed**: staged files whose
events are sealed; with `prune` also data files that the lake has no more. A lake that lost events,
or is another one than the replica's, is not copied: `Stop`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lakecore.backup._copy import side_by_side
from lakecore.backup._plan import (
    CHECKPOINTS,
    LAKE,
    Changed,
    Plan,
    Roots,
    is_commit,
    make_plan,
    no_roots,
)
from lakecore.backup._replica import REPLICA, ReplicaState, State, read_replica
from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    CorruptData,
    InvalidInput,
    NotFound,
    Refused,
    Stop,
    SystemClock,
    uuid7,
)
from lakecore.storage import ObjectInfo, Store, mirror_object

if TYPE_CHECKING:
    from lakecore.journal import Journal

MAX_ATTEMPTS: Final = 8
TAKEOVER_S: Final = 600.0
"""How long a run of another machine counts as alive without a word from it."""
_SEGMENTS: Final = "journal/log/"
_STAGED: Final = "journal/staged/"
_TABLE_CHECKPOINT: Final = re.compile(r".*/_delta_log/\d{20}\.checkpoint[^/]*")
_DATA: Final = ("tables/", "workspaces/", "buckets/")

Progress = Callable[[int, int], None]
"""Called with (objects copied, objects to be copied) now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """What one run did.

    Attributes:
        is_complete: False when `max_bytes` ended it: the replica is as it was, and the next
            run goes on.
        lag_events: of the lake's events, those that the replica lacked before.
        lag_s: how old the replica's state was before; None before the first.
    """

    is_complete: bool
    tree_size: int
    root: str
    at_us: int
    copied_objects: int
    copied_bytes: int
    removed_objects: int
    lag_events: int
    lag_s: float | None
    warnings: tuple[str, ...]


def replicate(
    lake: Store,
    journal: Journal,
    replica: Store,
    *,
    identity: bytes,
    node: str,
    roots: Roots = no_roots,
    clock: Clock | None = None,
    max_bytes: int | None = None,
    prune: bool = False,
    progress: Progress = lambda done, total: None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Replicated:
    """Bring a replica to the lake's present state; writers may go on.

    Args:
        identity: what the replica's `lakecore.json` is to be.
        node: who this machine is, so that it takes up its own run that was broken off at once.
        max_bytes: of data files, in this run.
        on_step: called behind each step of the order above.

    Raises:
        Refused: the place is another lake's, or no replica and not empty.
        Stop: the lake has fewer events than the replica, or others.
        Conflict: another machine replicates there, or the lake kept changing.
        CorruptData: an object of the replica is not what it was.
    """
    clock = clock or SystemClock()
    state = _claimed(lake, replica, identity, clock)
    _check_nobody(state, node, clock)
    state = replace(state, node=node, run=uuid7(), source=lake.url)
    for _ in range(MAX_ATTEMPTS):
        at_us = clock.now_us()
        try:
            plan = make_plan(lake, journal, roots)
            _check_continues(plan, state)
            run = _Run(lake, replica, plan, state, at_us, clock, on_step, progress)
            return run.to_end(identity, max_bytes, prune=prune)
        except Changed:
            continue
    raise Conflict("the lake changed under every attempt to replicate it", hint="try again")


class _Run:
    """One cut on its way to the replica."""

    def __init__(
        self,
        lake: Store,
        replica: Store,
        plan: Plan,
        state: ReplicaState,
        at_us: int,
        clock: Clock,
        on_step: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._lake = lake
        self._replica = replica
        self._plan = plan
        self._state = state
        self._clock = clock
        self._on_step = on_step
        self._progress = progress
        self._new = State(tree_size=plan.cut.size, root=plan.cut.root, at_us=at_us)
        self._there = {info.path: info.size_bytes for info in replica.list_objects("")}
        wanted = [info for info in plan.objects if _is_copied(info, plan.cut.size)]
        self._wanted = {info.path for info in wanted}
        self._missing = [info for info in wanted if self._there.get(info.path) != info.size_bytes]
        self._copied = self._bytes = 0

    def to_end(self, identity: bytes, max_bytes: int | None, *, prune: bool) -> Replicated:
        steps = _in_order(self._missing)
        data = steps.pop(0)[1]
        if not self._copy_data(data, max_bytes):
            return self._report(is_complete=False, removed=0)
        self._on_step("data")
        if any(infos for _, infos in steps):
            self._say_copying()
            self._on_step("copying")
        for name, infos in steps:
            self._copy(infos, one_by_one=name in _ORDERED)
            self._on_step(name)
        if LAKE not in self._there:
            self._replica.create(LAKE, identity)
            self._on_step("lake")
        # The commit point of the new state.
        self._replica.put(REPLICA, self._state.finished(self._new).encode())
        self._on_step("complete")
        return self._report(is_complete=True, removed=self._remove(prune=prune))

    def _say_copying(self) -> None:
        ahead: dict[str, tuple[int, int]] = {}
        for info in self._missing:
            if not is_commit(info.path):
                continue
            folder, _, name = info.path.rpartition("/")
            number = int(name.removesuffix(".json"))
            first, last = ahead.get(folder, (number, number))
            ahead[folder] = (min(first, number), max(last, number))
        for folder, (first, last) in self._state.ahead.items():
            # Of a run that was broken off: they are there, their events may not be.
            known = ahead.get(folder, (first, last))
            ahead[folder] = (min(first, known[0]), max(last, known[1]))
        self._state = replace(
            self._state, copying=self._new, ahead=ahead, since_us=self._clock.now_us()
        )
        now = read_replica(self._replica)
        if now is not None and now.run not in ("", self._state.run):
            _check_nobody(now, self._state.node, self._clock)
        self._replica.put(REPLICA, self._state.encode())

    def _copy_data(self, infos: list[ObjectInfo], max_bytes: int | None) -> bool:
        if max_bytes is None:
            self._copy(infos)
            return True
        taken = 0
        for at, info in enumerate(infos):
            taken += info.size_bytes
            # One at least, or a large file would never come.
            if at and taken > max_bytes:
                self._copy(infos[:at])
                return False
        self._copy(infos)
        return True

    def _copy(self, infos: Iterable[ObjectInfo], *, one_by_one: bool = False) -> None:
        for info in side_by_side(self._copy_one, infos, workers=1 if one_by_one else 4):
            self._copied += 1
            self._bytes += info.size_bytes
            self._progress(self._copied, len(self._missing))

    def _copy_one(self, info: ObjectInfo) -> ObjectInfo:
        is_replaced = info.path in self._there and _is_replaceable(info.path)
        try:
            mirror_object(
                self._lake,
                info.path,
                self._replica,
                info.path,
                info.size_bytes,
                replace=is_replaced,
            )
        except NotFound as error:
            if error.where == info.path:
                raise Changed(info.path) from error
            raise
        except CorruptData as error:
            raise Changed(info.path) from error  # a stub took the place of a segment
        except AlreadyExists:
            if not _is_replaceable(info.path):
                raise _damaged(self._replica, info) from None
            mirror_object(
                self._lake, info.path, self._replica, info.path, info.size_bytes, replace=True
            )
        return info

    def _remove(self, *, prune: bool) -> int:
        """What the new state does not need: staged files always, data files when asked to."""
        gone = [path for path in self._there if path.startswith(_STAGED)]
        gone = [path for path in gone if path not in self._wanted]
        if prune:
            data = [path for path in self._there if _is_data(path)]
            old = [path for path in data if path not in self._wanted]
            if len(old) * 2 > len(data) and len(old) > _MAX_PRUNED_AT_ONCE:
                raise Stop(
                    "more than half of the replica's data files are gone from the lake",
                    found=f"{len(old):,} of {len(data):,}",
                    where=self._replica.url,
                    hint="the new state is complete; look why they are gone before you prune",
                )
            gone += old
        for path in gone:
            self._replica.delete(path)
        return len(gone)

    def _report(self, *, is_complete: bool, removed: int) -> Replicated:
        before = self._state.complete
        return Replicated(
            is_complete=is_complete,
            tree_size=self._new.tree_size,
            root=self._new.root,
            at_us=self._new.at_us,
            copied_objects=self._copied,
            copied_bytes=self._bytes,
            removed_objects=removed,
            lag_events=self._new.tree_size - (before.tree_size if before else 0),
            lag_s=self._state.age_s(self._new.at_us),
            warnings=tuple(self._plan.warnings),
        )


_MAX_PRUNED_AT_ONCE: Final = 16
_ORDERED: Final = frozenset({"versions", "documents", "segments", "checkpoints"})
_STEPS: Final = (
    *("data", "staged", "versions", "table checkpoints", "documents"),
    *("segments", "checkpoints"),
)


def _step_of(path: str) -> str:
    if path.startswith(_STAGED):
        return "staged"
    if path.startswith("documents/"):
        return "documents"
    if is_commit(path):
        return "versions"
    if _TABLE_CHECKPOINT.fullmatch(path):
        return "table checkpoints"
    if path.startswith(_SEGMENTS):
        return "segments"
    return "checkpoints" if path.startswith(CHECKPOINTS) else "data"


def _in_order(infos: Iterable[ObjectInfo]) -> list[tuple[str, list[ObjectInfo]]]:
    steps: dict[str, list[ObjectInfo]] = {name: [] for name in _STEPS}
    for info in infos:
        steps[_step_of(info.path)].append(info)
    for name, found in steps.items():
        # Documents as they came: a renamed dataset has two, and the old name's says where it went.
        by_time = name == "documents"
        found.sort(key=lambda info: (info.modified_us if by_time else 0, info.path))
    return list(steps.items())


def _is_copied(info: ObjectInfo, size: int) -> bool:
    if info.path in (LAKE, REPLICA):
        return False
    name = info.path.removeprefix(CHECKPOINTS).partition("/")[0].partition(".")[0]
    # One that was signed behind the cut is about events that are not in it.
    return not (info.path.startswith(CHECKPOINTS) and name.isdigit() and int(name) > size)


def _is_replaceable(path: str) -> bool:
    return path.startswith(_SEGMENTS) or _TABLE_CHECKPOINT.fullmatch(path) is not None


def _is_data(path: str) -> bool:
    return path.startswith(_DATA) and "/_delta_log/" not in path and path.endswith(".parquet")


def _claimed(lake: Store, replica: Store, identity: bytes, clock: Clock) -> ReplicaState:
    """The replica's state; it is made the lake's when nobody's."""
    import json

    own = json.loads(identity)
    state = read_replica(replica)
    if state is None:
        if next(replica.list_objects(""), None) is not None:
            raise Refused(
                "the place is no replica, and not empty",
                expected="an empty place, or a replica of this lake",
                where=replica.url,
                hint="give the replica a bucket, or a prefix, of its own",
            )
        from lakecore.storage import probe_create_only

        if not probe_create_only(replica).is_create_only:
            raise Refused(
                "the replica's store does not create an object only once",
                where=replica.url,
                hint="use a server with conditional puts",
            )
        state = ReplicaState(lake_id=own["lake_id"], origin=own["origin"], source=lake.url)
        try:
            replica.create(REPLICA, state.encode())
        except AlreadyExists:
            return _claimed(lake, replica, identity, clock)
    if state.lake_id != own["lake_id"]:
        raise Refused(
            "the place is another lake's replica",
            expected=own["lake_id"],
            found=state.lake_id,
            where=replica.url,
        )
    if lake.url == replica.url != "memory://":
        raise InvalidInput("a replica needs a place of its own", found=replica.url)
    return state


def _check_nobody(state: ReplicaState, node: str, clock: Clock) -> None:
    """Raises `Conflict` while a run of another machine may be going on."""
    since_s = (clock.now_us() - state.since_us) / 1e6
    if state.copying is not None and state.node != node and since_s < TAKEOVER_S:
        raise Conflict(
            "another machine is replicating there",
            found=f"since {since_s:.0f} s",
            hint=f"try again; a run that died is taken over after {TAKEOVER_S:.0f} s",
        )


def _check_continues(plan: Plan, state: ReplicaState) -> None:
    """Raises `Stop` unless the lake's journal goes on from the replica's."""
    before = state.complete
    if before is None:
        return
    # A cut ends where a file ends, and files keep their ends, also as stubs.
    root = plan.cut.root_at(before.tree_size) if plan.cut.size >= before.tree_size else None
    if root != before.root:
        raise Stop(
            "the lake's journal does not go on from the replica's",
            expected=f"{before.tree_size:,} events with root {before.root}",
            found=f"{plan.cut.size:,} events" if root is None else f"root {root}",
            hint="the lake lost events, or was put back: `lakecore verify`; "
            "the replica is left as it is",
        )


def _damaged(replica: Store, info: ObjectInfo) -> CorruptData:
    return CorruptData(
        "an object of the replica is not what was copied",
        expected=f"{info.size_bytes:,} bytes as the lake has them",
        where=f"{replica.url}/{info.path}",
        hint="remove it; the next run copies it again",
    )
