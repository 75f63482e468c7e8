"""``lakecore search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note, print_json, print_table
from lakecore.cli._text import count, printable

if TYPE_CHECKING:
    from lakecore.search import SearchResult

_CELL_CHARACTERS = 80


@make_command(
    name="search",
    epilog=(
        "Examples:\n\n"
        'lakecore search planes_text "wide body twin jet"\n\n'
        'lakecore search planes_text boeing --where "seats > 300" --limit 5'
    ),
)
@click.argument("index")
@click.argument("text")
@click.option(
    "--where",
    metavar="SQL",
    help="A condition over the dataset's columns, as of the version that is indexed.",
)
@click.option("--limit", metavar="N", type=click.IntRange(1, 1_000), default=10, show_default=True)
@click.option("--offset", metavar="N", type=click.IntRange(0), default=0, help="Leave out so many.")
@pass_state
def command(
    state: State, index: str, text: str, where: str | None, limit: int, offset: int
) -> None:
    """The rows of INDEX that fit TEXT best, the best first.

    Words in "quotes" belong together, -word leaves rows out. A note on stderr says when the
    dataset changed since it was indexed.
    """
    with state.open_lake() as lake:
        found = lake.search(index, text, where=where, limit=limit, offset=offset)
    if state.as_json:
        print_json({**found.facts(), "items": found.to_pylist()})
    elif not len(found):
        note("nothing was found")
    else:
        _print(found)
    if found.is_behind:
        behind = "many rows" if found.rows_behind is None else count(found.rows_behind, "row")
        note(
            f"the index covers version {found.covered_version} of {found.dataset}, which has "
            f"version {found.version}: {behind} behind; `lakecore index refresh {index}`"
        )


def _print(found: SearchResult) -> None:
    rows = found.to_pylist()
    names = [name for name in rows[0] if name not in ("_rank", "_score", "_key", "_highlight")]
    if any(row["_highlight"] for row in rows):
        names.append("_highlight")
    print_table(
        ["rank", "score", *(name.removeprefix("_") for name in names)],
        [
            (row["_rank"], f"{row['_score']:.4f}", *(_cell(row[name]) for name in names))
            for row in rows
        ],
        right=["rank", "score"],
    )


def _cell(value: Any) -> str:
    text = "" if value is None else printable(value)
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"
