"""``lakecore pending``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from lakecore.base import NotFound
from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note, print_json, print_pairs, print_table, print_text
from lakecore.cli._text import count, moment, moment_of, printable

if TYPE_CHECKING:
    from lakecore.app import Lake
    from lakecore.changes import Pending

_COUNTS: Final = ("inserted", "updated", "deleted")
_DIFF: Final = ("action", "entity_id", "field", "old_value", "new_value")


@make_command(name="pending", epilog="Example: lakecore pending --all")
@click.argument("change", metavar="[ID]", required=False)
@click.option("--all", "decided", is_flag=True, help="Also those that are decided.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Changed fields of one change that are shown.",
)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Skip as many of them.")
@pass_state
def command(state: State, change: str | None, decided: bool, limit: int, offset: int) -> None:
    """The changes that wait for an approval; with an ID what it would change, and why it waits."""
    with state.open_lake() as lake:
        if change is not None:
            _show(state, lake, lake.pending_change(change), limit, offset)
        elif state.as_json:
            print_json([pending.to_dict() for pending in lake.pending(decided=decided)])
        else:
            _list(lake.pending(decided=decided))


def _list(found: list[Pending]) -> None:
    if not found:
        note("nothing waits for an approval")
        return
    print_table(
        ["id", "state", "change", "dataset", "rows", "actor", "since", "why"],
        [
            (
                pending.id,
                pending.state,
                pending.op,
                pending.dataset,
                sum(pending.body["counts"][name] for name in _COUNTS),
                pending.author.actor,
                moment(moment_of(pending.body["created_us"])),
                _why(pending),
            )
            for pending in found
        ],
        right=["rows"],
    )


def _show(state: State, lake: Lake, pending: Pending, limit: int, offset: int) -> None:
    try:
        diff = lake.pending_diff(pending.id, offset=offset, limit=limit).to_pylist()
    except NotFound:
        diff = []  # decided: the journal has what was made
    if state.as_json:
        print_json({**pending.to_dict(), "diff": diff})
        return
    body = pending.body
    approval = pending.decision["approval"]
    asked = pending.decision["demanded"] == "auto"
    pairs = {
        "id": pending.id,
        "state": pending.state,
        "change": f"{pending.op} {pending.dataset}",
        "actor": pending.author.actor,
        "reason": pending.author.reason,
        "why it waits": _why(pending),
        "may be approved": "by anyone" if asked else _by(approval),
        "until": moment(moment_of(pending.expires_us)),
        "shown": f"{count(body['shown'], 'time')}",
        "decided by": body["decided_by"],
    }
    print_pairs({name: value for name, value in pairs.items() if value})
    if diff:
        print_text()
        print_table(
            ["action", "row", "field", "old", "new"],
            [tuple(row[name] or "" for name in _DIFF) for row in diff],
        )
        rest = body["diff_rows"] - offset - len(diff)
        if rest > 0:
            note(f"and {rest:,} more: --offset {offset + len(diff)}")


def _why(pending: Pending) -> str:
    reasons = pending.decision["reasons"]
    return printable("; ".join(reason["message"] for reason in reasons))


def _by(approval: dict[str, object]) -> str:
    roles = approval.get("roles") or []
    text = "by anyone" if approval.get("by") == "anyone" else "by somebody else"
    return (
        f"{text} who is {' or '.join(map(str, roles))}"
        if isinstance(roles, list) and roles
        else text
    )
