"""The keys as this process knows them: never older than a bound.

The key documents are looked at together, one listing for all, at most every `REFRESH_S`
seconds and only when somebody comes. So an unknown id costs no look-up of its own: it takes
as long as a wrong secret, and guessing ids does not load the store.

What was known before a look-up that fails is trusted until it is `BOUND_S` old, counted from
when its look-up *began*; then nobody gets in until the store answers. Hence a revocation
holds in every process `BOUND_S` after its document was committed, or sooner.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from lakecore.auth._key import KIND, Key, read_key
from lakecore.base import CorruptData, Retry, Unavailable, UnsupportedFormat
from lakecore.documents import Document, Documents

REFRESH_S: Final = 2.0
BOUND_S: Final = 4.0
_PAUSE_S: Final = 0.25
"""Between look-ups while the store does not answer."""

_log = logging.getLogger(__name__)


class KnownKeys:
    """A view of all key documents. Threads may share it."""

    def __init__(self, documents: Documents, monotonic_s: Callable[[], float]) -> None:
        self._documents = documents
        self._monotonic_s = monotonic_s
        self._keys: Mapping[str, Key] = {}
        self._versions: dict[str, int] = {}
        self._as_of_s = float("-inf")
        self._next_s = float("-inf")
        self._turn = threading.Lock()
        self._lock = threading.Lock()

    def keys(self) -> Mapping[str, Key]:
        """All keys by id, live or not, as of at most `BOUND_S` ago.

        Raises:
            Unavailable: the store does not answer, and what is known is too old.
        """
        now_s = self._monotonic_s()
        if now_s < self._next_s:
            return self._keys
        if now_s - self._as_of_s < BOUND_S:
            # One looks, the others go on with what is known.
            if self._turn.acquire(blocking=False):
                try:
                    self._look()
                except Retry:
                    self._next_s = min(self._monotonic_s() + _PAUSE_S, self._as_of_s + BOUND_S)
                finally:
                    self._turn.release()
            if self._monotonic_s() - self._as_of_s < BOUND_S:
                return self._keys
        if not self._turn.acquire(timeout=BOUND_S):
            raise Unavailable("the API keys cannot be looked up", hint="the store does not answer")
        try:
            if self._monotonic_s() - self._as_of_s >= BOUND_S:
                self._look()
        finally:
            self._turn.release()
        return self._keys

    def fresh(self) -> Mapping[str, Key] | None:
        """What `keys` would return, where it would not look: never waits; else None."""
        return self._keys if self._monotonic_s() < self._next_s else None

    def look(self) -> Mapping[str, Key]:
        """All keys as they are now."""
        with self._turn:
            self._look()
        return self._keys

    def enter(self, key: Key) -> None:
        """A key as this process has just committed it."""
        self._enter({key.id: (key.version, key)})

    def _look(self) -> None:
        began_s = self._monotonic_s()
        listed = self._documents.newest_versions(KIND)
        self._enter(
            {
                name: (version, self._read(name, version))
                for name, version in listed.items()
                if version > self._versions.get(name, -1)
            }
        )
        self._as_of_s = began_s
        self._next_s = began_s + REFRESH_S

    def _enter(self, found: Mapping[str, tuple[int, Key | None]]) -> None:
        if not found:
            return
        with self._lock:
            keys = dict(self._keys)
            for name, (version, key) in found.items():
                if version <= self._versions.get(name, -1):
                    continue
                self._versions[name] = version
                if key is None:
                    keys.pop(name, None)
                else:
                    keys[name] = key
            self._keys = keys

    def _read(self, name: str, version: int) -> Key | None:
        """None where the key was removed or is not readable: then it opens nothing."""
        try:
            document: Document | None = self._documents.get(KIND, name, version=version)
            return read_key(document) if document is not None and document.body else None
        except (CorruptData, UnsupportedFormat) as error:
            # One damaged document must not lock the others out.
            _log.warning("an API key is not readable and opens nothing: %s", error)
            return None
