"""When each key was last used, as far as this machine saw it.

One empty file a key in the machine's state directory; its modification time is the answer.
It is touched at most once in `INTERVAL_S` for a key, so a request does not wait for a disk,
nothing is journaled for a use, and the processes of a machine need no lock.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

INTERVAL_S: Final = 60
FOLDER: Final = "keys-used"


class LastUsed:
    """Times of use by key. Threads may share it; without a folder it is forgotten at the end."""

    def __init__(self, state_dir: Path | None) -> None:
        self._folder = None if state_dir is None else state_dir / FOLDER
        self._touched: dict[str, int] = {}

    def is_due(self, key_id: str, now_us: int) -> bool:
        """Whether `touch` would go to the disk."""
        before = self._touched.get(key_id)
        # The clock may have jumped back.
        return before is None or abs(now_us - before) >= INTERVAL_S * 1_000_000

    def touch(self, key_id: str, now_us: int) -> None:
        """A live key was used. Never fails: a full disk must not lock anybody out."""
        if not self.is_due(key_id, now_us):
            return
        self._touched[key_id] = now_us
        if self._folder is None:
            return
        file = self._folder / key_id
        with suppress(OSError):
            if not file.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                file.touch(mode=0o600)
            os.utime(file, ns=(now_us * 1_000, now_us * 1_000))

    def times_us(self) -> dict[str, int]:
        """Microseconds since the epoch by key id; keys that were never used here are not in it."""
        found = dict(self._touched)
        if self._folder is not None:
            with suppress(OSError), os.scandir(self._folder) as entries:
                for entry in entries:
                    at_us = entry.stat().st_mtime_ns // 1_000
                    found[entry.name] = max(at_us, found.get(entry.name, at_us))
        return found
