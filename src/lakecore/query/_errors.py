"""DataFusion's errors as Lakecore's: what was expected, what was found, where, what to do."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from typing import Final

from lakecore.base import (
    Bug,
    CorruptData,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    Refused,
    Unavailable,
)

READ_ONLY: Final = "SQL is read-only here"
_POSITION: Final = re.compile(r"\s*at Line: (\d+), Column: (\d+)")
_RUST: Final = re.compile(r"\\(?:u\{(?P<hex>[0-9a-fA-F]{1,8})\}|(?P<one>.))", re.DOTALL)
_MAX_SUGGESTIONS: Final = 3
_NOISE: Final = re.compile(
    r"^(?:DataFusion error: |External error: |Error during planning: |Execution error: "
    r"|Schema error: |Arrow error: |SQL error: |This feature is not implemented: "
    r"|Optimizer rule '[^']*' failed\s*(?:caused by\s*)?|caused by\s+)"
)

_Case = tuple[re.Pattern[str], Callable[[re.Match[str], "Statement"], LakecoreError]]


class Statement:
    """A SQL text and the tables it could have meant, for messages."""

    def __init__(self, text: str, tables: Callable[[], Iterable[str]]) -> None:
        self.text = text
        self.tables = tables

    def position(self, line: int, column: int) -> tuple[str, str]:
        """``line 1, column 8`` and that line with a caret below."""
        lines = self.text.split("\n")
        shown = lines[line - 1].replace("\t", " ") if line <= len(lines) else ""
        start = max(0, column - 60)
        shown = shown[start : start + 100]
        return f"line {line}, column {column}", f"\n  {shown}\n  {' ' * (column - 1 - start)}^"

    def find(self, word: str) -> str | None:
        """Where `word` first stands in the text; a help for the eye only."""
        for part in (word, word.rpartition(".")[2].strip('"')):
            match = re.search(rf"(?<!\w){re.escape(part)}(?!\w)", self.text, re.IGNORECASE)
            if match is not None:
                break
        else:
            return None
        line = self.text.count("\n", 0, match.start()) + 1
        column = match.start() - (self.text.rfind("\n", 0, match.start()) + 1) + 1
        return self.position(line, column)[0]

    def end(self) -> tuple[int, int]:
        stripped = self.text.rstrip()
        return stripped.count("\n") + 1, len(stripped) - (stripped.rfind("\n") + 1) + 1


def translate(error: BaseException, statement: Statement) -> LakecoreError:
    """The error that the caller sees for one that came out of DataFusion."""
    if isinstance(error, LakecoreError):
        return error
    if not isinstance(error, Exception):  # pyo3's PanicException
        return Bug("DataFusion panicked", found=_one_line(str(error)), where=statement.text[:200])
    if isinstance(error, MemoryError):
        return Refused("the query needs more memory than there is", hint=_MEMORY_HINT)
    message = str(error)
    for pattern, make in _CASES:
        if match := pattern.search(message):
            return make(match, statement)
    return InvalidInput(_clean(message))


def time_limit(seconds: float) -> Unavailable:
    return Unavailable(
        "the query was stopped at its time limit",
        found=f"more than {seconds:g} s",
        hint="raise timeout_s, or narrow the query",
    )


def cancelled() -> Unavailable:
    return Unavailable("the query was cancelled")


_MEMORY_HINT: Final = (
    "raise memory_limit_bytes, or narrow the query: fewer columns, an earlier filter, a limit"
)


def _syntax(match: re.Match[str], statement: Statement) -> LakecoreError:
    text = _unescaped(match["text"])
    found_at = _POSITION.search(text)
    line, column = (int(found_at[1]), int(found_at[2])) if found_at else statement.end()
    text = _POSITION.sub("", text)
    where, shown = statement.position(line, column)
    expected, _, found = text.removeprefix("Expected: ").partition(", found: ")
    if not found:
        return InvalidInput(f"syntax error: {text}", where=where, found=shown)
    found = "the end of the text" if found == "EOF" else found
    return InvalidInput("syntax error", expected=expected, found=found + shown, where=where)


def _unescaped(text: str) -> str:
    r"""A text that Rust printed for debugging.

    >>> _unescaped(r'found: \u{fb}\'a\' \"b\"')
    'found: û\'a\' "b"'
    """

    def character(match: re.Match[str]) -> str:
        if match["hex"]:
            code = int(match["hex"], 16)
            return chr(code) if code <= sys.maxunicode else "�"
        return {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}.get(match["one"], match["one"])

    return _RUST.sub(character, text)


def _too_deep(match: re.Match[str], statement: Statement) -> LakecoreError:
    return InvalidInput(
        "the statement is nested too deeply",
        hint="name the steps with WITH, or split the statement",
    )


def _no_table(match: re.Match[str], statement: Statement) -> LakecoreError:
    parts = [part for part in match[1].split(".", 2) if part]
    name = parts[-1] if parts[-2:-1] == ["main"] else ".".join(parts[-2:])
    near = difflib.get_close_matches(name, list(statement.tables()), _MAX_SUGGESTIONS, 0.6)
    hint = "SHOW TABLES lists what there is; files become tables by `lakecore ingest`"
    return NotFound(
        "no such table",
        expected=_one_of(near),
        found=name,
        where=statement.find(name),
        hint=f"did you mean {near[0]}?" if near else hint,
    )


def _no_function(match: re.Match[str], statement: Statement) -> LakecoreError:
    return NotFound(
        "no such table function",
        expected="as_of, changes, history, generate_series or range",
        found=match[1],
        where=statement.find(match[1]),
        hint="SQL reads no files: `lakecore ingest` makes tables of them",
    )


def _no_such_function(match: re.Match[str], statement: Statement) -> LakecoreError:
    return InvalidInput(
        "no such function",
        found=match[1],
        where=statement.find(match[1]),
        hint=f"did you mean {match[2]}?" if match[2] else "SHOW FUNCTIONS lists what there is",
    )


def _no_column(match: re.Match[str], statement: Statement) -> LakecoreError:
    wanted = match["name"]
    fields = [field.strip() for field in (match["fields"] or "").split(", ") if field.strip()]
    last = {field: field.rpartition(".")[2].strip('"').lower() for field in fields}
    bare = wanted.rpartition(".")[2].strip('"').lower()
    near_names = difflib.get_close_matches(bare, last.values(), _MAX_SUGGESTIONS, 0.5)
    near = [field for name in near_names for field in fields if last[field] == name]
    near = list(dict.fromkeys(near))[:_MAX_SUGGESTIONS]
    return InvalidInput(
        "no such column",
        expected=_one_of(near or fields[:12]),
        found=wanted,
        where=statement.find(wanted),
        hint=f"did you mean {near[0]}?" if near else None,
    )


def _read_only(match: re.Match[str], statement: Statement) -> LakecoreError:
    kind = match["kind"]
    if kind == "COPY":
        hint = "write results with `lakecore sql -o FILE` or QueryResult.write"
    elif match["class"] == "DML":
        hint = (
            "rows change by `lakecore update`, `delete` and `insert`, which write the journal; "
            "in Python lake.update, lake.delete, lake.insert"
        )
    elif match["class"] == "DDL":
        hint = "datasets are made by `lakecore ingest` and removed by `lakecore drop`"
    else:
        hint = "give settings and parameters with the call"
    return Refused(READ_ONLY, expected="a query", found=kind, hint=hint)


def _parameter(match: re.Match[str], statement: Statement) -> LakecoreError:
    return InvalidInput(
        "a parameter has no value",
        found=match[1],
        where=statement.find(match[1]),
        hint="name it in params (on the command line --param NAME=VALUE); a list is $1, $2, …",
    )


def _memory(match: re.Match[str], statement: Statement) -> LakecoreError:
    return Refused(
        "the query needs more memory than its limit", found=_one_line(match[1]), hint=_MEMORY_HINT
    )


def _several(match: re.Match[str], statement: Statement) -> LakecoreError:
    return InvalidInput("more than one statement", expected="one", hint="send them one by one")


def _case(pattern: str, make: Callable[[re.Match[str], Statement], LakecoreError]) -> _Case:
    return re.compile(pattern, re.DOTALL), make


_CASES: Final[list[_Case]] = [
    _case(r"RecursionLimitExceeded", _too_deep),
    _case(r'(?:Parser|Tokenizer)Error\("(?P<text>.*)"\)', _syntax),
    _case(r"only supports a single SQL statement", _several),
    _case(
        r"No SQL statements were provided",
        lambda match, statement: InvalidInput("the statement is empty", expected="a query"),
    ),
    _case(r"(?P<class>DML|DDL|Statement) not supported: (?P<kind>.+)", _read_only),
    _case(r"table function '(.*?)' not found", _no_function),
    _case(r"table '(.*?)' not found", _no_table),
    _case(
        r"No field named (?P<name>.+?)\.(?: Did you mean .*?\?)?(?:\s*\n|\s*$)"
        r"(?:.*?Valid fields are (?P<fields>.*?)\.$)?",
        _no_column,
    ),
    _case(r"Invalid function '(.*?)'\.(?:\s*Did you mean '(.*?)')?", _no_such_function),
    _case(r"Placeholder '(.*?)' was not provided a value", _parameter),
    _case(r"No value found for placeholder with name (\S+)", _parameter),
    _case(r"Resources exhausted:? ?(.*)", _memory),
    _case(
        r"No space left on device",
        lambda match, statement: OutOfSpace(
            "no room to spill the query", hint="free room, or set [query] spill_directory"
        ),
    ),
    _case(
        r"(?:Object Store error: Object at location|Object at location) (?P<path>.*?) not found",
        lambda match, statement: CorruptData(
            "a data file of the table is missing",
            where=match["path"],
            hint="a version whose retention is over loses its files, also under a long query: "
            "run it again; if it is still missing, run `lakecore verify`",
        ),
    ),
    _case(
        r"(?<!Cannot )(Parquet error: .*)",
        lambda match, statement: CorruptData(
            "a data file cannot be read", found=_one_line(match[1]), hint="run `lakecore verify`"
        ),
    ),
    _case(
        r"(Object Store error: .*)",
        lambda match, statement: Unavailable("the store failed", found=_one_line(match[1])),
    ),
    _case(
        r"^(?!.*failed to match any signature)(?:DataFusion error: )?Internal error: (.*)",
        lambda match, statement: Bug("DataFusion failed", found=_one_line(match[1])),
    ),
]


def _clean(message: str) -> str:
    """The message without the names of the layers that it went through."""
    while (shorter := _NOISE.sub("", message, count=1)) != message:
        message = shorter
    return _one_line(message.removeprefix("Internal error: ").strip())


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 500 else line[:500] + "…"


def _one_of(names: list[str]) -> str | None:
    return " or ".join(names) if names else None
