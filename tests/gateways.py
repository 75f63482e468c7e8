"""A lake behind a real server on loopback, for tests of the gateway."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa

import lakecore
from lakecore.app import Lake, LakeGateway, open_gateway
from lakecore.telemetry import LogLines

PLANES = [
    {"tailnum": "N10156", "seats": 55},
    {"tailnum": "N102UW", "seats": 182},
    {"tailnum": "N103US", "seats": 182},
]
ALL = ["read:*", "write:*", "approve:*", "admin:*", "model:*"]


@dataclass
class Served:
    """A running gateway; `client` has a key for everything."""

    lake: Lake
    gateway: LakeGateway
    url: str
    client: httpx.Client
    clients: list[httpx.Client] = field(default_factory=list)

    def key(self, principal: str, *scopes: str) -> str:
        """The text of a new key."""
        return self.lake.keys.create(principal, scopes=list(scopes)).text

    def as_(self, principal: str, *scopes: str) -> httpx.Client:
        """A client with a key of its own."""
        return self.with_headers({"Authorization": f"Bearer {self.key(principal, *scopes)}"})

    def with_headers(self, headers: dict[str, str] | None = None) -> httpx.Client:
        """A client with these headers and no key."""
        made = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self.clients.append(made)
        return made


@contextmanager
def serving(
    folder: Path,
    *,
    keys: bool = True,
    more: str = "",
    log: LogLines | None = None,
    **settings: Any,
) -> Iterator[Served]:
    """A lake with three planes, served; `settings` are those of [gateway], `more` follows.

    Args:
        log: where the log of the process goes.
    """
    lines = ["[auth]", f"enabled = {str(keys).lower()}", "[gateway]", "port = 0"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    config = folder / "lakecore.toml"
    config.write_text("\n".join([*lines, more]))
    with lakecore.open(folder / "lake", actor="ada", config=config) as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert("planes", PLANES)
        gateway = open_gateway(lake, lines=log)
        started = threading.Event()
        thread = threading.Thread(target=lambda: gateway.run(started.set))
        thread.start()
        try:
            if not started.wait(30):
                raise RuntimeError("the gateway does not start")
            served = Served(lake, gateway, gateway.url, httpx.Client())
            served.client = served.as_("ada", *ALL) if keys else served.with_headers()
            yield served
            for client in served.clients:
                client.close()
        finally:
            gateway.stop()
            thread.join(30)


def good(answer: httpx.Response, status: int = 200) -> Any:
    """The JSON of an answer that is as expected."""
    assert answer.status_code == status, answer.text
    return answer.json()


def slug(answer: httpx.Response, status: int) -> str:
    """Which problem it is."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(good(answer, status)["type"]).rpartition(":")[2]


def arrow(table: pa.Table) -> bytes:
    """A table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
