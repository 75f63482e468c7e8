"""``lakecore sql``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import inside, parse_value, split_assignment, workspace_option
from lakecore.cli._output import note
from lakecore.cli._text import count

if TYPE_CHECKING:
    from lakecore.query import QueryResult

FORMATS: Final = ("table", "json", "csv", "ndjson", "arrow", "parquet")
ENGINES: Final = ("datafusion", "spark")
_SCREEN_ROWS: Final = 40
_TABLE_ROWS: Final = 100_000
_BINARY: Final = frozenset({"arrow", "parquet"})


@make_command(
    name="sql",
    epilog=(
        "Examples:\n\n"
        'lakecore sql "select manufacturer, count(*) n from planes group by 1 order by n desc"\n\n'
        'lakecore sql "select * from planes where seats > $seats" --param seats=300 -o big.csv'
    ),
)
@click.argument("query")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    help="Default: by the ending of -o; else json with --json; else table.",
)
@click.option("-o", "output", metavar="FILE", type=click.Path(), help="Write there, not to stdout.")
@click.option(
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    help='A value for $NAME: number, true, false, null, "text" or plain text.',
)
@click.option(
    "--max-rows",
    metavar="N",
    type=click.IntRange(min=1),
    help="Cut the result off after N rows; a note on stderr says so when there are more.",
)
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop the query after this time.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    help="Where it runs: here, or on the Spark server of [query] spark. Default: [query] engine.",
)
@workspace_option
@pass_state
def command(
    state: State,
    query: str,
    format_name: str | None,
    output: str | None,
    params: tuple[str, ...],
    max_rows: int | None,
    timeout_s: float | None,
    engine: str | None,
    workspace: str | None,
) -> None:
    """Ask with SQL. Read-only: `update`, `delete` and the others change rows.

    QUERY is one statement; '-' reads it from stdin. An earlier state of a dataset is
    as_of('planes', 3) or as_of('planes', '2026-01-31T12:00:00Z'); the events are the
    table system.journal.
    """
    chosen = format_name or _default_format(state, output)
    if chosen in _BINARY and output is None and sys.stdout.isatty():
        raise InvalidInput(f"{chosen} is no text for a terminal", hint="give -o FILE, or a pipe")
    values = dict(split_assignment(text, option="--param") for text in params)
    text = sys.stdin.read() if query == "-" else query
    limits: dict[str, Any] = {
        name: value
        for name, value in (("max_rows", max_rows), ("timeout_s", timeout_s), ("engine", engine))
        if value is not None
    }
    with state.open_lake() as lake:
        result = inside(lake, workspace).sql(
            text, {name: parse_value(value) for name, value in values.items()} or None, **limits
        )
        if output is None:
            result.write(chosen, sys.stdout.buffer, shown_rows=_shown_rows(max_rows))
            sys.stdout.buffer.flush()
        else:
            _write_file(result, chosen, Path(output), _shown_rows(max_rows))
        if result.truncated:
            note(f"cut off after {count(result.row_count, 'row')}: there are more")


def _default_format(state: State, output: str | None) -> str:
    ending = Path(output).suffix.removeprefix(".") if output is not None else ""
    if ending in FORMATS:
        return ending
    return "json" if state.as_json else "table"


def _shown_rows(max_rows: int | None) -> int:
    """Rows of a table: a screen's worth where a person looks at it, else all that is sensible."""
    return max_rows or (_SCREEN_ROWS if sys.stdout.isatty() else _TABLE_ROWS)


def _write_file(result: QueryResult, format_name: str, path: Path, shown_rows: int) -> None:
    """Whole or not at all: a query that fails half way leaves what was there before."""
    if not path.parent.is_dir() or path.is_dir():
        raise InvalidInput("the result cannot be written there", expected="a file", where=path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            result.write(format_name, stream, shown_rows=shown_rows)
        umask = os.umask(0)
        os.umask(umask)
        unfinished.chmod(0o666 & ~umask)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
