"""Buckets of a real S3 server that is away, slow, throttled, read-only, lying, or lets keys end."""

from __future__ import annotations

import json
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.bucket_lakes import is_sound, rows, wait_until
from tests.fakes.s3_proxy import S3Proxy, s3_proxy
from tests.servers import BUCKET, has_azurite

import lakecore
from lakecore.base import LakecoreError, ReadOnly, Refused, StaleAnswer, Unavailable
from lakecore.config import BucketSettings, LakeSettings, Settings, StorageSettings

QUERY = "select v from hot where id = 1"


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[S3Proxy]:
    """A way to the server that can be made to fail."""
    with s3_proxy(s3_endpoint) as proxy:
        yield proxy


class Place:
    """A lake, an archive and a replica below one prefix; each by a way of its own."""

    def __init__(self, folder: Path, s3_endpoint: str) -> None:
        self.folder = folder
        self.prefix = f"s3://{BUCKET}/{uuid.uuid4().hex}"
        self.endpoints = {"main": s3_endpoint, "cold": s3_endpoint, "dr": s3_endpoint}
        self.keys = folder / "keys.json"
        self.write_keys("first")

    def write_keys(self, token: str) -> None:
        content = {"AccessKeyId": "id", "SecretAccessKey": "secret", "SessionToken": token}
        self.keys.write_text(json.dumps(content))

    def settings(self, **storage: Any) -> Settings:
        roles = {"main": "primary", "cold": "archive", "dr": "replica"}
        buckets = tuple(
            BucketSettings(
                name=name,
                uri=f"{self.prefix}/{name}",
                role=role,
                region="us-east-1",
                endpoint=self.endpoints[name],
                options={"allow_http": "true"},
                credentials_file=str(self.keys),
                max_retries=2,
                retry_timeout_s=2,
                timeout_s=5,
            )
            for name, role in roles.items()
        )
        given = {"bucket": buckets, "probe_interval_s": 0.1, "probe_timeout_s": 1, **storage}
        lake = LakeSettings(uri=f"{self.prefix}/main", maintain=False)
        return Settings(lake=lake, storage=StorageSettings(**given))

    def open(self, **storage: Any) -> lakecore.Lake:
        return lakecore.open(config=self.settings(**storage), actor="ada")


@pytest.fixture
def place(tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where the lake of a test is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Place(tmp_path, s3_endpoint)


def fill(lake: lakecore.Lake) -> None:
    lake.create("hot", key=["id"])
    lake.insert("hot", [{"id": 1, "v": 10}])
    lake.create("old", key=["id"], bucket="cold")
    lake.insert("old", [{"id": 1, "w": "a"}])


def test_everything_at_once(place: Place) -> None:
    """Datasets in two buckets, a move between them, a replica that verifies by itself."""
    with place.open() as lake:
        fill(lake)
        lake.move("hot", bucket="cold", grace_days=0)
        lake.update("hot", set={"v": 11}, where="id = 1")
        assert rows(lake, "select v, w from hot join old using (id)") == [(11, "a")]
        made = lake.replicate("dr")
        assert made.is_complete
        inside = lake.workspace("try")
        inside.update("old", set={"w": "b"}, where="id = 1")
        assert inside.sql("select w from old").to_pylist() == [{"w": "b"}]
        inside.merge()
        assert [step.action for step in lake.maintain().steps][-1] == "purge"
        assert is_sound(lake)
        assert all(state.ok for state in lake.buckets(check=True))
    # No settings of the lake but how its server is reached.
    (_, _, dr) = place.settings().storage.bucket
    alone = Settings(lake=LakeSettings(uri=dr.uri), storage=StorageSettings(bucket=(dr,)))
    with lakecore.open(config=alone, create=False) as replica:
        assert rows(replica, "select v, w from hot join old using (id)") == [(11, "a")]
        assert is_sound(replica)
        with pytest.raises(ReadOnly):
            replica.insert("hot", [{"id": 2, "v": 1}])


@pytest.mark.parametrize("fault", ["refused", "broken", "5xx", "slow", "gone", "expired"])
def test_the_primary_is_away(place: Place, proxy: S3Proxy, fault: str) -> None:
    """In every way: questions go to the replica within a bound, and back by themselves."""
    place.endpoints["main"] = proxy.endpoint
    with place.open() as lake:
        fill(lake)
        lake.replicate("dr")
        lake.update("hot", set={"v": 11}, where="id = 1")
        if fault == "refused":
            proxy.stop()
        elif fault == "broken":
            proxy.broken = True
        elif fault == "5xx":
            proxy.throttle = 1_000_000
        elif fault == "slow":
            proxy.slow_s = 30
        elif fault == "gone":
            proxy.gone = True
        else:
            proxy.token = "another"
        with pytest.warns(StaleAnswer, match="the replica 'dr' answers"):
            assert rows(lake, QUERY) == [(10,)]
        with pytest.raises(Unavailable, match="nothing is changed meanwhile") as error:
            lake.insert("hot", [{"id": 2, "v": 2}])
        assert error.value.exit_code == 4
        proxy.slow_s, proxy.throttle, proxy.token = 0, 0, None
        proxy.broken = proxy.gone = False
        if fault == "refused":
            proxy.start()
        wait_until(lambda: lake._serving.breaker.error is None)
        assert rows(lake, QUERY) == [(11,)]
        lake.insert("hot", [{"id": 2, "v": 2}])


def test_credentials_that_end_in_the_middle(place: Place, proxy: S3Proxy) -> None:
    """Who renews the file needs to restart nothing: tables, journal and queries go on."""
    for name in ("main", "cold"):
        place.endpoints[name] = proxy.endpoint
    proxy.token = "first"
    with place.open(failover=False) as lake:
        fill(lake)
        for token in ("second", "third"):
            proxy.token = token
            with pytest.raises(LakecoreError) as error:
                rows(lake, "select v, w from hot join old using (id)")
            assert token not in str(error.value)
            place.write_keys(token)
            assert rows(lake, "select v, w from hot join old using (id)") == [(10, "a")]
            lake.update("old", set={"w": "a"}, where="id = 1")
            lake.insert("hot", [{"id": len(token) + 10, "v": 1}])
            lake.journal.record({"entity_type": "a", "entity_id": "1", "action": "b"})
        assert is_sound(lake)


def test_throttling_is_waited_for(place: Place, proxy: S3Proxy) -> None:
    """A few times 503 SlowDown is nobody's business; without an end it is `Unavailable`, soon."""
    place.endpoints["main"] = proxy.endpoint
    with place.open(failover=False) as lake:
        fill(lake)
        proxy.throttle = 2
        lake.update("hot", set={"v": 11}, where="id = 1")
        assert rows(lake, QUERY) == [(11,)]
        assert proxy.throttle == 0
        proxy.throttle = 1_000_000
        before = len(proxy.requests)
        with pytest.raises(Unavailable):
            lake.datasets()
        assert len(proxy.requests) - before <= 3, "one try, and two more"
        proxy.throttle = 0
        assert is_sound(lake)


def test_a_liar_is_not_written(place: Place, proxy: S3Proxy) -> None:
    """A server that accepts two objects of one name gets no dataset, and no replica."""
    place.endpoints["cold"] = place.endpoints["dr"] = proxy.endpoint
    proxy.lies = True
    with place.open() as lake:
        lake.create("hot", key=["id"])
        lake.insert("hot", [{"id": 1, "v": 10}])
        with pytest.raises(Refused, match="only once"):
            lake.create("old", key=["id"], bucket="cold")
        with pytest.raises(Refused, match="only once"):
            lake.move("hot", bucket="cold")
        with pytest.raises(Refused, match="only once"):
            lake.replicate("dr")
        states = {state.name: state for state in lake.buckets(check=True)}
        assert (states["cold"].is_create_only, states["cold"].ok) == (False, False)
        assert states["main"].is_create_only
        bad = [one.name for one in lake.doctor().findings if not one.ok]
        assert "the bucket cold (archive) can be used" in bad
        assert [one.name for one in lake.datasets()] == ["hot"]
        proxy.lies = False
        lake.create("old", key=["id"], bucket="cold")


def test_a_bucket_that_became_read_only(place: Place, proxy: S3Proxy) -> None:
    """It is read; a change of it says why not, and nothing of it is left."""
    place.endpoints["cold"] = proxy.endpoint
    with place.open() as lake:
        fill(lake)
        proxy.read_only = True
        assert rows(lake, "select w from old") == [("a",)]
        with pytest.raises(ReadOnly, match="may not be written"):
            lake.insert("old", [{"id": 2, "w": "b"}])
        with pytest.raises(ReadOnly):
            lake.move("hot", bucket="cold")
        assert {s.name: s.state for s in lake.buckets(check=True)}["cold"] == "read-only"
        proxy.read_only = False
        lake.insert("old", [{"id": 2, "w": "b"}])
        lake.move("hot", bucket="cold")
        assert is_sound(lake)


def test_an_archive_that_is_away_does_not_stop_the_journal(place: Place, proxy: S3Proxy) -> None:
    """What waits for a commit there waits; everything else is sealed and verified after."""
    place.endpoints["cold"] = proxy.endpoint
    with place.open(failover=False) as lake:
        fill(lake)
        proxy.stop()
        started_s = time.monotonic()
        with pytest.raises(Unavailable):
            lake.insert("old", [{"id": 2, "w": "b"}])
        assert time.monotonic() - started_s < 60
        lake.update("hot", set={"v": 12}, where="id = 1")
        size = lake.journal.stats()["tree_size"]
        lake.journal.seal()
        assert lake.journal.stats()["tree_size"] >= size
        assert [e.new_value for e in lake.history("hot", 1)][1:] == ["12"]
        proxy.broken = False
        proxy.start()
        lake.insert("old", [{"id": 3, "w": "c"}])
        assert is_sound(lake)


@pytest.mark.skipif(not has_azurite(), reason="needs Azurite (scripts/install-azurite.sh)")
def test_an_archive_on_azure(
    azure_account: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another provider than the lake's own store, with its key in a file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    keys = tmp_path / "azure.json"
    keys.write_text(json.dumps({"account_key": azure_account["account_key"]}))
    options = {name: text for name, text in azure_account.items() if name != "account_key"}
    cold = BucketSettings(
        name="cold",
        uri=f"az://{BUCKET}/{uuid.uuid4().hex}",
        credentials_file=str(keys),
        options=options,
    )
    lake = LakeSettings(uri=str(tmp_path / "lake"), maintain=False)
    settings = Settings(lake=lake, storage=StorageSettings(bucket=(cold,)))
    with lakecore.open(config=settings, actor="ada") as opened:
        fill(opened)
        opened.move("hot", bucket="cold")
        assert rows(opened, "select v, w from hot join old using (id)") == [(10, "a")]
        assert is_sound(opened)


def test_no_secret_is_anywhere(place: Place) -> None:
    """Not in the lake, nor in what is shown of it."""
    place.write_keys("a-very-secret-token")
    with place.open() as lake, warnings.catch_warnings():
        fill(lake)
        lake.replicate("dr")
        shown = repr(lake.buckets()) + repr(lake.status()) + repr(lake.doctor())
        stored = b"".join(
            lake._parts.store.get(info.path) for info in lake._parts.store.list_objects("")
        )
    assert "a-very-secret-token" not in shown
    assert b"a-very-secret-token" not in stored
