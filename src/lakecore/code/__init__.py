"""Code as material: git repositories, differences, languages, symbols; read, never run.

What reviews and audits stand on. `Repository` reads commits, trees and files through the git
command line, with none of a repository's own configuration able to start a program. A file's
bytes become a `Source`, which says what kind of file it is before anybody looks at its text.
`parse` makes symbols and tokens of Python, Rust, TypeScript, JavaScript and Go (tree-sitter,
extra ``review``); everything else is text. All of it is bounded, and says where it was cut.

    Repository.open(path)          state, shallow, resolve, tree, tracked, churn
      .commits("A..B")             Commit: message, FileChange each, one at a time
      .diff_of(commit)             Diff → FileDiff → Hunk;  LineMap(hunks): old line ↔ new line
      .read(revision, path)        Source: text, kind (binary, huge, generated …), language
      .find(revision, word)        lines of a commit's files that contain it
    export_tree(repository, revision, folder)  its files, written; nothing of them is run
    read_file(root, path)          the same Source from a folder, links not followed
    parse(text, language)          Code: symbols, tokens, references(name), symbol_at(line)
    compare(old, new, language)    equal but for comments, layout, strings, values; or different
    find_tests(code, path, text)   which symbols are tests
    renamed_symbols(old, new)      which symbol became which
    redacted(text)                 without what looks like a secret

>>> from lakecore.code import Language, parse
>>> code = parse("LIMIT = 3\\n\\ndef over(n):\\n    return n > LIMIT\\n", Language.PYTHON)
>>> [(symbol.kind, symbol.name, symbol.start_line) for symbol in code.symbols]
[('variable', 'LIMIT', 1), ('function', 'over', 3)]
>>> [token.line for token in code.references("LIMIT")]
[4]
"""

from lakecore.code._compare import Comparison, Sameness, ValueChange, compare
from lakecore.code._export import Exported, ExportLimits, export_tree
from lakecore.code._git import OLDEST_GIT, GitFailed, GitLimits
from lakecore.code._languages import Language, is_document, is_test_path, language_of
from lakecore.code._lines import LineMap
from lakecore.code._parse import MAX_PARSED_BYTES, Code, Symbol, Token, parse, symbols
from lakecore.code._records import (
    ChangeKind,
    Commit,
    Diff,
    FileChange,
    FileDiff,
    Hunk,
    TreeEntry,
    shown,
)
from lakecore.code._redact import redacted
from lakecore.code._renames import renamed_symbols
from lakecore.code._repository import Found, Line, Repository
from lakecore.code._source import (
    MAX_SOURCE_BYTES,
    Source,
    SourceKind,
    is_generated,
    read_file,
    to_source,
)
from lakecore.code._tests import TestCase, find_tests

__all__ = [
    "MAX_PARSED_BYTES",
    "MAX_SOURCE_BYTES",
    "OLDEST_GIT",
    "ChangeKind",
    "Code",
    "Commit",
    "Comparison",
    "Diff",
    "ExportLimits",
    "Exported",
    "FileChange",
    "FileDiff",
    "Found",
    "GitFailed",
    "GitLimits",
    "Hunk",
    "Language",
    "Line",
    "LineMap",
    "Repository",
    "Sameness",
    "Source",
    "SourceKind",
    "Symbol",
    "TestCase",
    "Token",
    "TreeEntry",
    "ValueChange",
    "compare",
    "export_tree",
    "find_tests",
    "is_document",
    "is_generated",
    "is_test_path",
    "language_of",
    "parse",
    "read_file",
    "redacted",
    "renamed_symbols",
    "shown",
    "symbols",
    "to_source",
]
