"""How text is cut into words: tantivy's analyzers, and the languages that can be stemmed."""

from __future__ import annotations

from typing import Any, Final

from lakecore.base import InvalidInput, Stop
from lakecore.fulltext._fold import fold

MAX_WORD_BYTES: Final = 255
"""A longer word is no word: base64, a line without spaces. It is not indexed, nor asked for."""

LANGUAGES: Final = (
    "arabic",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "tamil",
    "turkish",
)
"""Of which words can be brought to their stem."""

EXACT: Final = "lakecore_exact"
STEMMED: Final = "lakecore_stemmed"


def load_tantivy() -> Any:
    """The engine.

    Raises:
        Stop: it is not installed.
    """
    try:
        import tantivy
    except ImportError as error:
        raise Stop(
            "full-text search needs a package that is not installed",
            found=f"no {error.name}",
            hint="pip install 'lakecore[search]'",
        ) from error
    return tantivy


def check_language(language: str | None) -> None:
    """Raises:
    InvalidInput: no language of `LANGUAGES`.
    """
    if language is not None and language not in LANGUAGES:
        raise InvalidInput(
            "no language whose words can be stemmed",
            expected="None, or one of " + ", ".join(LANGUAGES),
            found=repr(language)[:80],
        )


class Analysis:
    """The two ways of cutting: words as they are written, and their stems.

    Attributes:
        language: None where words are not stemmed; then both ways are one.
    """

    def __init__(self, language: str | None) -> None:
        self.language = language
        self._exact = _analyzer(None)
        self._stemmed = self._exact if language is None else _analyzer(language)

    def register(self, index: Any) -> None:
        """Make both known to an index, under the names that its schema has."""
        index.register_tokenizer(EXACT, self._exact)
        index.register_tokenizer(STEMMED, self._stemmed)

    def words(self, text: str, *, stemmed: bool) -> list[str]:
        """The words of `text`, folded."""
        analyzer = self._stemmed if stemmed else self._exact
        return list(analyzer.analyze(fold(text)))

    def tokens(self, folded: str, *, stemmed: bool) -> list[tuple[str, int, int, int]]:
        """Word, position, start and end in `folded`, which is folded already."""
        analyzer = self._stemmed if stemmed else self._exact
        return [
            (token.text, token.position, token.char_offset_from, token.char_offset_to)
            for token in analyzer.pre_tokenize(folded).tokens
        ]


def _analyzer(language: str | None) -> Any:
    engine = load_tantivy()
    builder = (
        engine.TextAnalyzerBuilder(engine.Tokenizer.simple())
        .filter(engine.Filter.remove_long(MAX_WORD_BYTES))
        .filter(engine.Filter.lowercase())
    )
    if language is not None:
        builder = builder.filter(engine.Filter.stemmer(language))
    return builder.build()
