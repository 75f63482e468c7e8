"""Which language a file is in, told by its name, else by its first line."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePosixPath
from typing import Final


class Language(Enum):
    """Languages with symbols, and `TEXT` for everything else."""

    PYTHON = "python"
    RUST = "rust"
    TYPESCRIPT = "typescript"
    TSX = "tsx"
    GO = "go"
    TEXT = "text"

    @property
    def has_symbols(self) -> bool:
        return self is not Language.TEXT


# JavaScript is read with the grammar of TSX, which has all of it.
_SUFFIXES: Final = {
    ".py": Language.PYTHON,
    ".pyi": Language.PYTHON,
    ".rs": Language.RUST,
    ".ts": Language.TYPESCRIPT,
    ".mts": Language.TYPESCRIPT,
    ".cts": Language.TYPESCRIPT,
    ".tsx": Language.TSX,
    ".jsx": Language.TSX,
    ".js": Language.TSX,
    ".mjs": Language.TSX,
    ".cjs": Language.TSX,
    ".go": Language.GO,
}
_SHEBANG: Final = re.compile(r"^#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?(python|node|deno|bun)")
_INTERPRETERS: Final = {
    "python": Language.PYTHON,
    "node": Language.TSX,
    "deno": Language.TYPESCRIPT,
    "bun": Language.TYPESCRIPT,
}
_DOCUMENT_SUFFIXES: Final = frozenset(
    (".md", ".markdown", ".mdx", ".rst", ".adoc", ".asciidoc", ".txt", ".tex", ".org", ".man")
)
_DOCUMENT_NAMES: Final = frozenset(
    [
        "readme",
        "changelog",
        "changes",
        "news",
        "license",
        "licence",
        "copying",
        "notice",
        "authors",
        "contributors",
        "contributing",
        "code_of_conduct",
        "security",
        "maintainers",
    ]
)
_DOCUMENT_FOLDERS: Final = frozenset(("doc", "docs", "documentation"))
_TEST_FOLDERS: Final = frozenset(
    ("test", "tests", "testing", "testdata", "spec", "specs", "__tests__", "e2e", "fixtures")
)
_TEST_NAME: Final = re.compile(
    r"(?:^test_.*|.*_test|^test|^tests|^conftest|.*[.\-_](?:test|spec|tests))\.[a-z]+$", re.I
)


def language_of(path: str, text: str = "") -> Language:
    """The language of a file.

    >>> language_of("src/a.rs").value, language_of("tool", "#!/usr/bin/env python3").value
    ('rust', 'python')
    """
    known = _SUFFIXES.get(PurePosixPath(path).suffix.lower())
    if known is not None:
        return known
    match = _SHEBANG.match(text[:200])
    return _INTERPRETERS[match[1]] if match else Language.TEXT


def is_document(path: str) -> bool:
    """Whether a file is written for readers only.

    >>> is_document("docs/index.md"), is_document("LICENSE"), is_document("src/a.py")
    (True, True, False)
    """
    pure = PurePosixPath(path.lower())
    if pure.suffix in _DOCUMENT_SUFFIXES:
        return not re.match(r"(?:requirements|constraints).*\.txt$|cmakelists\.txt$", pure.name)
    if pure.stem in _DOCUMENT_NAMES and language_of(path) is Language.TEXT:
        return True
    return bool(_DOCUMENT_FOLDERS & set(pure.parts[:-1]))


def is_test_path(path: str) -> bool:
    """Whether a file is part of the tests, by the habits of the languages.

    >>> is_test_path("tests/unit/a.py"), is_test_path("pkg/x_test.go"), is_test_path("src/a.py")
    (True, True, False)
    """
    pure = PurePosixPath(path)
    if _TEST_FOLDERS & {part.lower() for part in pure.parts[:-1]}:
        return True
    return bool(_TEST_NAME.match(pure.name))
