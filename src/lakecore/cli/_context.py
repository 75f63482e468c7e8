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

        with (
            warnings.catch_warnings(record=True) as said,
            open_lake(self.lake, actor=actor, config=self.config_file, create=create) as lake,
        ):
            warnings.simplefilter("always", category=UserWarning)
            try:
                yield lake
            finally:
                _tell(said)


def _tell(said: list[warnings.WarningMessage]) -> None:
    """What was answered by a replica, and how old that is: the last word about it."""
    found = [str(one.message) for one in said if type(one.message).__name__ == "StaleAnswer"]
    if found:
        note(f"warning: {printable(found[-1])}")


pass_state = click.make_pass_decorator(State, ensure=True)
