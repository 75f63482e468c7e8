"""``lakecore config``: the settings in force."""

from __future__ import annotations

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import group
from lakecore.cli._output import print_json, print_table, print_text


@group(name="config", epilog="Example: lakecore config show")
def command() -> None:
    """Settings in force, where each is from, and whether they are right."""


@command.command("show", epilog="Example: lakecore config show --json")
@pass_state
def show(state: State) -> None:
    """Print every setting with its value and where it is from; secrets are masked."""
    from lakecore.config import show as show_settings

    shown = show_settings(state.load_settings())
    if state.as_json:
        print_json(
            [
                {
                    "section": setting.section,
                    "name": setting.name,
                    "value": setting.value,
                    "origin": setting.origin,
                }
                for setting in shown
            ]
        )
        return
    print_table(
        ["setting", "value", "from"],
        [(f"{s.section}.{s.name}", _text(s.value), s.origin) for s in shown],
    )


@command.command("check", epilog="Example: lakecore --config lakecore.toml config check")
@pass_state
def check(state: State) -> None:
    """Check file and environment; exit code 2 and the reason when something is wrong.

    Nothing is opened and nobody is asked: whether a store answers, `doctor` tells.
    """
    from lakecore.app import check_settings

    loaded = state.load_settings()
    check_settings(loaded.settings)
    path = str(loaded.path) if loaded.path else None
    if state.as_json:
        print_json({"ok": True, "file": path})
    else:
        print_text(f"the settings are right ({path or 'no file'})")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items()) or "{}"
    return str(value) if value != "" else '""'
