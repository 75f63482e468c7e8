"""Room at each rung, for the tasks of one event loop: first come, first served.

The ledger counts for all processes; waiting in line here spares it the asking.
"""

from __future__ import annotations

import asyncio
import weakref

from lakecore.llm._rung import Rung


class Rooms:
    """Semaphores by loop and rung."""

    def __init__(self) -> None:
        self._rooms: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]
        ] = weakref.WeakKeyDictionary()

    def room(self, rung: Rung) -> asyncio.Semaphore:
        """As many at a time as the rung takes."""
        rooms = self._rooms.setdefault(asyncio.get_running_loop(), {})
        if rung.name not in rooms:
            rooms[rung.name] = asyncio.Semaphore(rung.max_concurrent)
        return rooms[rung.name]
