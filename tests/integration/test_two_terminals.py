"""The story of docs/mcp.md: an agent proposes, a person approves, the record names both."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mcp
from mcp.client.stdio import StdioServerParameters
from tests.agents import RULES, Person, call, over_http, visit
from tests.gateways import PLANES, good, serving

import lakecore
from lakecore.config import GatewaySettings

PAGE = Path(__file__).parents[2] / "docs" / "mcp.md"
BLOCK = re.compile(r"<!-- run: (\w+) -->\n```json\n(.*?)```", re.DOTALL)
_COMMAND = [sys.executable, "-c", "from lakecore.cli import main; main()"]


def _lake(folder: Path) -> Path:
    with lakecore.open(folder / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert("planes", PLANES)
        lake.truth.apply(RULES)
    return folder / "lake"


def _key(lake: Path, *words: str) -> str:
    done = subprocess.run(
        [*_COMMAND, "--lake", str(lake), "keys", "create", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@contextmanager
def _up(lake: Path) -> Iterator[str]:
    """`lakecore up` in a terminal of its own."""
    with subprocess.Popen(
        [*_COMMAND, "--lake", str(lake), "up", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LAKECORE_AUTH__ENABLED": "true"},
    ) as process:
        assert process.stderr is not None
        try:
            url = process.stderr.readline().split()[-1]
            assert "without one the answer is 401" in process.stderr.readline()
            yield url
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


class _Tail:
    """Somebody who follows the journal."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.seen: list[dict[str, Any]] = []
        self.is_open = threading.Event()
        self.has_change = threading.Event()
        self._url, self._headers = url, headers
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        request = {"params": {"dataset": "planes"}, "headers": self._headers, "timeout": 60}
        with httpx.stream("GET", f"{self._url}/journal/tail", **request) as answer:  # type: ignore[arg-type]  # the values are of several types
            for line in answer.iter_lines():
                self.is_open.set()
                if line.startswith("data: "):
                    self.seen.append(json.loads(line.removeprefix("data: ")))
                    if self.seen[-1]["entity_type"] == "plane":
                        self.has_change.set()


def test_two_terminals(tmp_path: Path) -> None:
    """The agent's client proposes, bo approves over HTTP, the tail shows it, history names both."""
    lake = _lake(tmp_path)
    agent = _key(lake, "agent:tidy", "--scope", "read:planes", "--scope", "write:planes")
    with lakecore.open(lake) as opened:
        approver = opened.keys.create("bo", scopes=["read:planes", "approve:planes"])
    bo = {"Authorization": f"Bearer {approver.text}"}

    with _up(lake) as url:
        tail = _Tail(url, bo)
        assert tail.is_open.wait(30)

        async def propose(client: mcp.Client) -> str:
            given = {"dataset": "planes", "op": "update", "where": "seats = 182"}
            found = await call(
                client, "propose_change", **given, set={"seats": 180}, reason="two rows removed"
            )
            assert found.told["state"] == "waiting"
            assert {row["entity_id"] for row in found.rows} == {"N102UW", "N103US"}
            change: str = found.told["id"]
            return change

        change: str = visit(over_http(url, agent), propose)
        with httpx.Client(base_url=url, headers=bo) as person:
            (waiting,) = good(person.get("/pending"))["items"]
            assert (waiting["id"], waiting["actor"]) == (change, "agent:tidy")
            assert len(good(person.get(f"/pending/{change}"))["diff"]) == 2
            word = {"reason": "looked at it"}
            assert good(person.post(f"/pending/{change}/approve", json=word))["updated"] == 2
        assert tail.has_change.wait(30)

        async def look(client: mcp.Client) -> None:
            assert (await call(client, "pending", id=change)).told["state"] == "committed"
            last = (await call(client, "history", dataset="planes", key="N102UW")).rows[-1]
            assert (last["actor"], last["context"]["approved_by"]) == ("agent:tidy", "bo")

        visit(over_http(url, agent), look)

    changed = [event for event in tail.seen if event["entity_type"] == "plane"]
    assert {event["entity_id"] for event in changed} <= {"N102UW", "N103US"}
    assert {event["actor"] for event in changed} == {"agent:tidy"}
    done = subprocess.run(
        [*_COMMAND, "--lake", str(lake), "--json", "history", "planes", "N102UW"],
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(done.stdout)[-1]
    told = json.loads(last["context"])
    assert (last["actor"], last["source"]) == ("agent:tidy", "mcp")
    assert (told["approved_by"], told["reason"]) == ("bo", "two rows removed")
    with lakecore.open(lake) as opened:
        assert opened.verify(full=True).status == "green"


def test_the_blocks_of_the_page_run(tmp_path: Path) -> None:
    """The configuration to copy: the command is started as it stands, the URL is served."""
    blocks = {name: json.loads(text) for name, text in BLOCK.findall(PAGE.read_text())}
    assert set(blocks) == {"stdio", "http"}
    lake = _lake(tmp_path)
    with lakecore.open(lake) as opened:
        agent = opened.keys.create("agent:tidy", scopes=["read:planes", "write:planes"]).text
        bo = opened.keys.create("bo", scopes=["read:planes", "approve:planes"]).text
    person = Person("accept", approve=True)
    given = {"dataset": "planes", "op": "update", "where": "seats = 182", "reason": "counted"}

    async def work(client: mcp.Client, seats: int) -> None:
        found = await call(
            client, "propose_change", **{**given, "where": "seats > 100"}, set={"seats": seats}
        )
        assert found.data["approved_by"] == "bo"

    started = blocks["stdio"]["mcpServers"]["lakecore"]
    assert set(started["env"]) == {"LAKECORE_API_KEY", "LAKECORE_APPROVER_KEY"}
    env = dict(zip(started["env"], (agent, bo), strict=True))
    parameters = StdioServerParameters(
        command=str(Path(sys.executable).with_name(started["command"])),
        args=started["args"],
        env={**os.environ, **env},
        cwd=tmp_path,
    )

    async def over_the_block() -> None:
        async with mcp.Client(parameters, elicitation_callback=person.callback) as client:
            await work(client, 181)

    asyncio.run(over_the_block())
    served = blocks["http"]["mcpServers"]["lakecore"]
    assert served["url"] == f"http://127.0.0.1:{GatewaySettings().port}/mcp"
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other") as other:
        other.lake.truth.apply(RULES)
        keys = {
            "Authorization": "Bearer " + other.key("agent:tidy", "read:planes", "write:planes"),
            "X-Approver-Key": other.key("bo", "read:planes", "approve:planes"),
        }
        assert set(served["headers"]) == set(keys)
        opened_client = over_http(other.url, headers=keys, person=person)
        visit(opened_client, lambda client: work(client, 183))
    assert len(person.asked) == 2


def test_the_page_has_every_tool() -> None:
    """By its name, and what it needs."""
    from lakecore.mcp._tools import TOOLS

    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*)\|", PAGE.read_text(), re.MULTILINE))
    assert set(rows) == set(TOOLS)
    for name, tool in TOOLS.items():
        assert rows[name].strip().startswith(tool.needs or ""), name
