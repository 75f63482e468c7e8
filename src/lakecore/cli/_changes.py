"""What the commands that change rows share: reading rows, and saying what changed."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import change_options
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count, printable

if TYPE_CHECKING:
    from lakecore.tables import MutationResult

_CHANGE_COLUMNS: Final = ("action", "entity_id", "field", "old_value", "new_value")
_MAX_SHOWN_CHANGES: Final = 20


def rows_command(name: str, summary: str) -> click.Command:
    """The command `name` (insert, upsert or replace) that takes rows from a file."""

    @make_command(
        name=name, help=summary, epilog=f"Example: lakecore {name} planes --file planes.csv"
    )
    @click.argument("dataset")
    @click.option(
        "--file",
        "file",
        required=True,
        metavar="ROWS",
        help="CSV, TSV, JSON, NDJSON, Parquet, Arrow or Excel; '-' is NDJSON on stdin.",
    )
    @change_options
    @pass_state
    def command(
        state: State, dataset: str, file: str, actor: str | None, reason: str, dry_run: bool
    ) -> None:
        with state.open_lake(actor=actor) as lake, _rows_of(file) as rows:
            change = getattr(lake, name)
            result = change(dataset, rows, source=SOURCE, reason=reason, tier=tier(dry_run))
            report(state, result)

    made: click.Command = command
    return made


def tier(dry_run: bool) -> str:
    return "dry_run" if dry_run else "auto"


def report(state: State, result: MutationResult) -> None:
    """What a change did, or would do."""
    if state.as_json:
        print_json(result)
        return
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (result.inserted, "inserted"),
            (result.updated, "updated"),
            (result.deleted, "deleted"),
            (result.unchanged, "unchanged"),
        )
        if number
    ]
    text = f"{printable(result.dataset)}: {', '.join(parts) or 'nothing to change'}"
    if result.dry_run:
        print_text(text)
        if result.changes:
            _print_changes(result)
        note("a dry run: nothing was changed")
    elif result.version is None:
        print_text(text)
    else:
        print_text(f"{text}; version {result.version}, {count(result.events, 'event')}")


@contextlib.contextmanager
def _rows_of(file: str) -> Iterator[Any]:
    """The rows of a file as Arrow batches, by the readers of `ingest`.

    A line that cannot be read is an error here: a change has no quarantine.
    """
    from lakecore.ingest import IngestOptions, open_source

    with _named(file) as path:
        source = open_source(str(path), IngestOptions(strict=True))
        yield source.batches()


@contextlib.contextmanager
def _named(file: str) -> Iterator[Path]:
    if file != "-":
        yield Path(file)
        return
    # The readers look at a file twice, for its form and for its rows; a pipe cannot be.
    with tempfile.TemporaryDirectory(prefix="lakecore-") as folder:
        path = Path(folder) / "stdin.ndjson"
        with path.open("wb") as copy:
            for chunk in iter(lambda: sys.stdin.buffer.read(1 << 20), b""):
                copy.write(chunk)
        yield path


def _print_changes(result: MutationResult) -> None:
    print_text()
    print_table(
        ["action", "row", "field", "old", "new"],
        [
            tuple(change.get(name) or "" for name in _CHANGE_COLUMNS)
            for change in result.changes[:_MAX_SHOWN_CHANGES]
        ],
    )
