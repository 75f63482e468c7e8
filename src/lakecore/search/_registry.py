"""The indexes of a lake as documents: every change a version, journaled like all of them."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from typing import Any, Final

from lakecore.base import (
    AlreadyExists,
    Conflict,
    CorruptData,
    NotFound,
    Refused,
    UnsupportedFormat,
)
from lakecore.documents import Document, Documents
from lakecore.journal import Author
from lakecore.search._index import KIND, Generation, Index, check_index_name, read_index

MAX_INDEXES: Final = 1_000
_log = logging.getLogger(__name__)


class Registry:
    """Threads may share it; processes need not know each other."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def list_indexes(self) -> list[Index]:
        """All of them, by name; one whose document is damaged is left out, and said."""
        found = []
        for document in self._documents.list_documents(KIND):
            if document.body is None:
                continue
            try:
                found.append(read_index(document))
            except (CorruptData, UnsupportedFormat) as error:
                _log.warning("an index is not readable: %s", error)
        return found

    def get(self, name: str) -> Index:
        """One of them. Raises `NotFound` with the nearest names."""
        document = self._documents.get(KIND, check_index_name(name))
        if document is None or document.body is None:
            names = [index.name for index in self.list_indexes()]
            near = difflib.get_close_matches(name, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see `lakecore index list`"
            raise NotFound("there is no index of that name", where=name, hint=hint)
        return read_index(document)

    def add(self, index: Index, author: Author) -> Index:
        """Enter a new one. `AlreadyExists` when one has the name."""
        if len(self.list_indexes()) >= MAX_INDEXES:
            raise Refused("there are too many indexes", expected=f"at most {MAX_INDEXES:,}")

        def enter(now: Document | None) -> dict[str, Any]:
            if now is not None:
                raise AlreadyExists("there is an index of that name", where=index.name)
            return index.to_body()

        return self._change(index.name, enter, author, "create")

    def swap(self, made: Index, base: Generation | None, author: Author, action: str) -> Index:
        """Serve another generation from now on.

        Args:
            base: what it was made from, whose files it may name again; None: of rows alone.

        Raises:
            Conflict: the index was dropped or made again, or another build came first; nothing
                was changed.
        """

        def next_body(now: Document | None) -> dict[str, Any]:
            index = self._same(now, made)
            there = index.generation
            new = made.generation
            assert new is not None  # noqa: S101 - it was just made
            if there is not None and there.id != new.id:
                is_base = base is not None and there.id == base.id
                if base is not None and not is_base:
                    raise Conflict("another build of the index came first", where=made.name)
                if there.version > new.version:
                    raise Conflict("a newer version is indexed already", where=made.name)
            return {**(now.body or {} if now else {}), **made.to_body()}

        return self._change(made.name, next_body, author, action)

    def failed(self, index: Index, error: str, author: Author) -> Index:
        """A build failed; what is served stays."""

        def next_body(now: Document | None) -> dict[str, Any]:
            present = self._same(now, index)
            return {**(now.body or {} if now else {}), **present.with_failure(error).to_body()}

        return self._change(index.name, next_body, author, "fail")

    def drop(self, name: str, author: Author) -> Index:
        """End one; its document keeps that it was there."""
        index = self.get(name)
        self._documents.change(KIND, name, lambda now: None, author=author, action="drop")
        return index

    def _same(self, now: Document | None, made: Index) -> Index:
        index = read_index(now) if now is not None else None
        if index is None or index.id != made.id:
            raise Conflict("the index was dropped meanwhile", where=made.name)
        return index

    def _change(
        self,
        name: str,
        change: Callable[[Document | None], dict[str, Any]],
        author: Author,
        action: str,
    ) -> Index:
        return read_index(self._documents.change(KIND, name, change, author=author, action=action))
