"""A table's log replayed entry by entry: its files and metadata at a version (pure).

It takes nothing from checkpoints, so that it can tell when one of them says something else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lakecore.reconcile._entry import Entry, FileAction


@dataclass(slots=True)
class Replay:
    """The table after `version`: -1 is before its first entry."""

    version: int = -1
    metadata: Mapping[str, Any] | None = None
    protocol: Mapping[str, Any] | None = None
    files: dict[str, FileAction] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Go on by one version."""
        self.version += 1
        for removed in entry.removes:
            self.files.pop(removed.key, None)
        for added in entry.adds:
            self.files[added.key] = added
        if entry.metadata is not None:
            self.metadata = entry.metadata
        if entry.protocol is not None:
            self.protocol = entry.protocol

    @property
    def table_id(self) -> str:
        """The table's id, '' before it has one."""
        return str((self.metadata or {}).get("id") or "")

    def with_partition(self, removed: FileAction) -> FileAction:
        """A removed file with the partition values that its add gave, where it has none."""
        added = self.files.get(removed.key)
        if removed.partition is not None or added is None:
            return removed
        return replace(removed, partition=added.partition)

    def copy(self) -> Replay:
        """Another one, that goes on by itself."""
        return Replay(self.version, self.metadata, self.protocol, dict(self.files))

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": self.version,
                "metadata": self.metadata,
                "protocol": self.protocol,
                "files": [_compact(action) for action in self.files.values()],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Replay:
        content = json.loads(text)
        files = (FileAction(**item) for item in content["files"])
        return cls(
            content["version"],
            content["metadata"],
            content["protocol"],
            {action.key: action for action in files},
        )

    def __iter__(self) -> Iterator[FileAction]:
        return iter(self.files.values())


def _compact(action: FileAction) -> dict[str, Any]:
    return {name: value for name, value in asdict(action).items() if value is not None}
