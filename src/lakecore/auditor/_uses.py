"""Where a name is in a commit's tree: defined, used, imported, mentioned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lakecore.code import (
    Code,
    Found,
    Language,
    Line,
    Repository,
    Symbol,
    is_document,
    is_test_path,
    language_of,
    parse,
)

MAX_PARSED_FILES: Final = 60


@dataclass(frozen=True, slots=True)
class Use:
    """Where a name is in a commit's tree.

    Attributes:
        definitions: with the files they are in.
        references: in code that is no test: not definitions, imports or comments.
        imports: the same for imports.
        mentions: everywhere else: tests, documents, comments, strings, other languages.
        whole: nothing was left out.
    """

    definitions: tuple[tuple[str, Symbol], ...] = ()
    references: tuple[Line, ...] = ()
    imports: tuple[Line, ...] = ()
    mentions: tuple[Line, ...] = ()
    whole: bool = True

    @property
    def anywhere(self) -> bool:
        return bool(self.definitions or self.references or self.imports or self.mentions)


def use_of(name: str, revision: str, repository: Repository) -> Use:
    """Look a name up in a commit's tree; at most 60 files of code are parsed."""
    found: Found = repository.find(revision, name)
    by_path: dict[str, list[Line]] = {}
    for line in found.lines:
        by_path.setdefault(line.path, []).append(line)
    definitions: list[tuple[str, Symbol]] = []
    references: list[Line] = []
    imports: list[Line] = []
    mentions: list[Line] = []
    # What is most telling first: code, then tests, then the rest.
    ordered = sorted(by_path, key=lambda path: (not _is_code(path), is_test_path(path), path))
    parsed = 0
    for path in ordered:
        lines = by_path[path]
        if not _is_code(path) or parsed >= MAX_PARSED_FILES:
            mentions += lines
            continue
        parsed += 1
        source = repository.read(revision, path)
        code = parse(source.text, source.language)
        definitions += [(path, symbol) for symbol in code.definitions(name)]
        roles = _roles(code, name)
        for line in lines:
            role = roles.get(line.line)
            test = is_test_path(path) or in_rust_tests(code, line.line)
            if role is None or (test and role != "definition"):
                mentions.append(line)
            elif role == "import":
                imports.append(line)
            elif role == "":
                references.append(line)
    return Use(
        tuple(definitions),
        tuple(references),
        tuple(imports),
        tuple(mentions),
        found.whole and parsed < MAX_PARSED_FILES,
    )


def _is_code(path: str) -> bool:
    return language_of(path).has_symbols and not is_document(path)


def _roles(code: Code, name: str) -> dict[int, str]:
    """What a name is on each line; a use counts most, then an import, then a definition."""
    roles: dict[int, str] = {}
    rank = {"definition": 0, "import": 1, "": 2}
    for token in code.tokens:
        if token.text == name and token.kind == "name":
            known = roles.get(token.line)
            if known is None or rank[token.role] > rank[known]:
                roles[token.line] = token.role
    return roles


def in_rust_tests(code: Code, line: int) -> bool:
    """Whether a line is among the tests that Rust has beside the code."""
    if code.language is not Language.RUST:
        return False
    return any(
        symbol.start_line <= line <= symbol.end_line
        and any(re.match(r"cfg\(\s*test|test\b|tokio::test", text) for text in symbol.decorators)
        for symbol in code.symbols
    )
