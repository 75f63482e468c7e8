"""``lakecore review search`` and ``lakecore review refactor``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_table


@make_command(name="search", epilog="Example: lakecore review search 'Ladder.ask' --kind finding")
@click.argument("term")
@click.option("--name", "repository", help="Only of the repository that is kept under this name.")
@click.option("--kind", type=click.Choice(["file", "finding", "review"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@pass_state
def search(
    state: State, /, term: str, repository: str | None, kind: str | None, limit: int
) -> None:
    """Files, findings and reviews that TERM is in: a symbol, a path, or words.

    All words have to be there, or their beginnings. 'why' says what a hit's points are for.
    """
    with state.open_lake() as lake:
        hits = lake.reviews.search(term, repository=repository, kind=kind, limit=limit)
    if state.as_json:
        print_json([hit.to_body() for hit in hits])
        return
    rows = []
    for hit in hits:
        row = hit.row
        where = f"{row['path']}:{row['line']}" if row["line"] else str(row["path"])
        why = ", ".join(f"{reason} {points:g}" for reason, points in hit.why)
        told = str(row["claim"] or row["symbol"] or "")[:60]
        rows.append([f"{hit.score:g}", row["kind"], where, row["state"] or "", told, why])
    print_table(("score", "kind", "where", "state", "what", "why"), rows)


def make_refactor_command(
    where: Callable[[Any], Any], options: Callable[[Any, dict[str, Any]], dict[str, Any]]
) -> click.Command:
    """``review refactor`` with the options that say which repository, under which bar."""

    @make_command(name="refactor", epilog="Example: lakecore review refactor --repo ../project")
    @where
    @click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
    @pass_state
    def refactor(state: State, /, repository: str, limit: int, **given: Any) -> None:
        """Where files should be made anew rather than mended again, and why.

        Signals are no verdict, and change no exit code: they say where to look first.
        """
        with state.open_lake() as lake:
            found = lake.reviews.refactor_signals(repository, **options(lake, given))[:limit]
        if state.as_json:
            print_json([one.to_body() for one in found])
            return
        print_table(
            ("signal", "where", "value", "n", "why"),
            [
                [
                    one.kind,
                    f"{one.path} {one.symbol}".strip(),
                    f"{one.value:g}",
                    str(one.n),
                    one.reason,
                ]
                for one in found
            ],
        )

    return refactor
