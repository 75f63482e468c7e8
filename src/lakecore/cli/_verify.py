"""``lakecore verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import note, print_json, print_text
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
@click.option(
    "--forget",
    is_flag=True,
    help="First take the log as it is, whatever this machine verified before; an event tells "
    "of it. For a lake that was restored from an older copy.",
)
@authorship
@click.pass_context
@pass_state
def command(
    state: State,
    ctx: click.Context,
    full: bool,
    vkeys: tuple[str, ...],
    forget: bool,
    actor: str | None,
    reason: str,
) -> None:
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

    A log that has fewer events than this machine verified is broken, and stays so. If
    an older copy was restored, and that was meant, --forget says it.

    Exit code 1 when one of them is broken, 3 when one cannot be told.
    """
    if (actor or reason) and not forget:
        raise InvalidInput("--actor and --reason are of --forget", hint="verify changes nothing")
    with state.open_lake(actor=actor) as lake:
        if forget:
            size = lake.forget_verified(source=SOURCE, reason=reason)
            note(f"forgotten: {count(size, 'event')} that this machine verified before")
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
