"""``lakecore diff``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import parse_time
from lakecore.cli._output import note, print_table

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = ("action", "entity_id", "field", "old_value", "new_value")


@make_command(name="diff", epilog="Example: lakecore diff planes 3 7")
@click.argument("dataset")
@click.argument("v1")
@click.argument("v2")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Lines of the table; with --json there are all.",
)
@pass_state
def command(state: State, dataset: str, v1: str, v2: str, limit: int) -> None:
    """What turns one version of a dataset into another, by row and field.

    V1 and V2 are version numbers or times, in either order. Rows of a dataset without a key
    are told as a whole.
    """
    moments = [_moment(text) for text in (v1, v2)]
    with state.open_lake() as lake:
        rows = _rows(lake.diff(dataset, *moments))
        if state.as_json:
            print_list(rows)
            return
        shown = list(islice(rows, limit))
        more = sum(1 for _ in rows)
        if not shown:
            note("there is no difference")
            return
        print_table(
            ["action", "row", "field", "old", "new"],
            [tuple(row[name] or "" for name in _SHOWN) for row in shown],
        )
        if more:
            note(f"and {more:,} more; --limit N shows more of them, --json all")


def _moment(text: str) -> Any:
    is_version = text.isascii() and text.isdigit()
    return int(text) if is_version else parse_time(text, option="V1, V2")


def _rows(batches: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def print_list(rows: Iterator[dict[str, Any]]) -> None:
    """A JSON list, written while it is read."""
    separator = "["
    for row in rows:
        sys.stdout.write(f"{separator}\n  {json.dumps(row, ensure_ascii=False)}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")
