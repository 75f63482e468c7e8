"""Lakecore: a lakehouse that can prove what happened in it.

>>> import lakecore
>>> with lakecore.open("memory://", actor="data-team") as lake:
...     _ = lake.create("planes", key=["tailnum"], entity_type="plane")
...     _ = lake.insert("planes", [{"tailnum": "N1", "seats": 55}])
...     _ = lake.update("planes", set={"seats": 56}, where="tailnum = 'N1'", reason="recount")
...     for event in lake.history("planes", "N1"):
...         print(event.action, event.field, event.old_value, event.new_value)
...     lake.sql("select sum(seats) as seats from planes").to_pylist()
insert * None {"seats":55,"tailnum":"N1"}
update seats 55 56
[{'seats': 56}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakecore._version import __version__

if TYPE_CHECKING:
    import os

    from lakecore.app import Lake
    from lakecore.base import LakecoreError
    from lakecore.client import Client
    from lakecore.config import Settings
    from lakecore.ingest import IngestOptions
    from lakecore.journal import Event
    from lakecore.tables import Sql

__all__ = [
    "Client",
    "Event",
    "IngestOptions",
    "Lake",
    "LakecoreError",
    "Sql",
    "__version__",
    "open",
]

_HOMES = {
    "Client": "lakecore.client",
    "Event": "lakecore.journal",
    "IngestOptions": "lakecore.ingest",
    "Lake": "lakecore.app",
    "LakecoreError": "lakecore.base",
    "Sql": "lakecore.tables",
}


def open(  # noqa: A001 - the public name
    uri: str | os.PathLike[str] | None = None,
    *,
    actor: str | None = None,
    config: str | os.PathLike[str] | Settings | None = None,
    create: bool = True,
) -> Lake:
    """Open a lake.

    Args:
        uri: a path, ``s3://``, ``gs://``, ``az://`` or ``memory://``; default as configured.
        actor: whose name changes carry; default as configured, then the system's user.
        config: a `lakecore.toml`, or settings; default the file beside the lake and the
            environment.
        create: make the lake when there is none; else `NotFound`.
    """
    from lakecore.app import open_lake

    return open_lake(uri, actor=actor, config=config, create=create)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lakecore' has no attribute {name!r}")
