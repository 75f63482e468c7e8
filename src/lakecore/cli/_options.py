"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from lakecore.app import Lake

TIERS: Final = ("auto", "dry_run", "sim", "preview")

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


def workspace_option(function: _Decorated) -> _Decorated:
    """``--workspace``: in which workspace, instead of main."""
    return click.option(
        "--workspace", metavar="NAME", help="In this workspace, not in main; it has to exist."
    )(function)


def inside(lake: Lake, workspace: str | None) -> Any:
    """What has the calls: the lake, or one of its workspaces. Raises `NotFound`."""
    return lake if workspace is None else lake.workspace(workspace, create=False)


def tier_option(function: _Decorated) -> _Decorated:
    """``--tier``: whether the change is made, waits for an approval, or is only shown."""
    return click.option(
        "--tier",
        type=click.Choice(TIERS),
        default=TIERS[0],
        show_default=True,
        help="auto: make the change, if the rules let it pass; dry_run: show what would change, "
        "and let it wait for `approve`; sim: the same, tried in a workspace; preview: show only.",
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


def keys_option(function: _Decorated) -> _Decorated:
    """``--key``: rows by their keys."""
    return click.option(
        "--key",
        "keys",
        metavar="KEY",
        multiple=True,
        help="A row's key, a JSON array of several columns'; may be given more than once.",
    )(function)


def parse_keys(texts: tuple[str, ...]) -> list[object] | None:
    """The keys that were given; None without any."""
    return [parse_key(text) for text in texts] or None


_EVENT_FILTERS: Final = (
    click.option("--entity-type", metavar="TYPE"),
    click.option("--entity-id", metavar="ID"),
    click.option("--field", metavar="NAME"),
    click.option("--action", metavar="ACTION"),
    click.option("--actor", metavar="NAME"),
    click.option("--source", metavar="SOURCE"),
    click.option("--workspace", "workspace_id", metavar="NAME"),
    click.option("--dataset", metavar="NAME"),
    click.option("--mutation", "mutation_id", metavar="ID"),
    click.option(
        "--since", metavar="TIME", help="RFC 3339, or a date; UTC where no zone is given."
    ),
    click.option("--until", metavar="TIME", help="Before this time."),
)


def event_filters(function: _Decorated) -> _Decorated:
    """The options that choose events by their columns and time."""
    for option in reversed(_EVENT_FILTERS):
        function = option(function)
    return function


def chosen_filters(options: Mapping[str, str | None]) -> dict[str, Any]:
    """What was given of `event_filters`, as `Journal.query` takes it."""
    chosen: dict[str, Any] = {name: text for name, text in options.items() if text is not None}
    for name in {"since", "until"} & chosen.keys():
        chosen[name] = parse_time(chosen[name], option=f"--{name}")
    return chosen


def parse_time(text: str, *, option: str) -> Any:
    """An aware datetime from RFC 3339 or a date.

    >>> parse_time("2026-01-31", option="--since").isoformat()
    '2026-01-31T00:00:00+00:00'
    """
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            "not a time", expected="2026-01-31 or 2026-01-31T12:00:00Z", found=text, where=option
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
