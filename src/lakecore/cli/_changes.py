"""What the commands that change rows share: reading rows, and saying what changed."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import change_options, inside, workspace_option
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count, printable

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app import Lake
    from lakecore.ingest import IngestResult, Source
    from lakecore.tables import MutationResult

_CHANGE_COLUMNS: Final = ("action", "entity_id", "field", "old_value", "new_value")
_MAX_SHOWN_CHANGES: Final = 20
_MAX_RESTARTS: Final = 4


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
    @workspace_option
    @change_options
    @pass_state
    def command(
        state: State,
        dataset: str,
        file: str,
        workspace: str | None,
        actor: str | None,
        reason: str,
        tier: str,
    ) -> None:
        with (
            state.open_lake(actor=actor) as lake,
            _opened(file, inside(lake, workspace), dataset) as source,
        ):
            change = getattr(inside(lake, workspace), name)
            result = _to_end(
                source,
                lambda rows: change(dataset, rows, source=SOURCE, reason=reason, tier=tier),
            )
            report(state, result)

    made: click.Command = command
    return made


def report(state: State, result: MutationResult) -> None:
    """What a change did, or would do."""
    if state.as_json:
        print_json(result)
        return
    text = f"{printable(result.dataset)}: {changes_text(result)}"
    if result.held:
        print_text(f"{text}; nothing is changed yet: {result.mutation_id} waits for an approval")
        if result.changes:
            _print_changes(result)
        for reason in getattr(result, "decision", {}).get("reasons", ()):
            note(f"because {printable(reason['message'])}")
        note(f"look at it: lakecore pending {result.mutation_id}")
    elif result.dry_run:
        print_text(text)
        if result.changes:
            _print_changes(result)
        if result.tier == "block":
            note("the rules would refuse it:")
        for reason in getattr(result, "decision", {}).get("reasons", ()):
            note(f"  {printable(reason['message'])}")
        note("only shown: nothing was changed, nothing waits")
    elif result.version is None:
        print_text(text)
    else:
        print_text(f"{text}; version {result.version}, {count(result.events, 'event')}")


def changes_text(result: MutationResult | IngestResult) -> str:
    """How many rows were inserted, updated, deleted and left as they were."""
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (result.inserted, "inserted"),
            (result.updated, "updated"),
            (result.deleted, "deleted"),
            (result.unchanged, "unchanged"),
            (getattr(result, "missing", 0), "not found"),
            (getattr(result, "conflicts", 0), "in conflict"),
        )
        if number
    ]
    return ", ".join(parts) or "nothing to change"


@contextlib.contextmanager
def _opened(file: str, lake: Lake, dataset: str) -> Iterator[Source]:
    """A file by the readers of `ingest`, its texts read as the dataset's types.

    A line that cannot be read is an error here: a change has no quarantine.
    """
    from lakecore.ingest import IngestOptions, open_source

    target = _schema_of(lake, dataset)
    with _named(file) as path:
        name = "stdin" if file == "-" else None
        options = IngestOptions(strict=True, file_name=name)
        with contextlib.closing(open_source(path, options, target=target)) as source:
            yield source


def _to_end(source: Source, change: Callable[[Any], MutationResult]) -> MutationResult:
    """Change with the rows of `source`; a reader that guessed a type wrong begins again."""
    for _ in range(_MAX_RESTARTS):
        try:
            return change(source.batches())
        except Exception:
            # Whatever wrapped it on its way through the tables: the source knows.
            if not source.needs_restart:
                raise
        source.restart()
    raise InvalidInput("the file's types do not settle", where=source.name)


def _schema_of(lake: Lake, dataset: str) -> pa.Schema | None:
    described = lake.describe(dataset)
    if described["version"] is None:
        return None
    with lake.sql(f"select * from {described['name']} limit 0") as result:
        return result.schema


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
