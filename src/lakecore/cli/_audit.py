"""``lakecore audit``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note

_FORMATS = ("table", "json", "sarif", "markdown")


@make_command(
    name="audit",
    epilog=(
        "Exit codes: 0 nothing is contradicted, 1 a claim is, 2 bad usage, 3 inconclusive.\n\n"
        "Example: lakecore audit origin/main..HEAD"
    ),
)
@click.argument("revisions", metavar="[REV|RANGE]", default="HEAD")
@click.option(
    "--repo",
    type=click.Path(),
    default=".",
    show_default=True,
    metavar="PATH",
    help="A folder of the git repository.",
)
@click.option("--history", is_flag=True, help="REV and all commits before it.")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="What to print. Default: table."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write it to a file."
)
@click.option(
    "--status",
    "status_url",
    metavar="URL",
    help="Send the newest commit a status: the repository's address in the API of GitHub or "
    "Gitea, such as https://api.github.com/repos/OWNER/NAME.",
)
@click.option(
    "--status-token-env",
    metavar="NAME",
    default="LAKECORE_STATUS_TOKEN",
    show_default=True,
    help="The environment variable that has the token.",
)
@click.option(
    "--status-kind", type=click.Choice(("github", "gitea")), help="Default: by the address."
)
@click.option(
    "--status-context",
    metavar="NAME",
    default="lakecore/auditor",
    show_default=True,
    help="What the status is called.",
)
@click.option("--status-link", metavar="URL", default="", help="A page with the details.")
@click.option(
    "--doubts",
    is_flag=True,
    help="Also ask the lake's models what they doubt: warnings, that change no verdict.",
)
@click.pass_context
@pass_state
def command(
    state: State,
    ctx: click.Context,
    revisions: str,
    repo: str,
    history: bool,
    form: str | None,
    output: str | None,
    status_url: str | None,
    status_token_env: str,
    status_kind: str | None,
    status_context: str,
    status_link: str,
    doubts: bool,
) -> None:
    """Hold what commit messages claim against what the commits do.

    \b
    REV         one commit; HEAD if nothing is named
    A..B        the commits of a range
    --history   REV and all before it

    Claims that a program can check are found in each message: files, names, numbers of
    tests and files, values from one to another, dependencies, what is wired, removed,
    renamed, or said to be of one sort only. Each is backed, contradicted or unverifiable.
    Only what is contradicted by diff and tree blocks; vague words never do.

    Any git repository will do; no lake is needed, and nothing is written or run. With
    --doubts the models of a lake are asked, too: the lake has to be there, messages and
    differences are sent to them without secrets, and the exit code is as without.
    """
    from lakecore.app import LadderDoubter, open_audit, send_audit_status
    from lakecore.auditor import render, summary

    if history and ".." in revisions:
        raise InvalidInput("--history is of one commit", found=revisions)
    chosen = form or ("json" if state.as_json else "table")
    settings = state.load_settings().settings.auditor
    with ExitStack() as opened:
        doubter = None
        if doubts:
            lake = opened.enter_context(state.open_lake())
            doubter = LadderDoubter(lake, max_commits=settings.max_doubted_commits)
        audit = opened.enter_context(
            open_audit(
                revisions, repository=repo, history=history, settings=settings, doubter=doubter
            )
        )
        if output is None:
            _write(render(audit, chosen))
        else:
            with open(output, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(render(audit, chosen))
            note(summary(audit))
        if status_url is not None:
            sent = send_audit_status(
                audit,
                url=status_url,
                token_variable=status_token_env,
                kind=status_kind or "",
                context=status_context,
                link=status_link,
            )
            note(f"status sent: {sent}")
        ctx.exit(audit.exit_code)


def _write(pieces: Iterator[str]) -> None:
    """Each piece as it comes: a long audit shows where it is."""
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
