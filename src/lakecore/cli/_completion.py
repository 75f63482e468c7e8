"""``lakecore completion``: scripts for the shells."""

from __future__ import annotations

import click

from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_text


@make_command(
    name="completion",
    epilog='Example: eval "$(lakecore completion bash)"',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes the tab key complete commands and options."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = ctx.find_root().command
    print_text(complete(root, {}, "lakecore", "_LAKECORE_COMPLETE").source())
