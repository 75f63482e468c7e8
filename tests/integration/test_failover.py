"""While the primary does not answer, a replica does, and says so: in Python, commands and HTTP."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.fakes.bucket_lakes import folder_settings, is_sound, open_folder, rows, wait_until

import lakecore
from lakecore.app import open_gateway
from lakecore.app._replicas import Replicating
from lakecore.backup import read_replica
from lakecore.base import InvalidInput, NotFound, StaleAnswer, Unavailable
from lakecore.cli._main import root
from lakecore.config import BucketSettings, Settings
from lakecore.storage import open_store

QUERY = "select v from hot where id = 1"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lakecore.Lake:
    """A lake, replicated when `v` was 10; now it is 11."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return filled(tmp_path)


def filled(folder: Path, **storage: Any) -> lakecore.Lake:
    lake = open_folder(folder, **storage)
    lake.create("hot", key=["id"])
    lake.insert("hot", [{"id": 1, "v": 10}])
    lake.create("old", key=["id"], bucket="cold")
    lake.insert("old", [{"id": 1, "w": "a"}])
    lake.replicate("dr")
    lake.update("hot", set={"v": 11}, where="id = 1")
    return lake


@contextmanager
def away(folder: Path, name: str = "lake") -> Iterator[None]:
    """The disk of a store is not mounted."""
    os.rename(folder / name, folder / f"{name}-unmounted")
    try:
        yield
    finally:
        made = sorted(str(path.relative_to(folder)) for path in (folder / name).rglob("*"))
        assert made == [], "something was written where the disk is mounted"
        os.rename(folder / f"{name}-unmounted", folder / name)


def is_back(lake: lakecore.Lake) -> bool:
    return lake._serving.breaker.error is None


@contextmanager
def stale() -> Iterator[None]:
    """Every question in the block says that a replica answers, and how old that is."""
    with pytest.warns(StaleAnswer, match=r"replica 'dr' answers, as of 20.*Z \(\d+ s ago\)"):
        yield


def test_questions_go_to_the_replica_and_back(lake: lakecore.Lake, tmp_path: Path) -> None:
    """All kinds of them, each with its age; and to the primary as soon as it is back."""
    with lake:
        assert rows(lake, QUERY) == [(11,)]
        assert lake.served is None
        with away(tmp_path):
            asks: dict[str, Callable[[], Any]] = {
                "sql": lambda: rows(lake, QUERY),
                "datasets": lambda: [one.name for one in lake.datasets()],
                "history": lambda: [event.action for event in lake.history("hot", 1)],
                "describe": lambda: lake.describe("hot")["version"],
                "as_of": lambda: lake.as_of("hot", version=0).to_pylist(),
                "bucket": lambda: rows(lake, "select w from old"),
                "recent": lambda: lake.journal.recent(1)[0].dataset,
                "verify": lambda: lake.verify().status,
                "status": lambda: lake.status()["datasets"],
            }
            found = {}
            for name, ask in asks.items():
                with stale():
                    found[name] = ask()
            assert found == {
                "sql": [(10,)],
                "datasets": ["hot", "old"],
                "history": ["insert"],
                "describe": 0,
                "as_of": [{"id": 1, "v": 10}],
                "bucket": [("a",)],
                "recent": "old",
                "verify": "green",
                "status": 2,
            }
            served = lake.served
            assert served is not None
            assert (served.replica, served.age_s > 0) == ("dr", True)
            with stale():
                result = lake.sql(QUERY)
                assert result.served.replica == "dr"
                assert result.to_pylist() == [{"v": 10}]
            with stale(), pytest.raises(NotFound):
                lake.dataset("nothing")
        wait_until(lambda: is_back(lake))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert rows(lake, QUERY) == [(11,)]
            assert lake.served is None
            lake.update("hot", set={"v": 12}, where="id = 1")
        assert is_sound(lake)


def test_changes_are_refused_meanwhile(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Nothing is written anywhere, and the error says what to do."""
    with lake:
        with away(tmp_path):
            changes: tuple[Callable[[], object], ...] = (
                lambda: lake.insert("hot", [{"id": 2, "v": 1}]),
                lambda: lake.create("new", key=["id"]),
                lambda: lake.drop("hot"),
                lambda: lake.journal.record({"entity_type": "a", "entity_id": "1", "action": "b"}),
                lambda: lake.workspace("w"),
                lambda: lake.move("hot", bucket="cold"),
            )
            for change in changes:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", StaleAnswer)
                    with pytest.raises(Unavailable, match="nothing is changed") as error:
                        change()
                assert error.value.exit_code == 4
                assert "when the primary is back" in str(error.value.hint)
            assert not (tmp_path / "lake").exists()
        wait_until(lambda: is_back(lake))
        assert lake.insert("hot", [{"id": 2, "v": 1}]).inserted == 1
        assert is_sound(lake)


def test_a_lake_is_opened_while_the_primary_is_away(lake: lakecore.Lake, tmp_path: Path) -> None:
    """It answers from the replica, and is the primary's when that is back."""
    lake.close()
    with away(tmp_path):
        again = open_folder_existing(tmp_path)
        with stale():
            assert rows(again, QUERY) == [(10,)]
    with again:
        wait_until(lambda: is_back(again))
        assert rows(again, QUERY) == [(11,)]
        again.insert("hot", [{"id": 2, "v": 1}])
        assert is_sound(again)


def open_folder_existing(folder: Path) -> lakecore.Lake:
    return lakecore.open(config=folder_settings(folder), actor="ada", create=False)


def test_an_archive_alone_is_away(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Its datasets come from the replica; all others from the primary, and are changed there."""
    with lake:
        with away(tmp_path, "cold"):
            with stale():
                assert rows(lake, "select w from old") == [("a",)]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert rows(lake, QUERY) == [(11,)]
                lake.update("hot", set={"v": 12}, where="id = 1")
            with pytest.raises(Unavailable):
                lake.insert("old", [{"id": 2, "w": "b"}])
        wait_until(lambda: lake._parts.buckets.breaker("cold").error is None)
        lake.insert("old", [{"id": 2, "w": "b"}])
        assert is_sound(lake)


def test_it_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a question fails as it always did; and so it does when a replica is too old."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    too_old = pytest.raises(Unavailable, match="the replica is too old")
    with filled(tmp_path, max_stale_s=0.001) as lake, away(tmp_path), too_old:
        rows(lake, QUERY)
    with open_folder(tmp_path, failover=False) as lake, away(tmp_path):
        with pytest.raises(NotFound):
            rows(lake, QUERY)
        assert lake.served is None


def test_nobody_answers(lake: lakecore.Lake, tmp_path: Path) -> None:
    """One error names both."""
    with lake:
        neither = pytest.raises(Unavailable, match="neither the primary nor a replica")
        with away(tmp_path), away(tmp_path, "dr"), neither:
            rows(lake, QUERY)
        wait_until(lambda: is_back(lake))
        assert rows(lake, QUERY) == [(11,)]


def test_an_error_of_the_question_is_no_failover(lake: lakecore.Lake) -> None:
    """A misspelt name, or a wrong query, is the caller's, however often."""
    with lake, warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with pytest.raises(NotFound):
                lake.dataset("nothing")
            with pytest.raises(InvalidInput):
                lake.sql("select nothing from hot").to_pylist()
        assert (lake._serving.breaker.trips, lake._serving.answers) == (0, 0)


def test_commands_say_it(
    lake: lakecore.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer on stdout, on stderr whose it is; a change is exit code 4."""
    lake.close()
    (tmp_path / "lakecore.toml").write_text(
        '[lake]\nuri = "lake"\n'
        '[[storage.bucket]]\nname = "dr"\nuri = "dr"\nrole = "replica"\n'
        '[[storage.bucket]]\nname = "cold"\nuri = "cold"\n'
    )

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        return CliRunner().invoke(root, list(words))

    with away(tmp_path):
        asked = run("sql", QUERY, "--format", "json")
        assert (asked.exit_code, json.loads(asked.stdout)) == (0, [{"v": 10}])
        assert "warning: the primary does not answer: the replica 'dr' answers" in asked.stderr
        changed = run("update", "hot", "--set", "v=1", "--all")
        assert changed.exit_code == 4
        assert "nothing is changed" in changed.stderr
    asked = run("sql", QUERY, "--format", "json")
    assert (json.loads(asked.stdout), asked.stderr) == ([{"v": 11}], "")
    listed = json.loads(run("bucket", "list", "--json").stdout)
    assert [(one["name"], one["state"]) for one in listed] == [
        ("primary", "ok"),
        ("dr", "ok"),
        ("cold", "ok"),
    ]
    replicated = run("replicate")
    assert (replicated.exit_code, replicated.stdout.startswith("dr: ")) == (0, True)
    moved = run("bucket", "move", "hot", "--to", "cold", "--reason", "old")
    assert (moved.exit_code, "is at buckets/cold/" in moved.stdout) == (0, True)
    checked = run("bucket", "check")
    assert checked.exit_code == 0, checked.stderr


def test_the_gateway_says_it(lake: lakecore.Lake, tmp_path: Path) -> None:
    """By a header on every answer, a member where it is an object, health, and metrics."""

    def ask(path: str, body: object = None) -> tuple[int, dict[str, str], Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(gateway.url + path, data=data)
        if data is not None:
            request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    header = "lakecore-replica"
    warnings.simplefilter("ignore", StaleAnswer)
    with lake:
        gateway = open_gateway(lake, port=0)
        started = threading.Event()
        thread = threading.Thread(target=gateway.run, args=(started.set,))
        thread.start()
        assert started.wait(60)
        try:
            status, headers, body = ask("/query/sql", {"sql": QUERY})
            assert (status, json.loads(body)["items"]) == (200, [{"v": 11}])
            assert header not in headers
            assert "replica" not in json.loads(body)
            with away(tmp_path):
                status, headers, body = ask("/query/sql", {"sql": QUERY})
                assert (status, json.loads(body)["items"]) == (200, [{"v": 10}])
                assert headers[header].startswith('dr; as-of="20')
                assert "; age=" in headers[header]
                assert json.loads(body)["replica"]["replica"] == "dr"
                said = pytest.warns(StaleAnswer, match="a replica does: dr; as-of=")
                with said, lakecore.Client(gateway.url) as client:
                    assert client.sql(QUERY).to_pylist() == [{"v": 10}]
                assert json.loads(ask("/health")[2]) == {"status": "ok", "primary": "away"}
                status, headers, body = ask("/ready")
                assert (status, json.loads(body)["primary"]) == (200, "away")
                for path in ("/catalog/datasets", "/journal/recent", "/journal/stats"):
                    status, headers, _ = ask(path)
                    assert (status, header in headers) == (200, True), path
                rows_body = {"op": "insert", "rows": [{"id": 5, "v": 5}]}
                status, headers, body = ask("/datasets/hot/mutations", rows_body)
                assert (status, json.loads(body)["type"].rpartition(":")[2]) == (503, "unavailable")
                figures = ask("/metrics")[2].decode()
                assert "lakecore_primary_up 0.0" in figures
                assert 'lakecore_replica_age_seconds{replica="dr"}' in figures
            wait_until(lambda: is_back(lake))
            status, headers, body = ask("/query/sql", {"sql": QUERY})
            assert (json.loads(body)["items"], header in headers) == ([{"v": 11}], False)
        finally:
            gateway.stop()
            thread.join(60)


def test_a_process_that_serves_replicates_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again, until it ends; one place that cannot be had does not end it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("mine")
    with filled(tmp_path, replicate_interval_s=0.05) as lake:
        other = BucketSettings(name="another", uri=str(tmp_path / "other"), role="replica")
        storage = lake._parts.settings.storage
        object.__setattr__(storage, "bucket", (other, *storage.bucket))
        replicating = Replicating(lake._parts)
        replicating.start()
        try:
            for value in (12, 13):
                lake.update("hot", set={"v": value}, where="id = 1")
                size = lake.journal.stats()["tree_size"] + lake.journal.stats()["buffer_events"]
                wait_until(lambda size=size: replica_size(tmp_path) >= size)  # type: ignore[misc]  # bound now
        finally:
            replicating.stop()
    with lakecore.open(tmp_path / "dr", config=Settings(), create=False) as replica:
        assert rows(replica, QUERY) == [(13,)]
        assert is_sound(replica)
    assert list((tmp_path / "other").iterdir()) == [tmp_path / "other/letter.txt"]


def replica_size(folder: Path) -> int:
    state = read_replica(open_store(folder / "dr"))
    return 0 if state is None or state.complete is None else state.complete.tree_size


def test_a_replica_needs_no_settings_to_be_read(lake: lakecore.Lake, tmp_path: Path) -> None:
    """It is a lake by itself."""
    lake.close()
    with lakecore.open(tmp_path / "dr", config=Settings(), create=False) as replica:
        assert rows(replica, QUERY) == [(10,)]
        assert is_sound(replica)
