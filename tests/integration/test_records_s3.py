"""Records of a lake in a bucket: durable on the machine's disk, in the lake once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import BUCKET, s3_options

import lakecore
from lakecore.config import LakeSettings, Settings, StorageSettings


def test_records_in_a_bucket(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that stops leaves its records to its next start; another's come beside."""
    uri = f"s3://{BUCKET}/records"
    settings = Settings(
        storage=StorageSettings(options=s3_options(s3_endpoint)),
        lake=LakeSettings(records_interval_s=3_600),
    )

    def machine(name: str) -> lakecore.Lake:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))
        return lakecore.open(uri, actor=name, config=settings)

    stopped = machine("one")
    stopped.observe("one", id="a")
    # It never closes: as if it had been killed.
    with machine("two") as two:
        two.observe("two", id="b")
        assert two.observer.stats()["by_source"] == {"two": 1}
    with machine("one") as one:
        one.observe("one", id="a")
        assert one.observer.stats()["by_source"] == {"one": 1, "two": 1}
        assert one.verify().status == "green"
