"""Serves a lake for a benchmark: ``python -m benchmarks.gateway_server FOLDER [--dry]``.

Prints the URL when it answers; ends with its standard input. With ``--dry`` the same application
answers without writing: events are checked, get their ids, and are forgotten.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import lakecore
from lakecore.app import open_gateway
from lakecore.base import uuid7


class Forgetful:
    """A journal that keeps nothing."""

    async def record_many_async(self, events: Iterable[Any]) -> list[str]:
        return [uuid7() for _ in events]


def main() -> None:
    """Serve until standard input ends."""
    with lakecore.open(sys.argv[1], actor="bench") as lake:
        gateway = open_gateway(lake, port=0)
        if "--dry" in sys.argv:
            forgetful = SimpleNamespace(journal=Forgetful())
            gateway.app.state.rooms.acting_as = lambda principal: forgetful

        def wait() -> None:
            sys.stdin.read()
            gateway.stop()

        threading.Thread(target=wait, daemon=True).start()
        gateway.run(lambda: print(gateway.url, flush=True))


if __name__ == "__main__":
    main()
