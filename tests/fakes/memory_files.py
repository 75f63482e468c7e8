"""Files of a revision in memory, as the loop has them of git: renames are told, not found out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lakecore.code import Source, SourceKind, language_of
from lakecore.review import FileRef


@dataclass
class MemoryFiles:
    """What is there now; `commit` makes it a revision."""

    texts: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    revision: str = ""
    _blobs: dict[str, str] = field(default_factory=dict)

    def commit(self) -> None:
        """Everything as it is now is a revision."""
        told = "\n".join(f"{path} {_blob(text)}" for path, text in sorted(self.texts.items()))
        self.revision = _blob(told)
        self._blobs |= {_blob(text): text for text in self.texts.values()}

    def rename(self, old: str, new: str) -> None:
        """A file has another path from the next revision on."""
        self.texts[new] = self.texts.pop(old)
        self.renamed[new] = old

    def listed(self) -> Sequence[FileRef]:
        return [FileRef(path, _blob(text)) for path, text in sorted(self.texts.items())]

    def source(self, file: FileRef) -> Source:
        text = self.texts[file.path]
        return Source(file.path, SourceKind.TEXT, language_of(file.path), text)

    def earlier(self, blob: str, path: str) -> str | None:
        return self._blobs.get(blob)

    def renames(self, since: str) -> Mapping[str, str]:
        return dict(self.renamed) if since != self.revision else {}

    def has(self, path: str) -> bool:
        return path in self.texts


def _blob(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
