"""``lakecore ingest``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lakecore.cli._alter import CONTRACTS
from lakecore.cli._changes import changes_text
from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import change_options
from lakecore.cli._output import note, print_json, print_text
from lakecore.cli._text import count, duration, printable

if TYPE_CHECKING:
    from lakecore.ingest import IngestResult

MODES = ("append", "upsert", "replace")
BAD_KEYS = ("refuse", "quarantine")


@make_command(
    name="ingest",
    epilog=(
        "Examples:\n\n"
        "lakecore ingest planes.csv --dataset planes --key tailnum --entity-type plane\n\n"
        'lakecore ingest planes-*.csv.gz --dataset planes --mode upsert --reason "weekly file"'
    ),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--dataset", required=True, metavar="D", help="Made when it is not there.")
@click.option(
    "--key", "key", metavar="C", multiple=True, help="A column that identifies a row; repeatable."
)
@click.option("--entity-type", metavar="T", help="What a row is. Default: the dataset's name.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="append",
    show_default=True,
    help="append: new keys only; upsert: insert or change; replace: exactly these rows.",
)
@click.option(
    "--contract",
    type=click.Choice(CONTRACTS),
    help="For a new dataset: what a file may do to the columns.",
)
@click.option("--bucket", metavar="NAME", default="", help="Of a new dataset: where its table is.")
@click.option("--format", metavar="F", help="Default: as the content says.")
@click.option("--delimiter", metavar="CHAR", help="Default: sniffed.")
@click.option("--encoding", metavar="NAME", help="Default: UTF-8, UTF-16 or Windows-1252.")
@click.option("--sheet", metavar="NAME", help="Of an Excel file. Default: the first.")
@click.option("--again", is_flag=True, help="Load a file that was loaded already.")
@click.option("--strict", is_flag=True, help="Refuse a file with a record that does not get in.")
@click.option(
    "--on-bad-key",
    type=click.Choice(BAD_KEYS),
    default="refuse",
    show_default=True,
    help="A key that is null or repeated in the file: refuse the file, or set such rows apart.",
)
@change_options
@pass_state
def command(
    state: State,
    /,
    files: Sequence[str],
    dataset: str,
    key: Sequence[str],
    entity_type: str | None,
    mode: str,
    bucket: str,
    actor: str | None,
    reason: str,
    tier: str,
    **reading: Any,
) -> None:
    """Load files into a dataset, each as one change: all of it or nothing.

    CSV, TSV, JSON, NDJSON, Parquet, Arrow and Excel, also as .gz, .zst and .zip; the
    content says which. Records that cannot be read or do not fit go to system.quarantine
    with file, line and reason. A file that was loaded already is left out.
    """
    from lakecore.ingest import IngestOptions, NoProgress, check_file, terminal_progress

    options = IngestOptions(**reading)
    for file in files:
        # Before the lake: a misspelt file is no reason to make one.
        check_file(Path(file))
    with state.open_lake(actor=actor, create=True) as lake:
        results = lake.ingest(
            files,
            dataset=dataset,
            key=key,
            entity_type=entity_type,
            mode=mode,
            bucket=bucket,
            options=options,
            progress=NoProgress() if state.as_json else terminal_progress(),
            reason=reason,
            tier=tier,
        )
    if state.as_json:
        print_json(results)
        return
    for result in results:
        _print_result(result)


def _print_result(result: IngestResult) -> None:
    file = printable(result.file)
    if result.duplicate_of is not None:
        print_text(
            f"{file}: left out, {result.dataset} has its content since version "
            f"{result.duplicate_of} (--again loads it once more)"
        )
        return
    changed = changes_text(result)
    version = "" if result.version is None else f"; version {result.version}"
    if result.held:
        version = f"; nothing is loaded yet: {result.mutation_id} waits for an approval"
    elif result.dry_run:
        version = "; only shown: nothing was loaded"
    print_text(f"{file} → {result.dataset}: {changed}{version} ({duration(result.duration_s)})")
    if result.rejected:
        note(
            f"  {count(result.rejected, 'record')} did not get in: "
            f"see {'it' if result.rejected == 1 else 'them'} in system.quarantine, with the reason"
        )
    for text in result.notes:
        note(f"  {printable(text)}")
