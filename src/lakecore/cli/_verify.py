"""``lakecore verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import count, printable

if TYPE_CHECKING:
    from lakecore.app import Check, VerifyReport

PARTS: Final = ("integrity", "anchored", "completeness")
MAX_SHOWN_PROBLEMS: Final = 50
_WORDS: Final = {
    "green": "ok",
    "broken": "BROKEN",
    "inconclusive": "cannot be told",
    "absent": "not available",
}
_EXIT_CODES: Final = {"green": 0, "broken": 1, "inconclusive": 3}


@make_command(name="verify", epilog="Example: lakecore verify --full")
@click.option("--full", is_flag=True, help="Recompute all, also what was verified before.")
@click.option(
    "--vkey",
    "vkeys",
    multiple=True,
    metavar="VKEY",
    help="A key that may sign checkpoints, <name>+<id>+<base64>. May be repeated.",
)
@click.pass_context
@pass_state
def command(state: State, ctx: click.Context, full: bool, vkeys: tuple[str, ...]) -> None:
    """Check that the record is whole and that the data is what it says.

    \b
    integrity:    every event is as it was sealed
    anchored:     the log's head is signed and held outside of the lake
    completeness: every version of every table and document has its events,
                  and every sealed event its version

    Events that this machine verified before are not recomputed as long as their files
    keep their size and time; --full does, and finds a disk's decay.

    A signature counts when its key is given, or is this machine's own. A copy of the
    lake's files is enough, and they are only read.

    Exit code 1 when one of them is broken, 3 when one cannot be told.
    """
    with state.open_lake() as lake:
        report = lake.verify(full=full, vkeys=vkeys)
    if state.as_json:
        print_json(report)
    else:
        print_report(report)
    ctx.exit(_EXIT_CODES[report.status])


def print_report(report: VerifyReport) -> None:
    """One line for each of the three answers, then what is wrong with it."""
    for name in PARTS:
        check: Check = getattr(report, name)
        print_text(f"{name + ':':<13} {_WORDS[check.status]}: {printable(check.summary)}")
        for problem in check.problems[:MAX_SHOWN_PROBLEMS]:
            print_text(f"  - {printable(problem)}")
        hidden = len(check.problems) - MAX_SHOWN_PROBLEMS
        if hidden > 0:
            print_text(f"  - and {count(hidden, 'more problem')}; --json has all of them")
