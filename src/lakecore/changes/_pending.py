"""Changes that wait for an approval: the document of each, and what may become of it.

    waiting --> approved --> committed
       |  ^         |
       |  +---------+   shown again: the change, the rules or what they look at differ
       +--> rejected, lapsed

``approved`` is a claim, made before the change is tried: from then on until it is tried out
only an approval goes on with it. Whether it was committed is told by the table alone: a
process that died behind the commit leaves a claim, and who looks next finds the commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    CorruptData,
    NotFound,
    UnsupportedFormat,
    uuid8,
)
from lakecore.documents import Document, Documents
from lakecore.journal import Author

KIND: Final = "pending"
FORMAT: Final = 1
WAITING: Final = "waiting"
APPROVED: Final = "approved"
COMMITTED: Final = "committed"
REJECTED: Final = "rejected"
LAPSED: Final = "lapsed"
OPEN: Final = (WAITING, APPROVED)

_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Pending:
    """One change that waits, or waited. `body` is its document's."""

    id: str
    body: Mapping[str, Any]

    @property
    def state(self) -> str:
        """waiting, approved (being carried out), committed, rejected, lapsed."""
        return str(self.body["state"])

    @property
    def mutation_id(self) -> str:
        return str(self.body["mutation_id"])

    @property
    def op(self) -> str:
        return str(self.body["op"])

    @property
    def dataset(self) -> str:
        """Its name when the change was asked for."""
        return str(self.body["dataset"])

    @property
    def author(self) -> Author:
        """Who asked for it; it stays theirs."""
        return Author(**self.body["author"])

    @property
    def decision(self) -> Mapping[str, Any]:
        """Why it waits: see `Decided`."""
        found: Mapping[str, Any] = self.body["decision"]
        return found

    @property
    def expires_us(self) -> int:
        """From then on it cannot be approved."""
        return int(self.body["expires_us"])

    def is_over(self, now_us: int) -> bool:
        """Whether it waited too long."""
        return self.state == WAITING and now_us >= self.expires_us

    def to_dict(self) -> dict[str, Any]:
        """The document's body with the id, JSON."""
        return {"id": self.id, **self.body}


class Pendings:
    """The documents of pending changes. Threads and processes may share them."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def create(self, name: str, body: Mapping[str, Any], *, author: Author) -> Pending:
        """Keep a change. From here on it waits.

        Raises:
            AlreadyExists: a change of that id was kept before, and is another one or decided.
        """

        def enter(now: Document | None) -> dict[str, Any]:
            if now is None or now.body is None:
                return dict(body)
            same = now.body.get("state") == WAITING and now.body.get("digest") == body["digest"]
            if same:
                return now.body
            raise AlreadyExists(
                "a change of that id was kept before",
                where=name,
                found=now.body.get("state"),
                hint="give the change another id, or none",
            )

        document = self._documents.change(KIND, name, enter, author=author, action="hold")
        return _pending(document)

    def get(self, name: str) -> Pending:
        """One change by its id. Raises `NotFound`."""
        key = document_name(name)
        document = self._documents.get(KIND, key)
        if document is None or document.body is None:
            raise NotFound("no such pending change", where=name, hint="see `lakecore pending`")
        return _pending(document)

    def list_pending(self) -> list[Pending]:
        """All there are, decided ones too, the oldest first."""
        found = [
            _pending(document)
            for document in self._documents.list_documents(KIND)
            if document.body is not None
        ]
        return sorted(found, key=lambda pending: (pending.body["created_us"], pending.id))

    def change(
        self,
        name: str,
        step: Callable[[Pending], Mapping[str, Any]],
        *,
        author: Author,
        action: str,
    ) -> Pending:
        """Change members of the document; `step` says which, and raises where it may not be."""
        key = document_name(name)

        def changed(now: Document | None) -> dict[str, Any]:
            if now is None or now.body is None:
                raise NotFound("no such pending change", where=name)
            return {**now.body, **step(_pending(now))}

        return _pending(self._documents.change(KIND, key, changed, author=author, action=action))


def document_name(mutation_id: str) -> str:
    """The id of a pending change: the mutation's, where that can stand in a path."""
    return mutation_id if _NAME.fullmatch(mutation_id) else uuid8("pending", mutation_id)


def still(pending: Pending, *states: str) -> None:
    """Raises `Conflict` unless it is in one of these states."""
    if pending.state not in states:
        who = pending.body.get("decided_by") or (pending.body.get("claim") or {}).get("by")
        raise Conflict(
            f"the change is {pending.state} already",
            where=pending.id,
            expected=" or ".join(states),
            found=f"{pending.state} by {who}" if who else pending.state,
            hint=f"see `lakecore pending {pending.id}`",
        )


def _pending(document: Document) -> Pending:
    body = document.body or {}
    if body.get("format") != FORMAT:
        raise UnsupportedFormat(
            "a pending change is of a format that is not known",
            expected=FORMAT,
            found=body.get("format"),
            where=document.path,
            hint="use the Lakecore that wrote it, or a newer one",
        )
    missing = [name for name in _MEMBERS if name not in body]
    if missing:
        raise CorruptData(
            "a pending change lacks a part", where=document.path, found=", ".join(missing)
        )
    return Pending(document.name, body)


_MEMBERS: Final = (
    *("state", "mutation_id", "op", "call", "dataset", "dataset_id", "location", "arguments"),
    *("rows", "author", "base_version", "digest", "counts", "diff", "decision", "rule_set"),
    *("shown", "created_us", "expires_us"),
)
