"""`TextIndex`: one index in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput
from lakecore.base.limits import GIB, MIB
from lakecore.fulltext._analysis import Analysis, check_language
from lakecore.fulltext._check import check_files
from lakecore.fulltext._columns import check_fields
from lakecore.fulltext._compile import Compiler
from lakecore.fulltext._engine import Engine, create_engine
from lakecore.fulltext._folder import ENGINE, About, prepare_folder, read_about, write_about
from lakecore.fulltext._highlight import Span, spans_of
from lakecore.fulltext._parse import Group, parse, parse_plain
from lakecore.fulltext._rows import check_keys, check_upserts, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LIMIT: Final = 10_000
MAX_KEYS: Final = 1_000_000
MAX_SPANS: Final = 1_000
MAX_HIGHLIGHT_CHARACTERS: Final = 1 * MIB
HEAP_BYTES: Final = 128 * MIB
MIN_HEAP_BYTES: Final = 16 * MIB
MAX_HEAP_BYTES: Final = 2 * GIB


@dataclass(frozen=True, slots=True)
class TextHit:
    """A row that was found.

    Attributes:
        score: BM25, summed over words and fields: more is better, within one answer alone.
    """

    key: str
    score: float


class TextIndex:
    """A full-text index in a local folder.

    Any number of threads and processes may search it while one of them updates it: a search sees
    one commit, the newest when it begins. Updates wait for each other.
    """

    def __init__(self, folder: Path, about: About) -> None:
        self.folder: Final = folder
        self._about = about
        self._analysis = Analysis(about.language)
        self._engine = Engine(folder / ENGINE, about.columns, self._analysis)

    @classmethod
    def create(
        cls, folder: str | Path, fields: Sequence[str], *, language: str | None = None
    ) -> TextIndex:
        """A new, empty index.

        Args:
            folder: new or empty; made with its parents.
            fields: 1 to 32 columns that are searched; any names but ``key``.
            language: whose words are found in all their forms (one of `LANGUAGES`); None: words are
                found as they are written. It takes twice the room: phrases and prefixes are always
                of words as they are written.

        Raises:
            AlreadyExists: something is in the folder.
            InvalidInput: no fields that can be, no such language.
            Stop: the extra ``search`` is not installed.
        """
        check_language(language)
        about = About(check_fields(fields), language)
        path = Path(folder)
        create_engine(prepare_folder(path), about.columns)
        write_about(path, about)
        return cls(path, about)

    @classmethod
    def open(cls, folder: str | Path, *, check: bool = True) -> TextIndex:
        """The index in `folder`.

        Args:
            check: read every file and compare its checksum, about a second per GB.

        Raises:
            NotFound: there is none.
            CorruptData: it is damaged.
            UnsupportedFormat: another version wrote it.
            Stop: the extra ``search`` is not installed.
        """
        path = Path(folder)
        about = read_about(path)
        if check:
            check_files(path / ENGINE)
        return cls(path, about)

    @property
    def fields(self) -> tuple[str, ...]:
        """What is searched of each row."""
        return self._about.fields

    @property
    def language(self) -> str | None:
        """Whose words are found in all their forms; None: no language's."""
        return self._about.language

    @property
    def count(self) -> int:
        """Rows in the index."""
        return int(self._engine.searcher().num_docs)

    def update(
        self,
        upserts: pa.Table | None = None,
        deletes: Sequence[str] = (),
        *,
        heap_bytes: int = HEAP_BYTES,
    ) -> None:
        """Take rows out, then put others in the place of those with their keys.

        When it returns, all of it is durable; when it does not, none of it is there. A key that is
        deleted and upserted is there afterwards; of rows with one key the last one counts; a key to
        delete that is not there is passed over.

        Args:
            upserts: a column ``key`` of text and the index's fields, text or null; other columns
                are passed over.
            heap_bytes: memory that may be used before words are written to disk, 16 MiB to 2 GiB.

        Raises:
            InvalidInput: the table is not of that form, a key has more than 1 KiB, a text more than
                16 MiB.
            Unavailable: somebody else has been writing for half a minute.
            OutOfSpace, ReadOnly, CorruptData: as the disk says.
        """
        if not MIN_HEAP_BYTES <= heap_bytes <= MAX_HEAP_BYTES:
            raise InvalidInput(
                "not a memory for a text index",
                expected=f"{MIN_HEAP_BYTES:,} to {MAX_HEAP_BYTES:,} bytes",
                found=heap_bytes,
            )
        gone = check_keys(deletes)
        table = None if upserts is None else check_upserts(upserts, self.fields)
        if gone or (table is not None and table.num_rows):
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
        """The rows that fit `text` best, the best first; of the same score, by key.

        Args:
            text: in the query language of the package; up to 4,096 characters and 256 words.
            limit: rows at most, 1 to 10,000.
            fields: look in these alone, whatever the text names; None: in all.
            keys: among these rows alone, a million at most; None: among all.
            plain: there are no operators, every word is one: for text that nobody wrote as a query.

        Raises:
            InvalidInput: a text that is too long, is not of the language, or has no word in it; no
                such field.
            CorruptData: the index is damaged.
        """
        _check_number(limit, MAX_LIMIT, "hits")
        chosen = self._about.columns.check(fields)
        among = None if keys is None else check_keys(keys, most=MAX_KEYS)
        # What else is named before a colon is no field: nobody looks beyond `fields`.
        tree = _tree(text, chosen, plain=plain)
        searcher = self._engine.searcher()
        compiler = Compiler(self._analysis, self._about.columns, self._engine.schema, searcher)
        query = compiler.compile(tree, chosen)
        if among is not None:
            query = compiler.restrict(query, among)
        hits = [TextHit(key, score) for key, score in self._engine.find(searcher, query, limit)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.key))

    def highlight(
        self,
        text: str,
        value: str,
        field: str | None = None,
        *,
        plain: bool = False,
        limit: int = 100,
    ) -> list[Span]:
        """Where in `value` the words of `text` are: for the caller to mark, and to escape.

        Args:
            text: as for `search`.
            value: a field's text; what is beyond its first Mi characters is not looked at.
            field: which field it is; None: any.
            limit: spans at most, 1 to 1,000.

        Returns:
            Spans of characters of `value`, in order, none within another.

        Raises:
            InvalidInput: as `search`.
        """
        _check_number(limit, MAX_SPANS, "spans")
        chosen = self._about.columns.check(None if field is None else [field])
        tree = _tree(text, self.fields, plain=plain)
        return spans_of(tree, value[:MAX_HIGHLIGHT_CHARACTERS], self._analysis, chosen, limit)

    def close(self) -> None:
        """Let go of the files; nothing is asked of the index after that."""
        self._engine.close()


def _tree(text: str, fields: Sequence[str], *, plain: bool) -> Group:
    return parse_plain(text) if plain else parse(text, fields)


def _check_number(value: int, most: int, what: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidInput(f"not a number of {what}", expected=f"1 to {most:,}", found=value)
