"""``lakecore journal export``, ``import`` and ``archive``: events to other places, and back."""

from __future__ import annotations

import sys
from typing import Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import chosen_filters, event_filters, parse_time
from lakecore.cli._output import note, print_json, print_text
from lakecore.cli._text import count, printable, size

EXPORT_FORMATS: Final = ("parquet", "ndjson", "csv", "cloudevents")
IMPORT_FORMATS: Final = ("auto", "parquet", "ndjson", "csv")


@make_command(
    name="export",
    epilog=(
        "Examples:\n\n"
        "lakecore journal export -o events.parquet\n\n"
        "lakecore journal export --format cloudevents --dataset planes --since 2026-01-01"
    ),
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(EXPORT_FORMATS),
    help="Default: by the ending of -o; else ndjson.",
)
@click.option("-o", "--output", metavar="FILE", help="Write there; '-' or nothing is stdout.")
@click.option("--overwrite", is_flag=True, help="Take the place of a file that is there.")
@event_filters
@click.option("--since-seq", metavar="SEQ", type=click.IntRange(min=0), help="From this one on.")
@click.option(
    "--until-seq",
    metavar="SEQ",
    type=click.IntRange(min=0),
    help="Before this one; leaves out what is not sealed yet.",
)
@pass_state
def export(
    state: State,
    /,
    format_name: str | None,
    output: str | None,
    overwrite: bool,
    since_seq: int | None,
    until_seq: int | None,
    **filters: str | None,
) -> None:
    """Write events to a file or to stdout; all conditions must hold.

    \b
    parquet      all columns in their types
    ndjson       one JSON object a line, with all fields in one order
    csv          texts in quotes: "" is an empty text, nothing at all is null;
                 texts are not altered, so open it as text in a spreadsheet
    cloudevents  CloudEvents 1.0, one JSON event a line
    """
    is_stream = output in (None, "-")
    chosen = format_name or ("ndjson" if is_stream else None)
    if chosen == "parquet" and is_stream and sys.stdout.isatty():
        raise InvalidInput("parquet is no text for a terminal", hint="give -o FILE, or a pipe")
    with state.open_lake() as lake:
        result = lake.journal.export(
            sys.stdout.buffer if is_stream else str(output),
            chosen,
            since_seq=since_seq,
            until_seq=until_seq,
            overwrite=overwrite,
            cloudevents_source=f"urn:lakecore:{lake.lake_id}",
            **chosen_filters(filters),
        )
    sys.stdout.buffer.flush()
    note(f"{count(result.events, 'event')} written as {result.format}")


@make_command(
    name="import",
    epilog=(
        "Examples:\n\n"
        "lakecore journal import events.ndjson --dry-run\n\n"
        "lakecore journal import events.parquet --note-origin 'the old lake'"
    ),
)
@click.argument("file", metavar="FILE")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(IMPORT_FORMATS),
    default="auto",
    show_default=True,
    help="auto: by the first bytes.",
)
@click.option("--ignore-unknown", is_flag=True, help="Leave out columns that no event has.")
@click.option(
    "--note-origin",
    metavar="NAME",
    help="Keep this name and the old seq in each event's context.",
)
@click.option(
    "--skip-rows",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Pass over the first N rows: those that are recorded already.",
)
@click.option("--dry-run", is_flag=True, help="Check every row, record nothing.")
@click.pass_context
@pass_state
def import_(
    state: State,
    ctx: click.Context,
    /,
    file: str,
    format_name: str,
    ignore_unknown: bool,
    note_origin: str | None,
    skip_rows: int,
    dry_run: bool,
) -> None:
    """Record the events of a file that `journal export` wrote; '-' is stdin.

    The file may have all of an event's fields or only some. seq and leaf are passed over:
    imported events get new positions. Events are recorded 10,000 at a time, each time all
    or none; running it again goes on where it broke off, as events with an id that is
    known are not recorded twice. Exit code 1 when a dry run finds bad rows.
    """
    with state.open_lake() as lake:
        result = lake.journal.import_events(
            sys.stdin.buffer if file == "-" else file,
            format_name,
            ignore_unknown=ignore_unknown,
            imported_from=note_origin,
            skip_rows=skip_rows,
            dry_run=dry_run,
        )
    if state.as_json:
        print_json(result)
    else:
        for bad in result.bad:
            field = f", {bad.field}" if bad.field else ""
            print_text(f"line {bad.line}{field}: {printable(bad.reason)}")
        hidden = result.bad_count - len(result.bad)
        if hidden:
            print_text(f"and {count(hidden, 'more bad row')}")
        print_text(
            f"{count(result.rows, 'row')} checked, {result.bad_count:,} bad; nothing recorded"
            if dry_run
            else f"{count(result.recorded, 'event')} recorded"
        )
    ctx.exit(1 if result.bad_count else 0)


@make_command(
    name="archive",
    epilog=(
        "Examples:\n\n"
        "lakecore journal archive --to cold --before 2025-01-01 --dry-run\n\n"
        "lakecore journal archive --to cold --before-seq 10000000"
    ),
)
@click.option(
    "--to", metavar="NAME", required=True, help="The archive, as [journal.archives] names it."
)
@click.option("--before", metavar="TIME", help="Only events before this time.")
@click.option(
    "--before-seq", metavar="SEQ", type=click.IntRange(min=0), help="Only events before this one."
)
@click.option("--dry-run", is_flag=True, help="Say what would move, move nothing.")
@pass_state
def archive(
    state: State, to: str, before: str | None, before_seq: int | None, dry_run: bool
) -> None:
    """Move old events to another store; the log stays whole and goes on being read.

    Whole files move, of 65,536 events or more that compaction has merged; copies are read
    back before the originals make room for stubs. Where an archive cannot be reached,
    reads that need its events say so, and verify cannot tell about them.
    """
    if before is None and before_seq is None:
        raise InvalidInput("which events?", expected="--before TIME or --before-seq SEQ")
    moment = None if before is None else parse_time(before, option="--before")
    with state.open_lake() as lake:
        report = lake.archive_journal(to, before=moment, before_seq=before_seq, dry_run=dry_run)
    if state.as_json:
        print_json(report)
        return
    verb = "would move" if dry_run else "moved"
    print_text(
        f"{count(len(report.files), 'file')} {verb}: {count(report.events, 'event')}, "
        f"{size(report.size_bytes)}"
    )
    if report.waiting:
        note(f"{count(report.waiting, 'file')} to be merged first: lakecore journal compact")
