"""``lakecore keys``: who comes through the gateway, and what they may do."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import group
from lakecore.cli._options import authorship, parse_time
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import moment, moment_of

if TYPE_CHECKING:
    from lakecore.auth import NewKey

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d{1,9})([smhd])")
_expires = click.option(
    "--expires",
    metavar="TIME",
    help="When it ends: 90d, 12h, 30m, or a time in RFC 3339.",
)


@group(name="keys", epilog="Example: lakecore keys create agent:tidy --scope read --dataset '*'")
def command() -> None:
    """API keys: who comes through the gateway, and what they may do.

    A key's principal is the actor of all that is done with it. Whoever can write the lake's
    files can make keys: that is how the first one is made.
    """


@command.command("create", epilog="Example: lakecore keys create ada --admin --expires 90d")
@click.argument("principal")
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    multiple=True,
    help="read, write, approve, admin or model; with datasets of its own: write:hr.*",
)
@click.option(
    "--dataset",
    "datasets",
    metavar="GLOB",
    multiple=True,
    help="What scopes without datasets of their own are over: planes, hr.*, or * for all.",
)
@click.option("--admin", is_flag=True, help="Every scope over everything.")
@click.option(
    "--kind",
    type=click.Choice(["person", "agent", "pipeline", "service"]),
    help="Default: what the name says before a colon, else person.",
)
@click.option("--role", "roles", metavar="ROLE", multiple=True, help="For rules and approvals.")
@click.option("--trust", type=float, help="0 to 1; for the tiers of changes.")
@_expires
@click.option("--note", "note_text", default="", metavar="TEXT", help="What the key is for.")
@authorship
@pass_state
def create(
    state: State,
    principal: str,
    scopes: tuple[str, ...],
    datasets: tuple[str, ...],
    admin: bool,
    kind: str | None,
    roles: tuple[str, ...],
    trust: float | None,
    expires: str | None,
    note_text: str,
    actor: str | None,
    reason: str,
) -> None:
    """Make a key for PRINCIPAL, and print it: it is shown this once.

    Without a scope a key opens nothing; scopes do not imply each other.
    """
    if admin:
        from lakecore.auth import ACTIONS, EVERYTHING

        if scopes or datasets:
            raise InvalidInput("--admin is every scope over everything", hint="leave --scope out")
        scopes, datasets = ACTIONS, (EVERYTHING,)
    with state.open_lake(actor=actor) as lake:
        made = lake.keys.create(
            principal,
            scopes=scopes,
            datasets=datasets,
            kind=kind,
            roles=roles,
            trust=trust,
            expires=_moment(expires),
            note=note_text,
            source=SOURCE,
            reason=reason,
        )
    _show_once(state, made)


@command.command("list", epilog="Example: lakecore keys list --all")
@click.option("--all", "ended", is_flag=True, help="Also revoked, expired and rotated ones.")
@pass_state
def list_(state: State, ended: bool) -> None:
    """The keys, without their secrets; last used is what this machine saw."""
    with state.open_lake() as lake:
        found = [key for key in lake.keys.describe() if ended or key["state"] == "live"]
    if state.as_json:
        print_json(found)
    elif not found:
        note("there is no such key; `lakecore keys create` makes one")
    else:
        print_table(
            ["id", "state", "principal", "kind", "scopes", "created", "ends", "last used", "note"],
            [
                (
                    key["id"],
                    key["state"],
                    key["principal"],
                    key["kind"],
                    ", ".join(key["scopes"]),
                    moment(moment_of(key["created_us"])),
                    moment(moment_of(_end_us(key))),
                    moment(moment_of(key["last_used_us"])),
                    key["note"],
                )
                for key in found
            ],
        )


@command.command("rotate", epilog="Example: lakecore keys rotate 7h3kq0v5c2mx --overlap 12h")
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    metavar="TIME",
    default="24h",
    show_default=True,
    help="How long the old key lives on: 12h, 30m, 0s.",
)
@_expires
@authorship
@pass_state
def rotate(
    state: State,
    key_id: str,
    overlap: str,
    expires: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Make a successor with the same principal and scopes, and print it: it is shown this once."""
    lasting = _duration(overlap)
    if lasting is None:
        raise InvalidInput("not a duration", expected="12h, 30m, 0s", found=overlap)
    with state.open_lake(actor=actor) as lake:
        made = lake.keys.rotate(
            key_id, overlap=lasting, expires=_moment(expires), source=SOURCE, reason=reason
        )
        old = lake.keys.get(key_id)
    _show_once(state, made)
    note(f"{old.id} lives until {moment(moment_of(old.overlap_ends_us))}")


@command.command("revoke", epilog="Example: lakecore keys revoke 7h3kq0v5c2mx --reason leaked")
@click.argument("key_id", metavar="ID")
@authorship
@pass_state
def revoke(state: State, key_id: str, actor: str | None, reason: str) -> None:
    """End a key, everywhere within five seconds. Its successor, if it has one, lives on."""
    with state.open_lake(actor=actor) as lake:
        revoked = lake.keys.revoke(key_id, source=SOURCE, reason=reason)
    if state.as_json:
        print_json(revoked)
    else:
        print_text(f"revoked {revoked.id} of {revoked.principal.name}")
    if revoked.rotated_to is not None:
        note(f"its successor {revoked.rotated_to} lives on")


def _show_once(state: State, made: NewKey) -> None:
    """The text alone on standard output, so that a script can take it."""
    if state.as_json:
        print_json({**made.key.to_dict(), "key": made.text})
        return
    print_text(made.text)
    scopes = ", ".join(made.key.principal.scopes.to_list())
    ends = moment(moment_of(made.key.expires_us)) or "never ends"
    note(f"key {made.key.id} of {made.key.principal.name}: {scopes}; {ends}")
    note("keep it now: it is not shown again")


def _end_us(key: dict[str, Any]) -> int | None:
    ends = [key[name] for name in ("expires_us", "overlap_ends_us", "revoked_us") if key[name]]
    return min(ends, default=None)


def _moment(text: str | None) -> datetime | timedelta | None:
    if text is None:
        return None
    lasting = _duration(text)
    if lasting is not None:
        return lasting
    found: datetime = parse_time(text, option="--expires")
    return found


def _duration(text: str) -> timedelta | None:
    """
    >>> _duration("90d"), _duration("soon")
    (datetime.timedelta(days=90), None)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError as error:
        raise InvalidInput("too long a time", found=text) from error
