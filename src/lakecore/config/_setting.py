"""One setting: its default, and what the reader of a file needs to know of it.

Names end in their unit. `setting` attaches what the setting is for, its bounds, and whether its
value is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final

NO_OPTIONS: Final[Mapping[str, str]] = MappingProxyType({})


def setting(
    default: Any,
    about: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
    masked: bool = False,
    choices: tuple[str, ...] = (),
    tables: type | None = None,
    required: bool = False,
) -> Any:
    """A dataclass field with its description; `minimum` and `maximum` are inclusive.

    `secret`: the value is in no error; `masked`: nor is any part of it shown. `tables` describes
    each table of a list of them;
    `required`: each of these tables has it.
    """
    metadata = {
        "about": about,
        "minimum": minimum,
        "maximum": maximum,
        "secret": secret,
        "masked": masked,
        "choices": choices,
        "tables": tables,
        "required": required,
    }
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)
