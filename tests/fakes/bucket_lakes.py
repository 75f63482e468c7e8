"""Lakes with buckets beside them: folders of this disk, or of a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lakecore
from lakecore.config import BucketSettings, LakeSettings, Settings, StorageSettings


def folder_settings(folder: Path, **storage: Any) -> Settings:
    """A lake in `folder`, with the archive `cold` and the replica `dr` beside it."""
    buckets = (
        BucketSettings(name="cold", uri=str(folder / "cold")),
        BucketSettings(name="dr", uri=str(folder / "dr"), role="replica"),
    )
    given = {"bucket": buckets, "probe_interval_s": 0.05, **storage}
    return Settings(
        lake=LakeSettings(uri=str(folder / "lake"), maintain=False),
        storage=StorageSettings(**given),
    )


def open_folder(folder: Path, **storage: Any) -> lakecore.Lake:
    """It, open."""
    return lakecore.open(config=folder_settings(folder, **storage), actor="ada")


def is_sound(lake: lakecore.Lake) -> bool:
    """Whether everything verifies, hashed again; what does not is in the failing assertion."""
    report = lake.verify(full=True)
    assert report.status == "green", report.to_dict()
    return True


def rows(lake: lakecore.Lake, query: str) -> list[tuple[Any, ...]]:
    """What a query gives, sorted."""
    return sorted(tuple(row.values()) for row in lake.sql(query).to_pylist())


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return when it is; it has to become so by itself."""
    deadline_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline_s, "it does not come to be"
        time.sleep(0.02)
