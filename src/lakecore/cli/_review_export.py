"""Findings of a review for other programs and for files: which ones, in which form, to where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore._version import __version__
from lakecore.base import InvalidInput
from lakecore.cli._context import State, pass_state
from lakecore.cli._files import write_text
from lakecore.cli._group import Command
from lakecore.cli._output import note
from lakecore.cli._review_options import options_of, where

if TYPE_CHECKING:
    from lakecore.review import Memory, Tracked

FORMATS: Final = ("json", "csv", "markdown", "sarif")
_SEVERITIES: Final = ("critical", "major", "minor", "info")


def chosen(memory: Memory, states: tuple[str, ...], every: bool) -> list[Tracked]:
    """Findings by path, the severest of each first; without a state those that are open.

    Raises:
        InvalidInput: there is no such state.
    """
    from lakecore.review import State as FindingState

    known = [one.value for one in FindingState]
    for name in states:
        if name not in known:
            raise InvalidInput("no such state", expected=", ".join(known), found=name[:80])
    return [
        one
        for path in sorted(memory.files)
        for one in _in_order(memory.files[path].tracked.values())
        if every or (one.state.value in states if states else one.is_open)
    ]


def _in_order(found: Any) -> list[Tracked]:
    return sorted(
        found, key=lambda one: (_SEVERITIES.index(one.finding.severity), one.finding.line)
    )


def exported(found: list[Tracked], form: str) -> str:
    """Findings as text of one of `FORMATS`."""
    from lakecore.review import export as as_text

    return as_text(found, form, version=__version__)


@click.command(
    "export", cls=Command, epilog="Example: lakecore review export --format sarif -o review.sarif"
)
@where
@click.option("--state", "states", multiple=True, help="Only these; default: what is open.")
@click.option("--all", "every", is_flag=True, help="All, whatever their state.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="sarif", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file; default: standard output.",
)
@pass_state
def export(
    state: State,
    /,
    repository: str,
    states: tuple[str, ...],
    every: bool,
    form: str,
    output: Path | None,
    **given: Any,
) -> None:
    """Write the findings for other programs: SARIF with fingerprints, JSON, CSV, Markdown."""
    with state.open_lake() as lake:
        memory = lake.reviews.memory(repository, **options_of(lake, given))
    found = chosen(memory, states, every)
    text = exported(found, form)
    write_text(output, text)
    if output is not None:
        note(f"{len(found)} findings: {output}")
