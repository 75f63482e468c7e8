"""``lakecore status``."""

from __future__ import annotations

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_pairs


@make_command(name="status", epilog="Example: lakecore status --json")
@pass_state
def command(state: State) -> None:
    """What is in the lake, what waits to be sealed, and since when."""
    with state.open_lake() as lake:
        status = lake.status()
    if state.as_json:
        print_json(status)
    else:
        print_pairs(flattened(status))


def flattened(document: object, prefix: str = "") -> dict[str, object]:
    """Nested objects as lines: names joined by spaces, whole numbers with separators.

    >>> flattened({"journal": {"tree_size": 1000}, "open": True})
    {'journal tree size': '1,000', 'open': 'yes'}
    """
    if isinstance(document, dict):
        lines: dict[str, object] = {}
        for name, value in document.items():
            lines.update(flattened(value, f"{prefix} {name}".strip().replace("_", " ")))
        return lines
    return {prefix: _value(document)}


def _value(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(str(_value(item)) for item in value)
    return "none" if value is None else value
