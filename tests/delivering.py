"""Delivery of webhooks in a test: a lake, what `lakecore up` does beside its gateway, waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lakecore
from lakecore.app import Lake
from lakecore.app._webhooks import make_deliverer
from lakecore.config import JournalSettings, LakeSettings, Settings, WebhookSettings
from lakecore.webhooks import Deliverer, _deliver, _retry

LOOPBACK = "127.0.0.0/8"


def make_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest takes less here."""
    monkeypatch.setattr(_deliver, "LOOK_S", 0.05)
    monkeypatch.setattr(_deliver, "STUCK_S", 0.2)
    monkeypatch.setattr(_retry, "FIRST_S", 0.05)


def opened(folder: Path, **webhooks: Any) -> Lake:
    """A lake with a dataset; loopback may be sent to."""
    given = {"allow_networks": LOOPBACK, "timeout_s": 2.0, **webhooks}
    lake = lakecore.open(
        folder / "lake",
        actor="ada",
        config=Settings(
            lake=LakeSettings(maintain=False),
            journal=JournalSettings(seal_interval_s=0.05),
            webhooks=WebhookSettings(**given),
        ),
    )
    if not lake.datasets():
        lake.create("planes", key="tailnum", entity_type="plane")
    return lake


@contextmanager
def delivering(lake: Lake) -> Iterator[Deliverer]:
    """What `lakecore up` does beside its gateway."""
    parts = lake._parts
    parts.deliverer = make_deliverer(parts)
    parts.deliverer.start()
    try:
        yield parts.deliverer
    finally:
        parts.deliverer.stop()
        parts.deliverer = None


def insert(lake: Lake, *numbers: int) -> None:
    """A plane each, sealed."""
    lake.insert("planes", [{"tailnum": f"N{n}", "seats": n} for n in numbers])
    lake.journal.seal()


def eventually(is_so: Callable[[], object], timeout_s: float = 20.0) -> None:
    """It becomes so, soon."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, "it never was so"
        time.sleep(0.02)


@contextmanager
def up(folder: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A process that serves the lake."""
    given = {
        "LAKECORE_WEBHOOKS__ALLOW_NETWORKS": LOOPBACK,
        "LAKECORE_JOURNAL__SEAL_INTERVAL_S": "0.1",
        **environ,
    }
    command = [sys.executable, "-c", "from lakecore.cli import main; main()"]
    with subprocess.Popen(
        [*command, "--lake", str(folder / "lake"), "up", "--port", "0"],
        stderr=subprocess.DEVNULL,
        env={**os.environ, **given},
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
