"""``lakecore review confirm``: claimed fixes, confirmed now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import Command
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._review_options import options_of, where

if TYPE_CHECKING:
    from lakecore.review import Decided

_CONFIRMED: Final = 0
_REFUTED: Final = 1
_INCONCLUSIVE: Final = 3
_SHOWN_LINES: Final = 12


@click.command(
    "confirm",
    cls=Command,
    epilog="Example: lakecore review confirm 3fa1 --test 'pytest -q tests/test_rules.py' "
    "--with tests/test_rules.py",
)
@where
@click.argument("finding", default="")
@click.option(
    "--test",
    metavar="COMMAND",
    help="Fails where the finding is, passes where it is fixed: run on both revisions, as you, "
    "without a shell and without secrets. It is no sandbox.",
)
@click.option(
    "--with",
    "carried",
    multiple=True,
    metavar="PATH",
    help="A path that is taken from the reviewed revision on both, such as the test itself.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1, max=86_400),
    default=600.0,
    show_default=True,
    help="Seconds of the test on one revision.",
)
@click.option("--actor", help="Who asks; default: the lake's actor.")
@pass_state
def confirm(
    state: State,
    /,
    repository: str,
    finding: str,
    test: str | None,
    carried: tuple[str, ...],
    timeout_s: float,
    actor: str | None,
    **given: Any,
) -> None:
    """Confirm FINDING, an id or the beginning of one, that is claimed to be fixed; or all of them.

    A test confirms nothing by itself: blind reviews have to be clean, too. What cannot be run,
    does not end, or passes on the code before, is inconclusive. Each decision is a row of
    system.confirmations.

    Exit codes: 0 all confirmed, 1 something refuted, 3 not all of it could be decided.
    """
    with state.open_lake() as lake:
        decided = lake.reviews.confirm(
            repository,
            finding,
            test=test,
            carried=carried,
            timeout_s=timeout_s,
            who=actor,
            **options_of(lake, given),
        )
    if state.as_json:
        print_json([_body(one) for one in decided])
    elif not decided:
        print_text("no fix is claimed")
    else:
        _print(decided)
    sys.exit(_exit_code(decided))


def _exit_code(decided: list[Decided]) -> int:
    verdicts = {one.confirmation.verdict.value for one in decided}
    if "refuted" in verdicts:
        return _REFUTED
    return _INCONCLUSIVE if "inconclusive" in verdicts else _CONFIRMED


def _print(decided: list[Decided]) -> None:
    rows = []
    for one in decided:
        place = f"{one.finding.finding.path}:{one.finding.finding.line}"
        verdict = one.confirmation
        rows.append([one.finding.id[:12], place, verdict.verdict.value, verdict.reason])
    print_table(("finding", "where", "verdict", "why"), rows)
    for body in (_body(one)["test"] for one in decided):
        for name in ("before", "after") if body else ():
            side = body[name]
            if side is None:
                continue
            print_text(f"{name} ({body[f'{name}_revision'][:12]}): {side['ran']}")
            # Somebody else's text: never as it is into a terminal.
            for line in side["output"].splitlines()[-_SHOWN_LINES:]:
                note("  " + "".join(c if c.isprintable() else " " for c in line))


def _body(one: Decided) -> dict[str, Any]:
    from lakecore.review import finding_body

    return {
        "finding": finding_body(one.finding),
        "verdict": one.confirmation.verdict.value,
        "reason": one.confirmation.reason,
        "missing": one.confirmation.missing,
        "looks": one.looks,
        "test": None if one.test is None else one.test.to_body(),
    }
