"""``lakecore journal``: the events themselves."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Final

import click

from lakecore.base import InvalidInput, LakecoreError
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._events import print_events
from lakecore.cli._group import group
from lakecore.cli._journal_prove import add_to
from lakecore.cli._journal_transfer import archive, export, import_
from lakecore.cli._options import chosen_filters, event_filters
from lakecore.cli._output import flattened, note, print_json, print_pairs, print_text
from lakecore.cli._repair import repair
from lakecore.cli._tail import tail
from lakecore.cli._text import count

_RECORD_BATCH: Final = 1_000
_MAX_LINE_BYTES: Final = 256 << 20


@group(name="journal", epilog="Example: lakecore journal recent --limit 20")
def command() -> None:
    """The events: who, when, why, field by field, old → new."""


command.add_command(tail)


add_to(command)


command.add_command(export)
command.add_command(import_)
command.add_command(archive)
command.add_command(repair)


@command.command("recent", epilog="Example: lakecore journal recent --limit 20")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@pass_state
def recent(state: State, limit: int) -> None:
    """The last events, newest first."""
    with state.open_lake() as lake:
        events = lake.journal.recent(limit)
        if state.as_json:
            print_json([event.to_dict() for event in events])
        elif events:
            print_events(events)
        else:
            note("the journal is empty")


@command.command(
    "query", epilog="Example: lakecore journal query --actor ada --action delete --since 2026-01-01"
)
@event_filters
@click.option("--event", "event_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option("--cursor", metavar="CURSOR", help="Where the last answer ended.")
@pass_state
def query(
    state: State,
    /,
    limit: int,
    cursor: str | None,
    **filters: str | None,
) -> None:
    """Events by their columns, newest first; all conditions must hold."""
    with state.open_lake() as lake:
        page = lake.journal.query(**chosen_filters(filters), limit=limit, cursor=cursor)
        if state.as_json:
            print_json({"items": [event.to_dict() for event in page.items], "next": page.next})
            return
        if page.items:
            print_events(page.items)
        else:
            note("no such events")
        if page.next is not None:
            note(f"there are more: --cursor {page.next}")


@command.command("stats", epilog="Example: lakecore journal stats --json")
@pass_state
def stats(state: State) -> None:
    """How many events there are, how many wait to be sealed, and the log's root."""
    with state.open_lake() as lake:
        numbers = lake.journal.stats()
    if state.as_json:
        print_json(numbers)
    else:
        print_pairs(flattened(numbers))


@command.command("flush", epilog="Example: lakecore journal flush")
@pass_state
def flush(state: State) -> None:
    """Seal every event that is committed, now."""
    with state.open_lake() as lake:
        sealed = lake.journal.flush()
    if state.as_json:
        print_json({"sealed": sealed})
    else:
        print_text(f"{count(sealed, 'event')} sealed")


@command.command("compact", epilog="Example: lakecore journal compact --grace 0")
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Replace what was merged so long ago; queries that began before have ended by then. "
    "The setting `journal.compact_grace_s` when not given.",
)
@pass_state
def compact(state: State, grace_s: float | None) -> None:
    """Merge the small files of the sealed log into large ones.

    Every merged file is verified before what it merges is replaced by stubs, which keep
    their names and say where the events are. A long-running process does this by itself.
    """
    with state.open_lake() as lake:
        report = lake.journal.compact(grace_s=grace_s)
    if state.as_json:
        content = asdict(report)
        del content["problems"]
        print_json(content)
        return
    saved = report.bytes_before - report.bytes_after
    print_text(
        f"{count(len(report.runs), 'file')} made, {count(report.replaced, 'file')} replaced, "
        f"{saved:,} bytes saved"
    )
    if report.waiting_s is not None:
        note(f"more can be replaced in {report.waiting_s:.0f} s: queries may still read it")


@command.command(
    "record",
    epilog="Example: lakecore journal record < events.ndjson",
)
@click.option("--actor", metavar="NAME", help="For events that name no actor.")
@click.option("--source", metavar="SOURCE", default=SOURCE, help="For events that name no source.")
@pass_state
def record(state: State, actor: str | None, source: str) -> None:
    """Record events: one JSON object a line on stdin, with the fields of an event.

    They are written 1,000 at a time and durable when the command ends. An error says
    which line or row is wrong, and how many events before it are recorded. A line
    looks like

    {"entity_type": "job", "entity_id": "7", "action": "start", "actor": "cron"}
    """
    recorded = 0
    with state.open_lake(actor=actor) as lake:
        defaults = {"actor": lake.actor, "source": source}
        try:
            for events in _batches(sys.stdin.buffer):
                lake.journal.record_many([{**defaults, **event} for event in events])
                recorded += len(events)
        except LakecoreError:
            note(f"{count(recorded, 'event')} recorded before this; rows are counted from there")
            raise
    if state.as_json:
        print_json({"recorded": recorded})
    else:
        print_text(f"{count(recorded, 'event')} recorded")


def _batches(lines: Iterable[bytes]) -> Iterator[list[dict[str, object]]]:
    """The events of each 1,000 lines; blank lines are passed over."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(itertools.islice(numbered, _RECORD_BATCH)):
        yield [_event(number, line) for number, line in batch]


def _event(number: int, line: bytes) -> dict[str, object]:
    where = f"line {number}"
    if len(line) > _MAX_LINE_BYTES:
        raise InvalidInput("a line is too long", expected="at most 256 MiB", where=where)
    try:
        event = json.loads(line)
    except ValueError as error:
        raise InvalidInput("a line is not JSON", found=str(error), where=where) from error
    if not isinstance(event, dict):
        raise InvalidInput("a line is not a JSON object", found=type(event).__name__, where=where)
    return event
