"""The reference page of the command line, ``docs/cli.md``, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lakecore.cli._main import root

_WIDTH = 88


def commands(
    command: click.Command | None = None, parent: click.Context | None = None
) -> Iterator[tuple[click.Context, click.Command]]:
    """Every command with its context, groups before what is in them."""
    command = command or root
    name = command.name or ""
    ctx = click.Context(
        command, info_name=name, parent=parent, max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    yield ctx, command
    if isinstance(command, click.Group):
        for child_name in command.list_commands(ctx):
            child = command.get_command(ctx, child_name)
            if child is not None:
                yield from commands(child, ctx)


def reference_markdown() -> str:
    """The help of every command, one section each."""
    lines = [
        "# Command line",
        "",
        "<!-- Written by scripts/generate_cli_docs.py: change the commands instead. -->",
        "",
        "Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a check failed or",
        "found something (an unexpected error, a bug, too), 2 bad usage or input, 3 inconclusive,",
        "4 unavailable: try again, 130 interrupted. With `--json`, a result is one JSON document",
        'on stdout and an error is `{"error": {"type", "message", "exit_code", …}}` on stderr.',
        "The options `--lake`, `--config` and `--json` may stand before or after the command.",
        "",
    ]
    for ctx, command in commands():
        text = "\n".join(line.rstrip() for line in command.get_help(ctx).splitlines())
        lines += [f"## {ctx.command_path}", "", "```text", text, "```", ""]
    return "\n".join(lines).rstrip() + "\n"
