"""What the loop needs of others: models that answer, files to review, a place for its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakecore.code import Source


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a model.

    Attributes:
        id: of the question: the same run asks it under the same id again.
        schema: of a structured answer; None: text.
        accept: why an answer cannot be used (``unparsable``, ``ungrounded``), or None: it is
            taken. What is not taken may be asked of the next rung.
        avoid_families: of models; an answer by another one is wanted.
    """

    id: str
    system: str
    user: str
    schema: Mapping[str, Any] | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    accept: Callable[[str], str | None] = lambda text: None
    avoid_families: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question.

    Attributes:
        outcome: ``ok``, or the word for what went wrong with the last attempt.
        text: the answer; of an outcome that is not ``ok`` the last one, if there was any.
        attempts: made, on all rungs.
        cost_microusd: of all of them, in millionths of a dollar.
    """

    outcome: str
    text: str = ""
    model: str = ""
    family: str = ""
    rung: str = ""
    attempts: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_microusd: int = 0


class Models(Protocol):
    """A ladder of models. Threads may share it; what goes wrong is an outcome, never raised."""

    def ask(self, call: Call) -> Reply:
        """Ask, on as many rungs as the ladder allows."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file under review; `blob` is the hash of its bytes, as git has it."""

    path: str
    blob: str


class Files(Protocol):
    """The files of one revision. Threads may share it."""

    @property
    def revision(self) -> str:
        """What is reviewed: a commit's hash."""

    def listed(self) -> Sequence[FileRef]:
        """The files to review, by path."""

    def source(self, file: FileRef) -> Source:
        """One of them; a `Source` says where it is no text."""

    def earlier(self, blob: str, path: str) -> str | None:
        """A text that was reviewed before; None where it is not to be had any more."""

    def renames(self, since: str) -> Mapping[str, str]:
        """New path to old path, from an earlier revision to this one."""

    def has(self, path: str) -> bool:
        """Whether the revision has the file, listed or not."""


class Records(Protocol):
    """Rows of the loop: durable when `append` returns, each id once."""

    def append(self, kind: str, rows: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> None:
        """Add rows of ``reviews`` or ``findings``; those whose id is there are left out."""

    def read(self, kind: str, repository: str) -> Iterable[Mapping[str, Any]]:
        """All rows of a repository, in the order in which they came."""
