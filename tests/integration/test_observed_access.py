"""The access log as events: who asked for which route, and never what was in the request."""

from __future__ import annotations

import time
from pathlib import Path

from tests.gateways import Served, good, serving

SETTING = "[observer]\naccess_log = true\n"


def rows(served: Served) -> list[dict[str, object]]:
    """The requests that are kept, once there are two."""
    query = (
        "select message, data, level, duration_ms, principal from system.events "
        "where source = 'gateway' order by time"
    )
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        found: list[dict[str, object]] = served.lake.sql(query).to_pylist()
        if len(found) >= 2:
            return found
        time.sleep(0.1)
    raise AssertionError("the requests are not kept")


def test_requests_are_events(tmp_path: Path) -> None:
    """By the template of the route; probes are left out, and so is what a path says."""
    with serving(tmp_path, more=SETTING) as served:
        good(served.client.get("/catalog/datasets/planes"))
        assert served.client.get("/nothing/secret-word").status_code == 404
        for _ in range(3):
            served.client.get("/health")
        found = rows(served)
        assert [one["message"] for one in found[:2]] == [
            "GET /catalog/datasets/{dataset} 200",
            "GET (no route) 404",
        ]
        assert '"by":"ada"' in str(found[0]["data"])
        assert "secret-word" not in str(found)
        assert "health" not in str(found)
        stats = good(served.client.get("/stats"))
        assert "gateway" in str(stats)


def test_without_the_setting_nothing_is_kept(tmp_path: Path) -> None:
    """It is off unless somebody asks for it."""
    with serving(tmp_path) as served:
        good(served.client.get("/catalog/datasets/planes"))
        time.sleep(1)
        assert served.lake.sql("select * from system.events").to_pylist() == []
