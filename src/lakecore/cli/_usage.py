"""``lakecore usage``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_table

if TYPE_CHECKING:
    from lakecore.llm import UsageReport

_GROUPS: Final = ("model", "rung", "source", "key", "actor", "day")
_COLUMNS: Final = ("requests", "failed", "prompt_tokens", "completion_tokens", "cost_usd")


@make_command(name="usage", epilog="Example: lakecore usage --days 7 --by key")
@click.option("--days", type=click.IntRange(1, 36_600), help="The last days (UTC); 1 is today.")
@click.option("--key", metavar="ID", help="What came with one API key.")
@click.option(
    "--by", type=click.Choice(_GROUPS), default="model", show_default=True, help="A line for each."
)
@pass_state
def command(state: State, days: int | None, key: str | None, by: str) -> None:
    """What models were asked on this machine, by whom, and what it cost.

    Failed and repeated requests count, too. The rows of all machines are in system.usage.
    """
    with state.open_lake() as lake:
        report = lake.usage(days=days, key=key)
    if state.as_json:
        print_json(report)
    else:
        _print(report, by)


def _print(report: UsageReport, by: str) -> None:
    groups = [
        (name or "(none)", figures.to_dict()) for name, figures in report.by.get(by, {}).items()
    ]
    rows = [_row(name, figures) for name, figures in [*groups, ("all", report.total.to_dict())]]
    print_table((by, *(name.replace("_", " ") for name in _COLUMNS)), rows, right=_RIGHT)


_RIGHT: Final = tuple(name.replace("_", " ") for name in _COLUMNS)


def _row(name: str, figures: dict[str, Any]) -> list[str]:
    counts = [f"{figures[column]:,}" for column in _COLUMNS[:-1]]
    return [name, *counts, f"{figures['cost_usd']:.6f}"]
