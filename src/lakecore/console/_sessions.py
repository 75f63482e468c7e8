"""One-time links and sessions: who they are, how long they last, how many there are. No I/O.

Only hashes are kept, so that what is in memory opens nothing; and they are what is compared,
so that the time of a comparison tells nothing. Sessions end with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lakecore.auth import Principal

SECRET_BYTES: Final = 32
MAX_TEXT_CHARACTERS: Final = 256
MOST_S: Final = 30 * 86_400.0
"""A session ends after it, however busy it is."""


@dataclass(slots=True)
class _Session:
    principal: Principal
    began_s: float
    used_s: float


class Sessions:
    """For one process. Threads may share it. Times are seconds of one clock, which never goes back.

    Args:
        idle_s: a session ends after so long without a request.
        link_s: a one-time link ends after so long.
        most: of sessions; the least recently used one ends for one more.
    """

    def __init__(self, *, idle_s: float, link_s: float, most: int) -> None:
        self._idle_s = idle_s
        self._link_s = link_s
        self._most = most
        self._link: tuple[bytes, float] | None = None
        self._open: OrderedDict[bytes, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def link(self, now_s: float) -> str:
        """The secret of a new one-time link; the one before it opens nothing any more."""
        text = secrets.token_urlsafe(SECRET_BYTES)
        with self._lock:
            self._link = (_digest(text), now_s + self._link_s)
        return text

    def redeem(self, text: str, now_s: float) -> bool:
        """Whether this is the secret of the link; it is used up by that."""
        given = _digest(text)
        with self._lock:
            if self._link is None:
                return False
            wanted, ends_s = self._link
            if not hmac.compare_digest(given, wanted):
                return False
            self._link = None
            return now_s < ends_s

    def begin(self, principal: Principal, now_s: float) -> str:
        """A new session; the text of its cookie."""
        text = secrets.token_urlsafe(SECRET_BYTES)
        with self._lock:
            while len(self._open) >= self._most:
                self._open.popitem(last=False)
            self._open[_digest(text)] = _Session(principal, now_s, now_s)
        return text

    def find(self, text: str, now_s: float) -> Principal | None:
        """Who logged in with this cookie; None: nobody, or they have to again."""
        key = _digest(text)
        with self._lock:
            found = self._open.get(key)
            if found is None:
                return None
            if now_s - found.used_s >= self._idle_s or now_s - found.began_s >= MOST_S:
                del self._open[key]
                return None
            found.used_s = now_s
            self._open.move_to_end(key)
            return found.principal

    def end(self, text: str) -> None:
        """Log out."""
        with self._lock:
            self._open.pop(_digest(text), None)

    def __len__(self) -> int:
        return len(self._open)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text[:MAX_TEXT_CHARACTERS].encode("utf-8", "replace")).digest()
