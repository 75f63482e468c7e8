"""From an address and settings to an open lake."""

from __future__ import annotations

import dataclasses
import getpass
import os
from typing import Any

from lakecore.app._lake import Lake
from lakecore.app._serving import Serving
from lakecore.config import Settings, load


def open_lake(
    uri: str | os.PathLike[str] | None = None,
    *,
    actor: str | None = None,
    config: str | os.PathLike[str] | Settings | None = None,
    create: bool = True,
) -> Lake:
    """Open a lake: see `lakecore.open`."""
    lake = os.fspath(uri) if uri is not None else None
    if isinstance(config, Settings):
        named = {"uri": lake, "actor": actor}
        changes: dict[str, Any] = {
            name: value for name, value in named.items() if value is not None
        }
        settings = dataclasses.replace(config, lake=dataclasses.replace(config.lake, **changes))
    else:
        file = os.fspath(config) if config is not None else None
        settings = load(lake=lake, actor=actor, file=file).settings
    return Lake(
        Serving(settings, create=create),
        actor=settings.lake.actor or system_user(),
    )


def system_user() -> str:
    """The operating system's name for who runs this; ``unknown`` where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
