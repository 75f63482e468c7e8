"""A whole lake on an object store, used by two machines: the same calls as on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import BUCKET, s3_options

import lakecore
from lakecore.config import Settings, StorageSettings

PLANES = "tailnum,seats\nN1,55\nN2,182\nN3,20,too many\n"


def test_a_lake_in_a_bucket(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines, each with a state directory of its own, ingest, change, ask and verify."""
    uri = f"s3://{BUCKET}/a lake"
    settings = Settings(storage=StorageSettings(options=s3_options(s3_endpoint)))
    file = tmp_path / "planes.csv"
    file.write_text(PLANES)

    def machine(name: str) -> lakecore.Lake:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        return lakecore.open(uri, actor=name, config=settings)

    with machine("one") as one, machine("two") as two:
        assert one.lake_id == two.lake_id
        (loaded,) = one.ingest(file, dataset="planes", key=["tailnum"])
        assert (loaded.inserted, loaded.rejected) == (2, 1)
        assert two.update("planes", where="tailnum = 'N1'", set={"seats": 56}).updated == 1
        assert one.upsert("planes", [{"tailnum": "N1", "seats": 57}]).updated == 1
        assert one.journal.record({"entity_type": "note", "entity_id": "1", "action": "say"})
        two.rename("planes", "aircraft")
        seats = [
            (event.actor, event.old_value, event.new_value)
            for event in two.history("aircraft", "N1")
            if event.field == "seats"
        ]
        assert seats == [("two", "55", "56"), ("one", "56", "57")]
        assert one.sql("select seats from aircraft order by seats").to_pylist() == [
            {"seats": 57},
            {"seats": 182},
        ]
        assert one.sql("select seats from \"aircraft@0\" where tailnum = 'N1'").to_pylist() == [
            {"seats": 55}
        ]
        assert two.sql("select line from system.quarantine").to_pylist() == [{"line": 4}]
    with machine("three") as three:
        report = three.verify()
        assert report.status == "green", report.to_dict()
        assert report.completeness.detail["pending"] == {}
        assert three.doctor().ok
        sealed = three.sql("select seq from system.journal order by seq").to_pydict()["seq"]
        assert sealed == list(range(len(sealed)))
    assert (tmp_path / "one" / "lakecore" / one.lake_id).is_dir()
