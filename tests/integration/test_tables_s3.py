"""Tables on an object store: the same changes, checkpoints and races as on a disk."""

from __future__ import annotations

from tests.servers import BUCKET, s3_options
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import SystemClock
from lakecore.storage import open_store
from lakecore.tables import Sql, TableSettings


def test_changes_on_s3(s3_endpoint: str) -> None:
    """Append, upsert, update, delete, a lost race and a checkpoint, read back by deltalake."""
    store = open_store(f"s3://{BUCKET}/lake", options=s3_options(s3_endpoint))
    dataset = Ref()
    other = Lake(store, dataset=dataset, clock=SystemClock())
    races: list[str] = []

    def intrude(step: str) -> None:
        if step == "committing" and not races:
            races.append(step)
            other.append({"id": [100], "v": [1.0]})

    limits = TableSettings(checkpoint_versions=2, on_step=intrude, retry_wait_s=0.0)
    lake = Lake(store, dataset=dataset, settings=limits, clock=SystemClock())
    assert lake.append({"id": [1, 2], "v": [1.0, None]}).version == 1
    assert lake.upsert({"id": [2, 3], "v": [2.0, 3.0]}).version == 2
    assert lake.update(where="id = 3", set={"v": Sql("v * 2")}).updated == 1
    assert lake.delete(where="id = 100").deleted == 1
    assert lake.rows() == [{"id": 1, "v": 1.0}, {"id": 2, "v": 2.0}, {"id": 3, "v": 6.0}]
    assert len(lake.rows(version=1)) == 3
    assert [event.action for event in lake.events()] == [
        "insert",
        "insert",
        "insert",
        "update",
        "insert",
        "update",
        "delete",
    ]
    names = [found.path for found in store.list_objects(f"{dataset.location}/_delta_log/")]
    assert any(name.endswith(".checkpoint.parquet") for name in names)
    store.close()
