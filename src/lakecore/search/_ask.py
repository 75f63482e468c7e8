"""One search of an open index: checked, filtered, fused, cut to a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.search._fuse import fuse
from lakecore.search._index import Index
from lakecore.search._opened import Filter, Opened
from lakecore.search._ports import KEY, Embedder
from lakecore.search._vectors import Floats, check_made, check_query

MAX_LIMIT: Final = 1_000
MAX_DEPTH: Final = 10_000
"""The last row that a page may have."""

MAX_TEXT_CHARACTERS: Final = 4_096
MAX_WHERE_CHARACTERS: Final = 16_384
FUSED_DEPTH: Final = 100
"""So deep both rankings are looked at, on every page: another depth is another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is searched for.

    Attributes:
        text: words to match, or to make a vector of.
        vector: in place of the vector of the text.
        limit, offset: the page.
        where: a condition in SQL over the columns of the dataset.
        highlight: whether excerpts are made: lines with marks, or their ``parts``.
    """

    text: str | None = None
    vector: Any = None
    limit: int = 10
    offset: int = 0
    where: str | None = None
    highlight: bool | Literal["parts"] = True

    def check(self, index: Index) -> None:
        """Raises `InvalidInput` for what no index of this kind can answer."""
        if self.text is not None and not isinstance(self.text, str):
            raise InvalidInput("a text to search for is text", found=type(self.text).__name__)
        if self.text is not None and not self.text.strip():
            raise InvalidInput("there is nothing to search for", found="an empty text")
        if self.text is not None and len(self.text) > MAX_TEXT_CHARACTERS:
            raise InvalidInput(
                "a text to search for is too long",
                expected=f"at most {MAX_TEXT_CHARACTERS:,} characters",
                found=f"{len(self.text):,}",
            )
        if self.where is not None and not 0 < len(self.where.strip()) <= MAX_WHERE_CHARACTERS:
            raise InvalidInput(
                "not a condition", expected=f"1 to {MAX_WHERE_CHARACTERS:,} characters of SQL"
            )
        for name, value, least, most in (
            ("limit", self.limit, 1, MAX_LIMIT),
            ("offset", self.offset, 0, MAX_DEPTH - 1),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise InvalidInput(
                    "a page is out of bounds",
                    expected=f"{least} to {most:,}",
                    found=repr(value)[:100],
                    where=name,
                )
        if self.offset + self.limit > MAX_DEPTH:
            raise InvalidInput(
                "a page lies too deep",
                expected=f"offset + limit at most {MAX_DEPTH:,}",
                found=self.offset + self.limit,
                hint="narrow the search by `where`",
            )
        if self.vector is not None and not index.has_vectors:
            raise InvalidInput("this index has no vectors", where=index.name, found="a vector")
        if self.text is None and (self.vector is None or index.has_text):
            raise InvalidInput("a text to search for is missing", where=index.name)
        if self.vector is None and index.has_vectors and index.model is None:
            raise InvalidInput(
                "the vectors of this index are the dataset's own: no model makes one of a text",
                where=index.name,
                expected=f"a vector of dimension {index.dimension}",
            )


def query_vector(question: Question, index: Index, embedder: Embedder | None) -> Floats | None:
    """The vector that is searched for; None where the index has none."""
    if not index.has_vectors or index.dimension is None:
        return None
    vector = question.vector
    if vector is None and embedder is not None:
        made = embedder.embed([question.text or ""])
        vector = check_made(made, 1, index.dimension, embedder.name)[0]
    return check_query(vector, index.dimension, index.metric)


def ask(
    opened: Opened, question: Question, query: Floats | None, keys: pa.Array | None
) -> tuple[pa.Table, int | None]:
    """The page of rows, and where the next one begins.

    Args:
        keys: of the rows that may be found; None: all.
    """
    allowed = None if keys is None else opened.filter_of(keys)
    end = question.offset + question.limit
    hits = _hits(opened, question, query, allowed, end + 1)
    page = hits[question.offset : end]
    rows = opened.take([key for key, _ in page])
    scores = dict(page)
    shown = _shown(opened, question, rows, scores)
    return shown, end if len(hits) > end and end < MAX_DEPTH else None


def _hits(
    opened: Opened, question: Question, query: Floats | None, allowed: Filter | None, count: int
) -> list[tuple[str, float]]:
    kind = opened.index.kind
    if kind == "vector":
        return [] if query is None else opened.nearest(query, count, allowed)
    assert question.text is not None  # noqa: S101 - checked
    if kind == "text":
        return opened.matching(question.text, count, allowed)
    rankings = [[key for key, _ in opened.matching(question.text, FUSED_DEPTH, allowed)]]
    if query is not None:
        rankings.append([key for key, _ in opened.nearest(query, FUSED_DEPTH, allowed)])
    return fuse(rankings)[:count]


def _shown(
    opened: Opened, question: Question, rows: pa.Table, scores: dict[str, float]
) -> pa.Table:
    found = rows.column(KEY).to_pylist()
    first = question.offset + 1
    columns: dict[str, Any] = {
        "_rank": pa.array(range(first, first + len(found)), pa.int64()),
        "_score": pa.array([scores[key] for key in found], pa.float64()),
    }
    columns |= {name: rows.column(name) for name in rows.column_names}
    columns["_highlight"] = _highlights(opened, question, rows)
    return pa.table(columns)


def _highlights(opened: Opened, question: Question, rows: pa.Table) -> pa.Array:
    """An excerpt for each row, null where nothing of the text is in it."""
    index, words = opened.index, question.text
    is_parts = question.highlight == "parts"
    piece = pa.struct([("text", pa.string()), ("is_found", pa.bool_())])
    kind = pa.list_(piece) if is_parts else pa.string()
    if not question.highlight or not index.has_text or words is None:
        return pa.nulls(rows.num_rows, kind)
    texts = [rows.column(name).cast(pa.string()).to_pylist() for name in index.columns]
    values = [[column[at] for column in texts] for at in range(rows.num_rows)]
    if is_parts:
        return pa.array([opened.highlight_parts(words, row) or None for row in values], kind)
    return pa.array([opened.highlight(words, row) or None for row in values], kind)
