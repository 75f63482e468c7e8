"""What a replica says of itself: ``lakecore-replica.json``, the one object that says how far it is.

It is written anew at each step that readers have to know of; everything else is created once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, NotFound, UnsupportedFormat

if TYPE_CHECKING:
    from lakecore.storage import Store

REPLICA: Final = "lakecore-replica.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state of the lake: its journal's first `tree_size` events, as of `at_us`, UTC."""

    tree_size: int
    root: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """How far a replica is.

    Attributes:
        source: where the lake was that it is of, without secrets.
        complete: the last state that it has whole; None before the first.
        copying: the state that is being copied, or was when somebody broke off.
        ahead: of each folder of commits the first and the last version that `copying` brings:
            they may be there before their events are.
        node, run, since_us: who copies, and since when.
    """

    lake_id: str
    origin: str
    source: str
    complete: State | None = None
    copying: State | None = None
    ahead: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    node: str = ""
    run: str = ""
    since_us: int = 0

    def encode(self) -> bytes:
        body = {"format": FORMAT, **asdict(self)}
        return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()

    def finished(self, state: State) -> ReplicaState:
        """The same, with a state that is there whole."""
        return replace(self, complete=state, copying=None, ahead={}, node="", run="", since_us=0)

    def is_ahead(self, path: str) -> bool:
        """Whether a version may be there before its events are."""
        folder, _, name = path.rpartition("/")
        span = self.ahead.get(folder)
        return span is not None and span[0] <= int(name.removesuffix(".json")) <= span[1]

    def age_s(self, now_us: int) -> float | None:
        """Seconds since the lake was as the replica has it; None before the first state."""
        return None if self.complete is None else max(0.0, (now_us - self.complete.at_us) / 1e6)


def read_replica(store: Store) -> ReplicaState | None:
    """What a replica says of itself; None when the store is none.

    Raises:
        CorruptData, UnsupportedFormat: it does not read.
    """
    try:
        data = store.get(REPLICA)
    except NotFound as error:
        if error.where != REPLICA:
            raise  # the bucket is not there
        return None
    return _decoded(data, f"{store.url}/{REPLICA}")


def _decoded(data: bytes, where: str) -> ReplicaState:
    try:
        body: dict[str, Any] = json.loads(data)
        found = body.pop("format")
        if found != FORMAT:
            raise UnsupportedFormat(
                "the replica's format is unknown", expected=FORMAT, found=found, where=where
            )
        known = {part.name for part in fields(ReplicaState)}
        given = {name: value for name, value in body.items() if name in known}
        for name in ("complete", "copying"):
            given[name] = None if given.get(name) is None else State(**given[name])
        given["ahead"] = {
            str(folder): (int(first), int(last))
            for folder, (first, last) in (given.get("ahead") or {}).items()
        }
        return ReplicaState(**given)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptData(
            "a replica's state does not read",
            where=where,
            found=type(error).__name__,
            hint="remove it and run `lakecore replicate`: what is there is not copied again",
        ) from error
