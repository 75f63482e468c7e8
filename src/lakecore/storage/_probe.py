"""Does a store keep the promise on which everything rests?"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from threading import Barrier
from typing import TYPE_CHECKING, Final

from lakecore.base import AlreadyExists, LakecoreError, uuid7

if TYPE_CHECKING:
    from lakecore.storage._port import Store

PROBE_THREADS: Final = 8
_MAX_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a store did when several wanted the same name."""

    url: str
    refuses_second: bool
    """A create of a name that is taken raised `AlreadyExists` and changed nothing."""
    winners: int
    """How many of `PROBE_THREADS` creates at once succeeded; 1 is right."""
    keeps_winner: bool
    """What is stored afterwards is what the winner wrote."""

    @property
    def is_create_only(self) -> bool:
        """Whether several writers may share the store."""
        return self.refuses_second and self.winners == 1 and self.keeps_winner


def probe_create_only(store: Store) -> ProbeResult:
    """Try whether `store` lets exactly one `create` of a name succeed; leave nothing behind.

    Takes a few round trips. A store may pass by luck, as with any trial; the ones
    that are known to fail ignore the condition, and fail always.

    Raises:
        ReadOnly, Unavailable, …: the store cannot be written at all.
    """
    refuses_second = _refuses_second(store)
    winners: list[bytes] = []
    kept = b""
    for _ in range(_MAX_ROUNDS):
        winners, kept = _race(store)
        # No winner: each lost an answer to a create that was stored, and tried again.
        if winners:
            break
    return ProbeResult(
        url=store.url,
        refuses_second=refuses_second,
        winners=len(winners),
        keeps_winner=kept in winners,
    )


def _refuses_second(store: Store) -> bool:
    path = _name()
    try:
        try:
            store.create(path, b"first")
        except AlreadyExists:
            # The name is nobody else's: the answer to a first try was lost, and it was stored.
            if store.get(path) != b"first":
                return False
        try:
            store.create(path, b"second")
        except AlreadyExists:
            return store.get(path) == b"first"
        return False
    finally:
        _remove(store, path)


def _race(store: Store) -> tuple[list[bytes], bytes]:
    """What the winners wrote, and what is stored."""
    from concurrent.futures import ThreadPoolExecutor

    path = _name()
    start = Barrier(PROBE_THREADS)

    def compete(index: int) -> bytes | None:
        data = f"writer {index}".encode()
        start.wait()
        try:
            store.create(path, data)
        except AlreadyExists:
            return None
        return data

    try:
        with ThreadPoolExecutor(PROBE_THREADS) as pool:
            outcomes = list(pool.map(compete, range(PROBE_THREADS)))
        return [data for data in outcomes if data is not None], store.get(path)
    finally:
        _remove(store, path)


def _name() -> str:
    return f"lakecore-probe-{uuid7()}"


def _remove(store: Store, path: str) -> None:
    with suppress(LakecoreError):
        store.delete(path)
