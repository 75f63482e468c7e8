"""`lakecore mcp`: the process that a client starts, killed and stopped; and the server alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import mcp
import pytest
from tests.agents import ERAS, RULES, Person, call, over_http, over_stdio, visit
from tests.gateways import serving

import lakecore


@pytest.fixture
def hangar(tmp_path: Path) -> Path:
    """A local lake with three planes."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert("planes", [{"tailnum": f"N{n}", "seats": n} for n in range(3)])
        lake.truth.apply(RULES)
    return tmp_path / "lake"


def test_over_stdio_it_is_an_agent_of_whoever_started_it(hangar: Path) -> None:
    """Without keys on a local lake; what needs somebody else is approved by that person."""
    person = Person("accept", approve=True)

    async def work(client: mcp.Client) -> None:
        given = {"dataset": "planes", "op": "update", "where": "seats < 2", "reason": "counted"}
        found = await call(client, "propose_change", **given, set={"seats": 9})
        assert found.told["state"] == "committed", found.data

    for era in ERAS:
        with lakecore.open(hangar, actor="ada") as lake:
            lake.update("planes", set={"seats": 1}, where="tailnum <> 'N2'")
        visit(over_stdio(hangar, "--actor", "ada", era=era, person=person), work)
        with lakecore.open(hangar) as lake:
            last = lake.history("planes", "N0")[-1]
            told = json.loads(last.context)
            assert (last.actor, last.source, told["approved_by"]) == ("agent:ada", "mcp", "ada")
            assert lake.verify().status in ("green", "inconclusive")


def test_over_stdio_the_key_comes_from_the_environment(hangar: Path) -> None:
    """The key's principal is the actor, the approver's key approves; a wrong key opens nothing."""
    with lakecore.open(hangar, actor="ada") as lake:
        agent = lake.keys.create("agent:tidy", scopes=["read:*", "write:planes"]).text
        bo = lake.keys.create("bo", scopes=["approve:*"]).text
    person = Person("accept", approve=True)
    env = {"LAKECORE_API_KEY": agent, "LAKECORE_APPROVER_KEY": bo}
    given = {"dataset": "planes", "op": "update", "where": "seats < 2", "reason": "counted"}
    opened = over_stdio(hangar, person=person, env=env)
    found = visit(opened, lambda c: call(c, "propose_change", **given, set={"seats": 9}))
    assert found.data["approved_by"] == "bo"
    with lakecore.open(hangar) as lake:
        last = lake.history("planes", "N0")[-1]
        assert (last.actor, json.loads(last.context)["approved_by"]) == ("agent:tidy", "bo")
    for settings, says in [
        ({"LAKECORE_API_KEY": "lc_no_key"}, "this is no API key"),
        ({"LAKECORE_AUTH__ENABLED": "true"}, "a key is needed"),
    ]:
        done = _run(hangar, settings)
        assert (done.returncode, done.stdout) == (1, "")
        assert says in done.stderr
        assert agent not in done.stderr


def test_over_stdio_bounds_and_refusals_are_the_same(hangar: Path) -> None:
    """Pages, bad SQL, SQL that writes, no scope, a rule that refuses, a person who says no."""
    with lakecore.open(hangar, actor="ada") as lake:
        agent = lake.keys.create("agent:tidy", scopes=["read:*", "write:planes"]).text
        version = lake.describe("planes")["version"]
    person = Person("decline")
    numbers = "select a.value as n from generate_series(1, 450) a order by 1"
    change = {"dataset": "planes", "op": "update", "keys": ["N0"], "reason": "counted"}

    async def work(client: mcp.Client) -> None:
        page = await call(client, "sql", sql=numbers)
        rest = await call(client, "more", cursor=page.told["next"])
        assert (len(page.rows), rest.rows[0], rest.told["total"]) == (200, {"n": 201}, 450)
        assert (await call(client, "sql", sql="selec 1")).error == "invalid-input"
        assert (await call(client, "sql", sql="delete from planes")).error == "refused"
        other = await call(client, "propose_change", **{**change, "dataset": "hr.x"}, set={"a": 1})
        assert other.error == "refused"
        refused = await call(client, "propose_change", **change, set={"seats": 8530})
        assert "no plane has more than 853 seats" in refused.data["message"]
        declined = await call(client, "propose_change", **change, set={"seats": 7})
        assert declined.told["state"] == "rejected"

    env = {"LAKECORE_API_KEY": agent}
    visit(over_stdio(hangar, person=person, env=env), work)
    assert len(person.asked) == 1
    with lakecore.open(hangar) as lake:
        assert lake.describe("planes")["version"] == version


def _run(lake: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`lakecore mcp` with nothing to read."""
    return subprocess.run(
        [*_COMMAND, "--lake", str(lake), "mcp"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
        check=False,
    )


_COMMAND = [sys.executable, "-c", "from lakecore.cli import main; main()"]


def _line(method: str, number: int | None = None, **params: Any) -> bytes:
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    return json.dumps(message | ({} if number is None else {"id": number})).encode() + b"\n"


_HELLO = _line(
    "initialize",
    0,
    protocolVersion="2025-06-18",
    capabilities={},
    clientInfo={"name": "t", "version": "1"},
) + _line("notifications/initialized")


def test_lines_that_are_no_messages_end_nothing(hangar: Path) -> None:
    """Garbage and a line without an end, and the next message is answered; SIGTERM ends it."""
    with subprocess.Popen(
        [*_COMMAND, "--lake", str(hangar), "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"{\n\xff\xfe\n[1]\n" + b"x" * 5_000_000 + b"\n" + _HELLO)
            process.stdin.write(_line("tools/call", 1, name="datasets", arguments={}))
            process.stdin.flush()
            answers = (json.loads(line) for line in process.stdout)
            found = next(answer for answer in answers if answer.get("id") == 1)
            assert "planes" in found["result"]["content"][1]["text"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "2"))


@pytest.mark.parametrize("delay_s", [0.1 * number for number in range(ROUNDS)])
def test_a_process_that_is_killed_leaves_the_lake_sound(hangar: Path, delay_s: float) -> None:
    """In the middle of proposals: each waits or was never made, nothing is committed."""
    process = subprocess.Popen(
        [*_COMMAND, "--lake", str(hangar), "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_HELLO)
    process.stdin.flush()
    process.stdout.readline()
    for number in range(3):
        given = {"dataset": "planes", "op": "insert", "reason": "try"}
        rows = [{"tailnum": f"X{number}", "seats": 1}]
        arguments = {**given, "rows": rows}
        process.stdin.write(_line("tools/call", number, name="propose_change", arguments=arguments))
    process.stdin.flush()
    time.sleep(delay_s)
    process.kill()
    process.wait(30)
    process.stdin.close()
    process.stdout.close()
    with lakecore.open(hangar, actor="bo") as lake:
        assert lake.describe("planes")["rows"] == 3
        for change in lake.pending():
            lake.approve(change.id)
        assert lake.verify(full=True).status in ("green", "inconclusive")


def test_only_mcp_over_http(hangar: Path) -> None:
    """`lakecore mcp --http`: /mcp and health, no other route; without keys an agent of yours."""
    with subprocess.Popen(
        [*_COMMAND, "--lake", str(hangar), "mcp", "--http", "--port", "0", "--actor", "ada"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            url = process.stderr.readline().split()[-1]
            process.stderr.readline()
            assert httpx.get(f"{url}/health").status_code == 200
            assert httpx.get(f"{url}/catalog/datasets").status_code == 404
            far = {"Origin": "https://evil.example"}
            assert httpx.post(f"{url}/mcp", json={}, headers=far).status_code == 403
            person = Person("decline")
            given = {"dataset": "planes", "op": "delete", "all": True, "reason": "gone"}
            opened = over_http(url, person=person)
            found = visit(opened, lambda client: call(client, "propose_change", **given))
            assert found.told["state"] == "rejected"
            assert "agent:ada" in person.asked[0]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_stopping_ends_open_streams(tmp_path: Path) -> None:
    """A client that only listens does not hold the gateway up."""
    with serving(tmp_path, keys=False) as served:

        async def stop(client: mcp.Client) -> float:
            await call(client, "datasets")
            began_s = time.monotonic()
            served.gateway.stop()
            while time.monotonic() - began_s < 20:
                try:
                    async with httpx.AsyncClient() as http:
                        await http.get(f"{served.url}/health")
                except httpx.HTTPError:
                    break
                await asyncio.sleep(0.05)
            return time.monotonic() - began_s

        assert visit(over_http(served.url, era="legacy"), stop) < 8
