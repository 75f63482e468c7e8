"""Settings for people: what is in force and why, and the reference page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from lakecore.config._load import CONFIG_FILE_NAME, SECTIONS, Loaded
from lakecore.config._parse import kind_of

_SECRET_NAME: Final = re.compile(
    r"key|secret|token|password|passwd|credential|sas|signature|authorization", re.I
)
_MASK: Final = "********"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting in force: `value` is fit to be shown, secrets are masked."""

    section: str
    name: str
    value: object
    origin: str


def show(loaded: Loaded) -> list[ShownSetting]:
    """Every setting in the order of the reference, with its value and where it is from."""
    shown = []
    for section, kind in SECTIONS.items():
        values = getattr(loaded.settings, section)
        for setting in fields(kind):
            value = _masked(getattr(values, setting.name), whole=setting.metadata["masked"])
            origin = loaded.origin(section, setting.name)
            shown.append(ShownSetting(section, setting.name, value, origin))
    return shown


def _masked(value: object, *, whole: bool = False) -> object:
    if isinstance(value, Mapping):
        return {
            name: _MASK if whole or _SECRET_NAME.search(str(name)) else _masked(text)
            for name, text in value.items()
        }
    if isinstance(value, tuple):
        return [_masked(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {
            part.name: _masked(getattr(value, part.name), whole=part.metadata.get("masked", False))
            for part in fields(value)
        }
    if isinstance(value, str):
        return re.sub(r"(://)[^/@\s]+@", rf"\1{_MASK}@", value)
    return value


def reference_markdown() -> str:
    """The reference page, ``docs/configuration.md``."""
    lines = [
        "# Configuration",
        "",
        "<!-- Written by scripts/generate_config_docs.py: change the dataclasses instead. -->",
        "",
        "A value is taken from the first of:",
        "",
        "1. the command's option: `--lake`, `--actor`;",
        "2. the environment: `LAKECORE_SECTION__NAME` (two underscores), or the short forms",
        "   `LAKECORE_LAKE` for `lake.uri` and `LAKECORE_ACTOR` for `lake.actor`, which win",
        "   over the long ones;",
        "3. one file: the one of `--config` or `LAKECORE_CONFIG`; else "
        f"`{CONFIG_FILE_NAME}` beside a",
        f"   lake that was named by option or environment; else `{CONFIG_FILE_NAME}` in the",
        "   working directory;",
        "4. the default.",
        "",
        "`lakecore config show` prints every value in force and where it is from, "
        "`lakecore config check`",
        "only whether they are right. A section, key or variable that is not known is an "
        "error. A size",
        'is a number of bytes or text with a unit (`"512 MiB"`, `"2 GB"`).',
        "",
        "`LAKECORE_TRACEBACK=1` shows the traceback of an unexpected error; it is not a "
        "setting of a lake.",
        "",
    ]
    for section, kind in SECTIONS.items():
        lines += _section_markdown(section, kind)
        for setting in fields(kind):
            if setting.metadata["tables"] is not None:
                name = f"{section}.{setting.name}"
                lines += _section_markdown(name, setting.metadata["tables"], is_list=True)
    return "\n".join(lines).rstrip() + "\n"


def _section_markdown(section: str, kind: type, *, is_list: bool = False) -> list[str]:
    variable = section.upper().replace(".", "__") + ("__1" if is_list else "")
    lines = [
        f"## [[{section}]]" if is_list else f"## [{section}]",
        "",
        inspect.cleandoc(kind.__doc__ or ""),
        "",
        "| name | type | default | what |",
        "|---|---|---|---|",
    ]
    defaults = kind()
    for setting in fields(kind):
        what = f"{kind_of(kind, setting.name)}{_bounds(setting.metadata)}"
        default = _toml(getattr(defaults, setting.name))
        lines.append(
            f"| `{setting.name}` | {what} | `{default}` | {setting.metadata['about']} "
            f"`LAKECORE_{variable}__{setting.name.upper()}` |"
        )
    return [*lines, ""]


def _bounds(metadata: Mapping[str, Any]) -> str:
    low, high = metadata["minimum"], metadata["maximum"]
    if metadata["choices"]:
        return ": " + ", ".join(metadata["choices"])
    if low is None and high is None:
        return ""
    if high is None:
        return f", ≥ {low:,}"
    return f", {low:,} to {high:,}"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
