"""``lakecore index``: what searches look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import group
from lakecore.cli._options import authorship, split_assignment
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count, duration, size

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS: Final = ("hybrid", "text", "vector")
_METRICS: Final = ("cosine", "dot", "l2")


@group(name="index", epilog="Example: lakecore index create planes_text planes manufacturer model")
def command() -> None:
    """Indexes over columns of datasets, for `lakecore search` and search(...) in SQL."""


@command.command(
    "create", epilog="Example: lakecore index create planes_text planes manufacturer model"
)
@click.argument("name")
@click.argument("dataset")
@click.argument("columns", metavar="COLUMN...", nargs=-1, required=True)
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    default=_KINDS[0],
    show_default=True,
    help="text: words; vector: meaning, by a model, or a column of vectors; hybrid: both.",
)
@click.option("--model", metavar="NAME", help="That makes vectors. Default: the machine's own.")
@click.option("--metric", type=click.Choice(_METRICS), default=_METRICS[0], show_default=True)
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=NUMBER",
    multiple=True,
    help="exact_rows, connectivity, expansion_add, min_recall.",
)
@authorship
@pass_state
def create(
    state: State,
    name: str,
    dataset: str,
    columns: tuple[str, ...],
    kind: str,
    model: str | None,
    metric: str,
    parameters: tuple[str, ...],
    actor: str | None,
    reason: str,
) -> None:
    """Make an index over COLUMNs of DATASET, which needs a key, and build it.

    DATASET may be system.journal: then events are found.
    """
    given = dict(split_assignment(text, option="--parameter") for text in parameters)
    with state.open_lake(actor=actor) as lake:
        made = lake.index.create(
            name,
            dataset,
            columns,
            kind=kind,
            model=model,
            metric=metric,
            parameters={name: _number(text) for name, text in given.items()},
            source=SOURCE,
            reason=reason,
        )
    _show(state, made)


@command.command("list", epilog="Example: lakecore index list --json")
@pass_state
def list_(state: State) -> None:
    """All indexes, and how far each is behind its dataset."""
    with state.open_lake() as lake:
        found = lake.index.list()
    if state.as_json:
        print_json(found)
    elif not found:
        note("there is no index; `lakecore index create` makes one")
    else:
        print_table(
            ["name", "state", "kind", "dataset", "columns", "rows", "version", "behind", "recall"],
            [
                (
                    one["name"],
                    one["state"],
                    one["kind"],
                    one["dataset"],
                    ", ".join(one["columns"]),
                    "" if one["rows"] is None else f"{one['rows']:,}",
                    "" if one["covered_version"] is None else one["covered_version"],
                    _behind(one),
                    "" if one["recall"] is None else f"{one['recall']:.3f}",
                )
                for one in found
            ],
            right=["rows", "version", "behind", "recall"],
        )
        for one in found:
            if one["error"]:
                note(f"{one['name']}: the last build failed: {one['error']}")


@command.command("refresh", epilog="Example: lakecore index refresh planes_text")
@click.argument("name")
@click.option(
    "--rebuild",
    is_flag=True,
    help="From all rows; with the machine's own model, if it is another than before.",
)
@authorship
@pass_state
def refresh(state: State, name: str, rebuild: bool, actor: str | None, reason: str) -> None:
    """Bring an index to its dataset's newest version: only what changed is read again."""
    with state.open_lake(actor=actor) as lake:
        made = lake.index.refresh(name, rebuild=rebuild, source=SOURCE, reason=reason)
    _show(state, made)


@command.command("drop", epilog="Example: lakecore index drop planes_text")
@click.argument("name")
@authorship
@pass_state
def drop(state: State, name: str, actor: str | None, reason: str) -> None:
    """End an index, and remove its files."""
    with state.open_lake(actor=actor) as lake:
        ended = lake.index.drop(name, source=SOURCE, reason=reason)
    if state.as_json:
        print_json(ended)
    else:
        print_text(f"dropped {ended['name']}")


def _show(state: State, made: Mapping[str, Any]) -> None:
    if state.as_json:
        print_json(dict(made))
        return
    left_out = f", {made['skipped']:,} without content left out" if made["skipped"] else ""
    recall = f", recall {made['recall']:.3f}" if made["recall"] is not None else ""
    print_text(
        f"{made['name']}: {count(made['rows'], 'row')} of {made['dataset']} version "
        f"{made['covered_version']}{left_out}{recall}, {size(made['size_bytes'])}, "
        f"in {duration(made['duration_s'])}"
    )


def _behind(one: Mapping[str, Any]) -> str:
    if one["rows_behind"] is None:
        return "" if one["covered_version"] is None else "many"
    return f"{one['rows_behind']:,}"


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
