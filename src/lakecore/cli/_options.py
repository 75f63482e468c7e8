"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from lakecore.base import InvalidInput

TIERS: Final = ("auto", "dry_run")

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def authorship(function: _Decorated) -> _Decorated:
    """``--actor`` and ``--reason``: who changes something, and why."""
    for option in (
        click.option("--reason", default="", metavar="TEXT", help="Why; kept with every event."),
        click.option(
            "--actor",
            metavar="NAME",
            help="In whose name. Default: LAKECORE_ACTOR, then the system's user.",
        ),
    ):
        function = option(function)
    return function


def change_options(function: _Decorated) -> _Decorated:
    """`authorship` and ``--tier``."""
    return authorship(tier_option(function))


def tier_option(function: _Decorated) -> _Decorated:
    """``--tier``: whether the change is made, or only computed and shown."""
    return click.option(
        "--tier",
        type=click.Choice(TIERS),
        default=TIERS[0],
        show_default=True,
        help="auto: make the change; dry_run: show what would change, change nothing.",
    )(function)


def parse_value(text: str) -> object:
    """A parameter's value: a JSON number, true, false, null or "text" is that, else it is text.

    >>> parse_value("7"), parse_value("007"), parse_value('"7"'), parse_value("UA")
    (7, '007', '7', 'UA')
    """
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, list | dict) else value


def split_assignment(text: str, *, option: str) -> tuple[str, str]:
    """``name=value`` in its two parts; the value may hold further equals signs."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise InvalidInput(f"{option} needs a name and a value", expected="NAME=VALUE", found=text)
    return name.strip(), value


def parse_key(text: str) -> object:
    """A row's key: a JSON array is a composite key, anything else one value as it stands.

    >>> parse_key("N10156"), parse_key('["EWR", 7]'), parse_key("[not json")
    ('N10156', ['EWR', 7], '[not json')
    """
    if text.startswith("["):
        try:
            parts = json.loads(text)
        except ValueError:
            return text
        if isinstance(parts, list):
            return parts
    return text
