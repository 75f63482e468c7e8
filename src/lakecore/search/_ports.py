"""What search needs of others: a model, full text, the rows of datasets. `app` joins them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

KEY: Final = "_key"
"""The column that has a row's key as one text: the journal's `entity_id`."""


class Embedder(Protocol):
    """Texts to vectors. Threads may share it; the same text always gives the same vector."""

    @property
    def name(self) -> str:
        """The model, with a hash of its content: other bytes, another name."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of unit length for each text."""
        ...


class Embedders(Protocol):
    """The models that this machine has."""

    def get(self, name: str | None) -> Embedder:
        """The one of this name, or the one of the settings; `NotFound` when it is not here."""
        ...

    def close(self) -> None:
        """Let go of them."""
        ...


class TextHit(Protocol):
    """A row that matches; `score` is BM25, more is better."""

    @property
    def key(self) -> str: ...
    @property
    def score(self) -> float: ...


class Span(Protocol):
    """A part of a text, from `start` up to `end`."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class TextIndex(Protocol):
    """Full text in a folder. One writes at a time; many may read."""

    def update(self, upserts: pa.Table | None = None, deletes: Sequence[str] = ()) -> None:
        """Put rows in the place of those with the same `key`, remove others; durable at the end.

        Args:
            upserts: a column `key` and the fields, all text; a null is no text.
        """
        ...

    def search(
        self,
        text: str,
        limit: int = 10,
        fields: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        *,
        plain: bool = False,
    ) -> Sequence[TextHit]:
        """The rows that match best, the best first; with `keys` of those rows alone.

        Args:
            plain: every word is one, and nothing is an operator.

        Raises:
            InvalidInput: the text is no query; also a plain one without a word in it.
        """
        ...

    def highlight(
        self, text: str, value: str, field: str | None = None, *, plain: bool = False
    ) -> Sequence[Span]:
        """Where the words of a text are in a value, in order. Raises as `search`."""
        ...

    def close(self) -> None:
        """Let go of the folder."""
        ...


class TextIndexes(Protocol):
    """Makes and opens text indexes."""

    def create(self, folder: Path, fields: Sequence[str]) -> TextIndex:
        """A new one, in a folder that is there and empty."""
        ...

    def open(self, folder: Path) -> TextIndex:
        """One that is there. `CorruptData` when it cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A source at one version; `handle` is the source's own."""

    version: int
    schema: pa.Schema
    rows: int
    handle: Any = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What may be different from an earlier version.

    Attributes:
        rows: candidates, as `Source.scan` gives them; some may be what they were.
        gone: keys that are no more; None: all that are not among `rows`.
    """

    rows: Iterator[pa.Table]
    gone: pa.Array | None


class Source(Protocol):
    """The rows that an index is over: those of a dataset, or the events of the journal."""

    @property
    def name(self) -> str: ...
    @property
    def dataset_id(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        ...

    def snapshot(self) -> Snapshot | None:
        """The newest version; None while there is no row."""
        ...

    def scan(self, snapshot: Snapshot, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows, in tables of bounded size: `KEY`, the key's columns, and these."""
        ...

    def changed(self, since: int, snapshot: Snapshot, columns: Sequence[str]) -> Changed:
        """What may have changed behind a version."""
        ...

    def version(self) -> int:
        """The newest version; -1 while there is no row. Cheap."""
        ...

    def behind(self, since: int) -> int | None:
        """How many rows changed behind a version; None: more than are counted."""
        ...

    def keys_where(self, condition: str, version: int, asking: object | None) -> pa.Array:
        """The keys, as `KEY` has them, of the rows of a version where a condition in SQL holds.

        Args:
            asking: the tables that whoever asks may read; None: all.
        """
        ...


class Sources(Protocol):
    """Finds what an index is over."""

    def named(self, dataset: str) -> Source:
        """Raises `NotFound`; `InvalidInput` for a dataset without a key."""
        ...

    def of_id(self, dataset_id: str, called: str) -> Source:
        """Whatever it is called by now; it was `called` so. `NotFound` when it was dropped."""
        ...
