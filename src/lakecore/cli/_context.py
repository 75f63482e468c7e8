"""What a command has at hand: the global options, the settings, and the lake they name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lakecore.cli._output import note
from lakecore.cli._text import printable

if TYPE_CHECKING:
    from lakecore.app import Lake
    from lakecore.config import Loaded

SOURCE = "cli"


@dataclass(slots=True)
class State:
    """The global options of one invocation; each may be set before or after the command."""

    lake: str | None = None
    config_file: str | None = None
    as_json: bool = False

    def load_settings(self) -> Loaded:
        """The settings in force for this invocation."""
        from lakecore.config import load

        return load(lake=self.lake, file=self.config_file)

    @contextmanager
    def open_lake(self, *, actor: str | None = None, create: bool = False) -> Iterator[Lake]:
        """The lake, closed when the block ends; `create` makes it when there is none.

        Changes are made in the name of `actor`, else as configured.
        """
        from lakecore.app import open_lake
        from lakecore.base import StaleAnswer

        # Said once, at the end, and not by whatever line of ours asked.
        warnings.simplefilter("ignore", category=StaleAnswer)
        with open_lake(self.lake, actor=actor, config=self.config_file, create=create) as lake:
            try:
                yield lake
            finally:
                if (last := lake.last_served) is not None:
                    note(f"warning: {printable(str(last))}")


pass_state = click.make_pass_decorator(State, ensure=True)
