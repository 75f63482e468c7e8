"""Groups that import a command only when it runs, and options that every command takes."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import click
from click.shell_completion import shell_complete

from lakecore.cli._context import State
from lakecore.cli._errors import guarded

_COMPLETION_VARIABLE = "_LAKECORE_COMPLETE"


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option; the one after the command's name wins over the one before."""
    state = ctx.ensure_object(State)
    if value is not None and value is not False:
        setattr(state, parameter.name or "", value)


def _global_parameters() -> list[click.Option]:
    return [
        click.Option(
            ["--lake", "lake"],
            metavar="URI",
            expose_value=False,
            callback=_remember,
            help="The lake: a path or URL. Default: LAKECORE_LAKE, then ./lake.",
        ),
        click.Option(
            ["--config", "config_file"],
            metavar="FILE",
            type=click.Path(),
            expose_value=False,
            callback=_remember,
            help="Settings. Default: lakecore.toml.",
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print JSON.",
        ),
    ]


class Command(click.Command):
    """A command that takes the global options after its name, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_parameters()]


class Group(click.Group):
    """A group of commands in one module, all of which take the global options."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_parameters()]


class LazyGroup(Group):
    """A group whose commands are named with a summary each and imported when they are used.

    `sections` maps a heading to {command name: summary}; the command ``x`` is `command`
    in the module ``<package>._x``.
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Mapping[str, str]] | None = None,
        package: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections or {}
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in self._sections.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if not any(cmd_name in names for names in self._sections.values()):
            return None
        module = import_module(f"{self._package}._{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            question = f"; did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no command '{args[0]}'{question}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(list(names.items()))

    def main(  # type: ignore[override]  # the exit code always leaves by SystemExit
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> None:
        """Run the command line and leave by `SystemExit` with an exit code of ours."""
        arguments = sys.argv[1:] if args is None else list(args)
        name = prog_name or "lakecore"
        instruction = os.environ.get(_COMPLETION_VARIABLE)
        if instruction:
            sys.exit(shell_complete(self, extra, name, _COMPLETION_VARIABLE, instruction))

        def run() -> None:
            with self.make_context(name, list(arguments), **extra) as ctx:
                self.invoke(ctx)

        sys.exit(guarded(run, as_json="--json" in arguments))


def command(**attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Like `click.command`, with the global options after the name."""
    return click.command(cls=Command, **attributes)


def group(**attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Like `click.group`, for the commands of one module."""
    return click.group(cls=Group, **attributes)
