"""`TextIndex`: one index in one folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.fulltext._analysis import Analysis, check_language
from lakecore.fulltext._columns import check_fields
from lakecore.fulltext._compile import Compiler
from lakecore.fulltext._engine import Engine
from lakecore.fulltext._folder import About, create_folder, read_about
from lakecore.fulltext._highlight import Span, spans_of
from lakecore.fulltext._parse import Group, parse, parse_plain
from lakecore.fulltext._rows import check_deletes, check_upserts, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LIMIT: Final = 10_000
MAX_KEYS: Final = 1_000_000
MAX_SPANS: Final = 1_000
MAX_HIGHLIGHT_CHARACTERS: Final = 1 * MIB
HEAP_BYTES: Final = 128 * MIB


@dataclass(frozen=True, slots=True)
class TextHit:
    """A row that was found.

    Attributes:
        score: BM25, summed over words and fields; more is better, and comparable within one
            answer alone.
    """

    key: str
    score: float


class TextIndex:
    """A full-text index in a local folder."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder: Final = folder
        self._about = about
        self._analysis = Analysis(about.language)
        self._engine = Engine(folder, about, self._analysis)

    @classmethod
    def create(
        cls, folder: str | Path, fields: Sequence[str], *, language: str | None = None
    ) -> TextIndex:
        """A new, empty index."""
        check_language(language)
        about = About(check_fields(fields), language)
        path = create_folder(Path(folder), about)
        return cls(path, about)

    @classmethod
    def open(cls, folder: str | Path) -> TextIndex:
        """The index in `folder`."""
        path = Path(folder)
        return cls(path, read_about(path))

    @property
    def fields(self) -> tuple[str, ...]:
        """What is indexed of each row."""
        return self._about.fields

    @property
    def language(self) -> str | None:
        """Whose words are stemmed; None: none's."""
        return self._about.language

    @property
    def count(self) -> int:
        """Rows in the index."""
        return self._engine.searcher().num_docs

    def update(
        self,
        upserts: pa.Table | None = None,
        deletes: Sequence[str] = (),
        *,
        heap_bytes: int = HEAP_BYTES,
    ) -> None:
        """Put rows in the place of those with their keys, and take others out: durable, whole."""
        gone = check_deletes(deletes)
        table = None if upserts is None else check_upserts(upserts, self.fields)
        self._engine.write(rows_of(table, self.fields), gone, heap_bytes=heap_bytes)

    def search(
        self,
        text: str,
        limit: int = 10,
        fields: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        *,
        plain: bool = False,
    ) -> list[TextHit]:
        """The rows that fit `text` best, the best first."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput("not a number of hits", expected=f"1 to {MAX_LIMIT}", found=limit)
        chosen = self._about.columns.check(fields)
        if keys is not None and len(keys) > MAX_KEYS:
            raise InvalidInput("too many keys", expected=f"at most {MAX_KEYS}", found=len(keys))
        tree = self._tree(text, plain=plain)
        searcher = self._engine.searcher()
        compiler = Compiler(self._analysis, self._about.columns, self._engine.schema, searcher)
        query = compiler.compile(tree, chosen)
        if keys is not None:
            query = compiler.restrict(query, keys)
        return sorted(self._hits(searcher, query, limit), key=lambda hit: (-hit.score, hit.key))

    def highlight(
        self,
        text: str,
        value: str,
        field: str | None = None,
        *,
        plain: bool = False,
        limit: int = 100,
    ) -> list[Span]:
        """Where in `value` the words of `text` are: for the caller to mark, and to escape."""
        chosen = self._about.columns.check(None if field is None else [field])
        if not 1 <= limit <= MAX_SPANS:
            raise InvalidInput("not a number of spans", expected=f"1 to {MAX_SPANS}", found=limit)
        tree = self._tree(text, plain=plain)
        return spans_of(tree, value[:MAX_HIGHLIGHT_CHARACTERS], self._analysis, chosen, limit)

    def close(self) -> None:
        """Let go of the folder's files."""
        self._engine.close()

    def _tree(self, text: str, *, plain: bool) -> Group:
        return parse_plain(text) if plain else parse(text, self.fields)

    def _hits(self, searcher: object, query: object, limit: int) -> Iterator[TextHit]:
        for key, score in self._engine.find(searcher, query, limit):
            yield TextHit(key, score)
