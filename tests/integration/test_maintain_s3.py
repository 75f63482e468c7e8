"""Upkeep on an object store: compaction, checkpoint, vacuum and purge, as on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import BUCKET, s3_options
from tests.unit.maintain.conftest import ADA, Lake

from lakecore.base import NotFound
from lakecore.maintain import MaintainSettings
from lakecore.storage import open_store


def test_upkeep_on_s3(s3_endpoint: str, tmp_path: Path) -> None:
    """Every step, read back, with the whole record green afterwards."""
    store = open_store(f"s3://{BUCKET}/kept", options=s3_options(s3_endpoint))
    settings = MaintainSettings(
        min_files=4, checkpoint_versions=5, retention_days=1, retention_versions=1, grace_hours=1
    )
    lake = Lake(store, tmp_path / "state", settings=settings)
    lake.make()
    lake.make("gone")
    lake.append("gone", 1)
    for number in range(6):
        lake.append("planes", number)
    before = lake.rows()
    assert lake.done("planes") == [("compact", "done"), ("checkpoint", "done")]
    lake.catalog.drop("gone", author=ADA, grace_days=1)
    lake.later(25)
    assert lake.done() == [("vacuum", "done"), ("purge", "done")]
    assert lake.rows() == before
    assert (lake.live(), len(lake.files())) == (1, 1)
    with pytest.raises(NotFound, match="no longer kept"):
        lake.rows(version=2)
    lake.check()
    lake.close()
    store.close()
