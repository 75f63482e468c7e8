"""``lakecore reconcile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import count, printable

if TYPE_CHECKING:
    from lakecore.reconcile import ReconciledVersion


@make_command(name="reconcile", epilog="Example: lakecore reconcile planes")
@click.argument("dataset", required=False)
@click.pass_context
@pass_state
def command(state: State, ctx: click.Context, dataset: str | None) -> None:
    """Journal what other programs committed to the tables, of one dataset or of all.

    Every version that Spark, delta-rs or another engine made past Lakecore is read from the
    files that it removed and added. Of a dataset with a key the journal gets exactly what
    changed, field by field; of others how many rows went and came, and their hashes. The
    actor is external:<engine>.

    Do it before such files are vacuumed: then it can only be told that something changed.

    Exit code 1 when something had to be left: the problem says what to mend.
    """
    with state.open_lake() as lake:
        report = lake.reconcile(dataset)
    if state.as_json:
        print_json(report)
    else:
        for version in report.versions:
            print_text(printable(_line(version)))
        for problem in report.problems:
            print_text(f"  - {printable(problem)}")
        if not report.versions and not report.problems:
            print_text("nothing to reconcile: the journal tells of every version")
    ctx.exit(0 if report.ok else 1)


def _line(version: ReconciledVersion) -> str:
    """What became of one version."""
    what = {
        "changes": f"{version.inserted:,} inserted, {version.updated:,} updated, "
        f"{version.deleted:,} deleted",
        "unchanged": "no row changed",
        "batch": f"{count(version.inserted, 'row')} came, {version.deleted:,} went, "
        f"not told apart: {version.why}",
        "gap": f"what it changed cannot be told any more: {version.why}",
        "adopt": "adopted: its history begins here",
        "journaled": "journaled by another machine meanwhile",
    }[version.kind]
    mark = "; its files said that nothing changed" if version.contradiction else ""
    return (
        f"{version.dataset} version {version.version}: {version.operation} by "
        f"{version.engine}: {what}{mark}"
    )
