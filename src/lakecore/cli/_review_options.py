"""Options that the commands of ``lakecore review`` share: which repository, under which bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lakecore.app import Lake

_F = TypeVar("_F", bound=Callable[..., Any])


def where(function: _F) -> _F:
    """The options that say which repository, under which bar."""
    for option in (
        click.option(
            "--temperature", type=float, default=0.0, show_default=True, help="Part of the bar."
        ),
        click.option(
            "--answer",
            "output_format",
            type=click.Choice(["json", "markdown"]),
            default="json",
            show_default=True,
            help="The form of answers; part of the bar.",
        ),
        click.option(
            "--prompt",
            default="forensic",
            show_default=True,
            help="forensic, soft, or a file of your own; part of the bar.",
        ),
        click.option("--name", help="Under which name it is kept; default: its folder's."),
        click.option(
            "--repo",
            "repository",
            default=".",
            show_default=True,
            type=click.Path(exists=True, file_okay=False),
            help="A folder of the repository.",
        ),
    ):
        function = option(function)
    return function


def options_of(lake: Lake, given: dict[str, Any]) -> dict[str, Any]:
    """What the options of `where` say, as the face takes it."""
    bar = lake.reviews.bar(
        given.pop("prompt"),
        output_format=given.pop("output_format"),
        temperature=given.pop("temperature"),
    )
    return {"bar": bar, "name": given.pop("name")}
