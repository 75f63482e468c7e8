"""``lakecore workspace``: changes apart from main, until they are merged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._diff import print_list
from lakecore.cli._group import group
from lakecore.cli._options import authorship
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count, moment, printable

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.workspaces import FoundConflict, MergeResult, WorkspaceConflicts

_DIFF_COLUMNS: Final = ("action", "entity_id", "field", "old_value", "new_value")
_MAX_SHOWN_CONFLICTS: Final = 100


@group(name="workspace", epilog="Example: lakecore workspace create recount")
def command() -> None:
    """Changes apart from main, until they are merged: docs/workspaces.md.

    Every command that changes rows, and `sql` and `history`, takes --workspace NAME.
    """


@command.command("create", epilog='Example: lakecore workspace create recount --reason "seats"')
@click.argument("name")
@authorship
@pass_state
def create(state: State, name: str, actor: str | None, reason: str) -> None:
    """Make a workspace: every dataset as it is now. No data is copied."""
    with state.open_lake(actor=actor) as lake:
        info = lake.create_workspace(name, source=SOURCE, reason=reason).info
    if state.as_json:
        print_json({"name": info.name, "workspace_id": info.workspace_id, "state": info.state})
    else:
        print_text(f"{info.name}: {count(len(info.base), 'dataset')}, as of now")


@command.command("list", epilog="Example: lakecore workspace list --all")
@click.option("--all", "closed", is_flag=True, help="Also those that were merged or dropped.")
@pass_state
def list_(state: State, closed: bool) -> None:
    """The workspaces, and what was touched in each."""
    where = "" if closed else "where state in ('open', 'merging') "
    with state.open_lake() as lake:
        rows = lake.sql(f"select * from system.workspaces {where}order by name").to_pylist()
    if state.as_json:
        print_json([_plain(row) for row in rows])
        return
    if not rows:
        note("there is no workspace" if closed else "no workspace is open")
        return
    print_table(
        ["name", "state", "touched", "by", "created", "why"],
        [
            (
                row["name"],
                row["state"],
                ", ".join(row["touched"]),
                row["actor"],
                moment(row["created"]),
                row["reason"],
            )
            for row in rows
        ],
    )


@command.command("diff", epilog="Example: lakecore workspace diff recount planes")
@click.argument("name")
@click.argument("dataset", required=False)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Lines for each dataset; with --json there are all.",
)
@pass_state
def diff(state: State, name: str, dataset: str | None, limit: int) -> None:
    """What was changed in a workspace, by row and field."""
    with state.open_lake() as lake:
        found = lake.workspace(name, create=False).diff(dataset)
        if state.as_json:
            print_list(row for one in found.items() for row in _rows(*one))
            return
        is_empty = True
        for one, reader in found.items():
            rows = _rows(one, reader)
            shown = list(islice(rows, limit))
            more = sum(1 for _ in rows)
            if not shown:
                continue
            if not is_empty:
                print_text()
            is_empty = False
            print_text(printable(one))
            print_table(
                ["action", "row", "field", "old", "new"],
                [tuple(row[column] or "" for column in _DIFF_COLUMNS) for row in shown],
            )
            if more:
                note(f"and {more:,} more; --limit N shows more of them, --json all")
        if is_empty:
            note("nothing was changed")


@command.command(
    "merge",
    epilog=(
        "Examples:\n\nlakecore workspace merge recount\n\n"
        "lakecore workspace merge recount --resolve planes:N10156:seats=ours"
    ),
)
@click.argument("name")
@click.option(
    "--on-conflict",
    type=click.Choice(["refuse", "ours", "theirs"]),
    default="refuse",
    show_default=True,
    help="Where main changed the same: ours is the workspace's, theirs is main's.",
)
@click.option(
    "--resolve",
    "resolve",
    multiple=True,
    metavar="D:KEY:FIELD=SIDE",
    help="One conflict's side: ours or theirs; FIELD '*' is the whole row. May be repeated.",
)
@authorship
@pass_state
def merge(
    state: State,
    name: str,
    on_conflict: str,
    resolve: tuple[str, ...],
    actor: str | None,
    reason: str,
) -> None:
    """Make in main what was changed in a workspace, by the rules.

    Where main changed the same since, nothing is merged: the conflicts are listed, and the
    exit code is 1. The same command again goes on with a merge that was interrupted.
    """
    from lakecore.workspaces import WorkspaceConflicts

    resolutions = [parse_resolution(text) for text in resolve]
    with state.open_lake(actor=actor) as lake:
        workspace = lake.workspace(name, create=False)
        try:
            result = workspace.merge(
                on_conflict=on_conflict, resolve=resolutions, source=SOURCE, reason=reason
            )
        except WorkspaceConflicts as conflicts:
            _print_conflicts(state, conflicts)
            raise click.exceptions.Exit(1) from conflicts
    _print_result(state, result)


@command.command("drop", epilog="Example: lakecore workspace drop recount")
@click.argument("name")
@authorship
@pass_state
def drop(state: State, name: str, actor: str | None, reason: str) -> None:
    """End a workspace without a merge. What main has is not touched."""
    with state.open_lake(actor=actor) as lake:
        dropped = lake.workspace(name, create=False).drop(source=SOURCE, reason=reason)
    if state.as_json:
        print_json({"name": dropped.name, "state": dropped.state})
    else:
        print_text(f"{dropped.name} is dropped")


def parse_resolution(text: str) -> list[str]:
    """Dataset, row, field and side. A row's key may hold colons and equals signs.

    >>> parse_resolution("planes:N10156:seats=ours")
    ['planes', 'N10156', 'seats', 'ours']
    """
    cell, _, side = text.rpartition("=")
    dataset, _, rest = cell.partition(":")
    entity, colon, field = rest.rpartition(":")
    if not (dataset and colon and field) or side not in ("ours", "theirs"):
        raise InvalidInput(
            "not a resolution of a conflict",
            expected="DATASET:KEY:FIELD=ours or …=theirs",
            found=text,
            where="--resolve",
        )
    return [dataset, entity, field, side]


def _rows(dataset: str, reader: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    for batch in reader:
        for row in batch.to_pylist():
            yield {"dataset": dataset, **row}


def _print_conflicts(state: State, conflicts: WorkspaceConflicts) -> None:
    if state.as_json:
        found = [one.to_dict() for one in conflicts.conflicts]
        print_json({"conflicts": found, "count": conflicts.count})
        return
    shown = conflicts.conflicts[:_MAX_SHOWN_CONFLICTS]
    print_table(
        ["dataset", "row", "field", "base", "ours", "theirs", "main changed by"],
        [_conflict_row(one) for one in shown],
    )
    more = conflicts.count - len(shown)
    if more:
        note(f"and {more:,} more")
    note("nothing was merged: --resolve D:KEY:FIELD=ours|theirs, or --on-conflict for all")


def _conflict_row(one: FoundConflict) -> tuple[str, ...]:
    sides = ("absent" if side is None else side for side in (one.base, one.ours, one.theirs))
    by = "" if one.by is None else f"{one.by.actor}, {moment(one.by.timestamp)}"
    return (one.dataset, one.entity_id, one.field, *sides, by)


def _print_result(state: State, result: MergeResult) -> None:
    if state.as_json:
        print_json(result)
        return
    if not result.datasets:
        print_text(f"{result.workspace}: nothing was changed, nothing to merge")
    for one in result.datasets:
        parts = [("inserted", one.inserted), ("updated", one.updated), ("deleted", one.deleted)]
        text = ", ".join(f"{number:,} {word}" for word, number in parts if number)
        ending = f"version {one.version}" if one.version is not None else "no new version"
        if one.held:
            ending = f"waits for an approval: lakecore approve {one.mutation_id}"
        print_text(f"{printable(one.dataset)}: {text or 'as main has it'}; {ending}")
    if result.held:
        note(f"merge again when it is approved: lakecore workspace merge {result.workspace}")
    for name in result.late:
        note(f"{name} was changed in the workspace after the merge began: not merged")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: row[name].isoformat() if row[name] else None for name in ("created", "closed")}
    return {**row, **times, "merged": dict(row["merged"] or [])}
