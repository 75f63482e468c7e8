"""Rows of a lake's `system.*` datasets, in memory: each id once, in the order of their coming."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class MemoryRecords:
    """As the recorder of a lake has it, without one."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        assert len(rows) == len(ids) == len(set(ids))
        with self._lock:
            have = self.rows.setdefault(kind, {})
            for id_, row in zip(ids, rows, strict=True):
                have.setdefault(id_, dict(row))

    def read(self, kind: str, repository: str) -> Iterable[Mapping[str, Any]]:
        with self._lock:
            return [r for r in self.rows.get(kind, {}).values() if r["repository"] == repository]
