"""Whether code that a file lost is now in another one: then it was moved, not mended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from lakecore.code import SourceKind
from lakecore.review._ports import FileRef, Files
from lakecore.review._tokens import tokens


class Elsewhere:
    """The files of a run, as text without spacing and comments; made when somebody asks."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._refs: list[FileRef] = []
        self._texts: dict[str, str] | None = None
        self._lock = threading.Lock()

    def watch(self, refs: Iterable[FileRef]) -> None:
        """Files that are new or changed: what was moved is in one of them."""
        self._refs = list(refs)

    def finder(self, path: str) -> Callable[[str], bool]:
        """Whether a quote is in one of the files but `path`."""

        def is_elsewhere(quote: str) -> bool:
            wanted = _flat(quote)
            if len(wanted) < 3:  # a bracket is everywhere
                return False
            return any(wanted in text for other, text in self._all().items() if other != path)

        return is_elsewhere

    def _all(self) -> dict[str, str]:
        with self._lock:
            if self._texts is None:
                self._texts = {}
                for ref in self._refs:
                    source = self._files.source(ref)
                    if source.kind is SourceKind.TEXT:
                        self._texts[ref.path] = _flat(source.text, source.language.value)
            return self._texts


def _flat(text: str, language: str = "") -> str:
    return "\0".join(token for _, token in tokens(text, language))
