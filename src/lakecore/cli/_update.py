"""``lakecore update``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._changes import report
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import (
    change_options,
    inside,
    keys_option,
    parse_keys,
    split_assignment,
    workspace_option,
)

_SQL_TEXT: Final = re.compile(r"'((?:[^']|'')*)'")


@make_command(
    name="update",
    epilog=(
        "Examples:\n\n"
        "lakecore update planes --where \"tailnum = 'N10156'\" --set seats=60 "
        '--reason "refitted"\n\n'
        "lakecore update planes --all --set seats:=seats+1"
    ),
)
@click.argument("dataset")
@click.option("--where", metavar="SQL", help="Which rows: a condition over the columns.")
@click.option(
    "--set",
    "assignments",
    metavar="COL=VALUE",
    multiple=True,
    required=True,
    help="A column's new value; COL:=SQL is an expression, COL:=NULL no value.",
)
@keys_option
@click.option("--all", "all_rows", is_flag=True, help="Every row, with no --where and no --key.")
@workspace_option
@change_options
@pass_state
def command(
    state: State,
    dataset: str,
    where: str | None,
    assignments: tuple[str, ...],
    keys: tuple[str, ...],
    all_rows: bool,
    workspace: str | None,
    actor: str | None,
    reason: str,
    tier: str,
) -> None:
    """Change columns of the rows with some keys, or for which a condition holds."""
    columns = parse_assignments(assignments)
    with state.open_lake(actor=actor) as lake:
        result = inside(lake, workspace).update(
            dataset,
            set=columns,
            where=where,
            keys=parse_keys(keys),
            all=all_rows,
            source=SOURCE,
            reason=reason,
            tier=tier,
        )
        report(state, result)


def parse_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """Column to value: text for ``col=value``, an `Sql` for ``col:=expression``.

    The change casts text to the column's type. A value in SQL's single quotes is taken
    without them, since that is what somebody who thinks in SQL writes.
    """
    from lakecore.tables import Sql

    columns: dict[str, object] = {}
    for assignment in assignments:
        column, value = split_assignment(assignment, option="--set")
        quoted = _SQL_TEXT.fullmatch(value)
        new: object = quoted[1].replace("''", "'") if quoted else value
        if column.endswith(":"):
            column, new = column[:-1].rstrip(), Sql(value)
        if column in columns:
            raise InvalidInput("a column is set twice", where="--set", found=column)
        columns[column] = new
    return columns
