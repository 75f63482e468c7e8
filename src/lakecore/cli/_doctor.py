"""``lakecore doctor``."""

from __future__ import annotations

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import printable


@make_command(name="doctor", epilog="Example: lakecore doctor --json")
@click.pass_context
@pass_state
def command(state: State, ctx: click.Context) -> None:
    """Probe what the lake relies on: the store's promises, the libraries, the journal.

    Writes a few small objects and removes them. Exit code 1 when something is wrong.
    """
    with state.open_lake() as lake:
        report = lake.doctor()
    if state.as_json:
        print_json(report)
    else:
        for finding in report.findings:
            answer = "ok:" if finding.ok else "WRONG:"
            print_text(f"{answer:<7} {finding.name} ({printable(finding.text)})")
            if finding.hint:
                print_text(f"        hint: {printable(finding.hint)}")
    ctx.exit(0 if report.ok else 1)
