"""Text as it is compared: without accents, case and width. No I/O.

The same folding is done to what is indexed and to what is asked, before both are cut into words.
ASCII needs none: the words' case is folded where they are cut.

1. Compatibility decomposition (NFKD): ligatures, full-width and styled letters become plain ones.
2. Marks above and below Latin, Greek and Cyrillic letters go; those of other scripts, where they
   are vowels, stay.
3. Case folding, which is more than lower case: ``ß`` is ``ss``.
4. Composition (NFC), so that a Hangul syllable is one letter again.
5. In scripts that put no spaces between words every letter is a word of its own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MARKS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")

_UNSPACED: Final = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\U00020000-\U0003ffff"
    "]"
)

_PIECE: Final = re.compile(
    "[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+|.[\u0300-\u036f\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f]*",
    re.DOTALL,
)
"""A letter with its marks; letters that compose to one stay together."""


def fold(text: str) -> str:
    """`text` without accents, width and, beyond ASCII, case.

    >>> fold("Straße"), fold("ＣＡＦÉ"), fold("東京")
    ('strasse', 'cafe', ' 東  京 ')
    """
    if text.isascii():
        return text
    return _spaced(_letters(text))


def fold_with_offsets(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters where in `text` it came from.

    The list has one element more than the folded text has characters: the end.

    >>> fold_with_offsets("é ﬁx")
    ('e fix', [0, 1, 2, 2, 3, 4])
    """
    if text.isascii():
        return text, list(range(len(text) + 1))
    parts: list[str] = []
    offsets: list[int] = []
    for piece in _PIECE.finditer(text):
        folded = fold(piece[0])
        parts.append(folded)
        offsets += [piece.start()] * len(folded)
    return "".join(parts), [*offsets, len(text)]


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    plain = unicodedata.normalize("NFKD", _MARKS.sub("", decomposed).casefold())
    return unicodedata.normalize("NFC", _MARKS.sub("", plain))


def _spaced(text: str) -> str:
    return _UNSPACED.sub(r" \g<0> ", text)
