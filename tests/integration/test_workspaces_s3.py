"""A workspace of a lake in a bucket: two machines change it, one merges."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import BUCKET, s3_options

import lakecore
from lakecore.base import NotFound
from lakecore.config import Settings, StorageSettings


def test_a_workspace_in_a_bucket(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References are read from the bucket, with a blank in its path; a lost base is named."""
    settings = Settings(storage=StorageSettings(options=s3_options(s3_endpoint)))

    def machine(name: str) -> lakecore.Lake:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        return lakecore.open(f"s3://{BUCKET}/a shared lake", actor=name, config=settings)

    with machine("one") as one, machine("two") as two:
        one.create("planes", key="tailnum")
        one.insert("planes", [{"tailnum": f"N{number}", "seats": number} for number in range(4)])
        one.insert("planes", [{"tailnum": "M1", "seats": 9}])
        inside = one.workspace("fix")
        inside.update("planes", where="tailnum = 'N1'", set={"seats": 100})
        other = two.workspace("fix", create=False)
        other.insert("planes", [{"tailnum": "A", "seats": 7}])
        two.update("planes", where="tailnum = 'N2'", set={"seats": 200})
        wanted = {"A": 7, "M1": 9, "N0": 0, "N1": 100, "N2": 2, "N3": 3}
        for workspace in (inside, other):
            rows = workspace.sql("select * from planes where seats >= 0").to_pylist()
            assert {row["tailnum"]: row["seats"] for row in rows} == wanted
        assert other.merge().state == "merged"
        rows = one.sql("select * from planes").to_pylist()
        assert {row["tailnum"]: row["seats"] for row in rows} == {**wanted, "N2": 200}
        assert one.verify(full=True).status == "green"
        second = one.workspace("second")
        second.update("planes", where="tailnum = 'N1'", set={"seats": 1})
        store = one._parts.store
        for info in store.list_objects("tables/main/planes/"):
            if info.path.endswith(".parquet") and "_delta_log" not in info.path:
                store.delete(info.path)
        with pytest.raises(NotFound, match="base are gone"):
            second.sql("select sum(seats) from planes").to_pylist()
