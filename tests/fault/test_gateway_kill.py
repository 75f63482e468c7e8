"""A gateway that is killed, or told to stop, under load: what it acknowledged is there."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import lakecore

ROUNDS = max(1, int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0")) // 200)
COMMAND = [sys.executable, "-c", "from lakecore.cli import main; main()"]


class Load:
    """Clients that record and change until the server is gone, and note what was acknowledged."""

    def __init__(self, url: str, run: str, log: list[str]) -> None:
        self.events: set[str] = set()
        self.rows: dict[str, int] = {}
        self.unknown: set[str] = set()
        self._url = url
        self._run = run
        self._log = log
        self._lock = threading.Lock()
        self._threads = [
            *(threading.Thread(target=self._record, args=(n,)) for n in range(4)),
            *(threading.Thread(target=self._change, args=(n,)) for n in range(2)),
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _record(self, number: int) -> None:
        with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=self._url) as client:
            count = 0
            while True:
                event = {"entity_type": "t", "entity_id": f"{number}", "action": "seen"}
                event["event_id"] = f"{self._run}-{number}-{count}"
                count += 1
                answer = client.post("/journal/events", json=event)
                if answer.status_code == 503:
                    continue
                assert answer.status_code == 201, (answer.text, self._log[-40:])
                with self._lock:
                    self.events.add(event["event_id"])

    def _change(self, number: int) -> None:
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.Client(base_url=self._url, timeout=30) as client,
        ):
            count = 0
            while True:
                name, count = f"{self._run}-{number}-{count}", count + 1
                with self._lock:
                    self.unknown.add(name)
                body: dict[str, Any] = {"op": "insert", "rows": [{"id": name, "n": count}]}
                if count % 2:
                    body = {"sql": "insert into things values ($1, $2)", "params": [name, count]}
                path = "/query/sql" if count % 2 else "/datasets/things/mutations"
                answer = client.post(path, json=body, headers={"Idempotency-Key": name})
                if answer.status_code == 503:
                    continue
                assert answer.status_code == 200, (answer.text, self._log[-40:])
                with self._lock:
                    self.rows[name] = count
                    self.unknown.discard(name)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_acknowledged_is_there(tmp_path: Path, how: signal.Signals) -> None:
    """Events and rows alike, each once; after SIGTERM all is sealed, too."""
    place = tmp_path / "lake"
    with lakecore.open(place, actor="ada") as lake:
        lake.create("things", key="id")
        lake.insert("things", [{"id": "first", "n": 0}])
    chance = random.Random(11)
    events: set[str] = set()
    rows: dict[str, int] = {"first": 0}
    unknown: set[str] = set()
    environ = {**os.environ, "LAKECORE_GATEWAY__RATE_PER_S": "0"}
    for number in range(ROUNDS):
        with subprocess.Popen(
            [*COMMAND, "--lake", str(place), "up", "--port", "0"],
            stderr=subprocess.PIPE,
            env=environ,
            text=True,
        ) as process:
            assert process.stderr is not None
            url = process.stderr.readline().split()[-1]
            log: list[str] = []
            threading.Thread(target=log.extend, args=(process.stderr,), daemon=True).start()
            load = Load(url, f"{how.name}{number}", log)
            began_s = time.monotonic()
            while not (load.events and load.rows) and time.monotonic() - began_s < 30:
                time.sleep(0.02)
            time.sleep(chance.uniform(0.2, 1.0))
            process.send_signal(how)
            status = process.wait(60)
            assert status == (-signal.SIGKILL if how == signal.SIGKILL else 0)
            load.join()
        events |= load.events
        rows |= load.rows
        unknown |= load.unknown
    assert len(events) > 5 * ROUNDS
    assert len(rows) > ROUNDS
    with lakecore.open(place) as lake:
        if how == signal.SIGTERM:
            assert lake.journal.stats()["buffer_events"] == 0
        lake.journal.seal()
        found = lake.sql("select event_id from system.journal where entity_type = 't'").to_pydict()
        recorded = found["event_id"]
        assert len(recorded) == len(set(recorded))
        assert events <= set(recorded)
        there = {row["id"]: row["n"] for row in lake.sql("select * from things").to_pylist()}
        assert rows.items() <= there.items()
        assert set(there) - set(rows) <= unknown
        by = lake.sql(
            "select entity_id from system.journal where dataset = 'things' and action = 'insert' "
            "and field = '*'"
        ).to_pydict()["entity_id"]
        assert sorted(by) == sorted(there)
        report = lake.verify(full=True)
        assert report.status != "red", json.dumps(report.to_dict(), default=str)[:2_000]
