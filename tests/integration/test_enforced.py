"""What start-up says is enforced: each line is what a probe found, and changes when it breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.collectors import collecting
from tests.fakes.faulty_store import FaultyStore
from tests.gateways import Served, serving
from tests.receivers import receiving

from lakecore.app import Enforced
from lakecore.base import Unavailable
from lakecore.config import JournalSettings, LakeSettings, Settings
from lakecore.storage import open_store
from lakecore.truth import RuleSet

RULES = """
name = "fleet"
[[rule]]
id = "seats"
task_class = ["insert"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "too many"
[[rule.test]]
context = { after = { seats = 8530 } }
expect = "fired"
"""


def lines(served: Served) -> dict[str, Enforced]:
    """What is said, by the name of the probe."""
    return {found.name: found for found in served.gateway.enforced()}


def rooms(served: Served) -> Any:
    """What the handlers share."""
    return served.gateway.app.state.rooms


def test_everything_is_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake with all there is: every line is good."""
    monkeypatch.setenv("LAKECORE_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8")
    with (
        collecting() as collector,
        receiving() as receiver,
        serving(tmp_path, otlp_endpoint=collector.url) as served,
    ):
        served.lake.truth.apply(RULES)
        served.lake.webhooks.create(receiver.url)
        found = lines(served)
    assert {name: one.ok for name, one in found.items()} == dict.fromkeys(
        ("keys", "limits", "signing", "sealing", "rules", "webhooks", "traces"), True
    )
    assert found["keys"].text == "API keys are asked for: without one the answer is 401"
    assert found["limits"].text == "bodies beyond 67,108,864 bytes are refused: 413"
    assert found["signing"].text.startswith("what is sealed is signed, by the key ")
    assert found["rules"].text == "rules are in force: version 0, 1 rules; their 1 tests pass"
    assert found["webhooks"].text == "1 of 1 webhooks are delivered from here"
    assert found["traces"].text == "traces are taken by 127.0.0.1"


def test_keys_that_are_not_asked_for(tmp_path: Path) -> None:
    """A guard that lets everybody in is seen, and nobody should be served."""
    with serving(tmp_path) as served:
        rooms(served).authenticator = None
        found = lines(served)["keys"]
    assert (found.ok, found.is_fatal) == (False, True)
    assert found.text.startswith("THE GATEWAY LETS IN WHO HAS NO KEY: expected 401, found ")


def test_a_page_of_others_that_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys, the check of names is what keeps other sites' pages out."""
    from lakecore.gateway import _guard

    with serving(tmp_path, keys=False) as served:
        good = lines(served)["keys"]
        monkeypatch.setattr(_guard, "_check_local", lambda request: None)
        bad = lines(served)["keys"]
    assert good.text.startswith("NO KEY IS ASKED FOR")
    assert (good.ok, good.is_fatal) == (True, False)
    assert bad.text.startswith("A PAGE OF ANOTHER SITE WOULD BE LET IN: expected 403, found ")
    assert bad.is_fatal


def test_limits_that_do_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too long, and is not refused."""
    from lakecore.gateway import _edge

    with serving(tmp_path, max_body_bytes=2_048) as served:
        assert lines(served)["limits"].text == "bodies beyond 2,048 bytes are refused: 413"
        monkeypatch.setattr(_edge._Exchange, "check_head", lambda self: None)
        bad = lines(served)["limits"]
    assert not bad.ok
    assert bad.text.startswith("BODIES BEYOND 2,048 bytes ARE NOT REFUSED: expected 413, found 4")


class Remote(FaultyStore):
    """A store that is no disk of this machine."""

    def local_path(self, path: str) -> Path | None:
        """None: it is elsewhere."""
        return None


class Careless(Remote):
    """A look-alike that ignores the condition of a conditional put."""

    def create(self, path: str, data: bytes) -> None:
        """Replaces."""
        self.inner.put(path, data)


def test_a_store_that_makes_an_object_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of others is tried; that of a disk is not."""
    with serving(tmp_path) as served:
        assert "store" not in lines(served)
        parts = served.lake._parts
        with monkeypatch.context() as context:
            context.setattr(parts, "store", Remote(open_store("memory://")))
            good = lines(served)["store"]
            context.setattr(parts, "store", Careless(open_store("memory://")))
            bad = lines(served)["store"]
    assert good.text == "the store makes an object only once: 1 of 8 writers at once won"
    assert (good.ok, bad.ok) == (True, False)
    assert bad.text.startswith("THE STORE MAKES AN OBJECT TWICE")


def test_a_gateway_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be asked may be open: that is no pass."""
    from lakecore.app import _enforced

    with serving(tmp_path) as served:

        def fail(*args: object, **named: object) -> int:
            raise ConnectionResetError

        monkeypatch.setattr(_enforced.Answering, "status", fail)
        found = lines(served)["keys"]
    assert found.text == "could not be probed: ConnectionResetError"
    assert (found.ok, found.is_fatal) == (False, True)


def test_a_gateway_that_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is let in by a 503: it is asked again, and is no reason to end."""
    from lakecore.app import _enforced

    monkeypatch.setattr(_enforced, "_PAUSE_S", 0.01)
    with serving(tmp_path) as served:
        answers = [503, 401]
        with monkeypatch.context() as context:
            context.setattr(_enforced.Answering, "status", lambda *args: answers.pop(0))
            context.setattr(_enforced, "_limits", lambda *args: None)
            assert lines(served)["keys"].ok
            context.setattr(_enforced.Answering, "status", lambda *args: 503)
            found = lines(served)["keys"]
    assert (found.ok, found.is_fatal) == (False, False)


def plain(**journal: Any) -> Settings:
    """Settings of a lake that nothing happens to by itself."""
    return Settings(lake=LakeSettings(maintain=False), journal=JournalSettings(**journal))


def test_a_lake_that_is_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the setting, or for want of the key."""
    with serving(tmp_path) as served:
        parts = served.lake._parts
        served.lake.journal.flush()
        (tmp_path / "lake" / ".local" / "signing-key.json").unlink()
        found = lines(served)["signing"]
        assert (found.ok, "this machine has no key" in found.text) == (False, True)
        monkeypatch.setattr(parts, "settings", plain(checkpoint=False))
        found = lines(served)["signing"]
    assert found.text == "NOTHING IS SIGNED HERE: [journal] checkpoint = false"


def test_sealing_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is staged and cannot be read is not hidden."""
    with serving(tmp_path) as served:
        assert "events are sealed" in lines(served)["sealing"].text
        staged = tmp_path / "lake" / "journal" / "staged"
        staged.mkdir(parents=True, exist_ok=True)
        served.lake.update("planes", set={"seats": 3}, all=True)
        files = {file: file.read_bytes() for file in staged.glob("*.arrow")}
        assert files
        for file in files:
            file.write_bytes(b"torn")
        found = lines(served)["sealing"]
        for file, data in files.items():
            file.write_bytes(data)
    assert (found.ok, found.text.startswith("SEALING FAILS: ")) == (False, True)


def test_rules_whose_tests_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rules, rules, and rules that are not what they say."""
    with serving(tmp_path) as served:
        assert lines(served)["rules"].text.startswith("NO RULES ARE IN FORCE")
        served.lake.truth.apply(RULES)
        assert lines(served)["rules"].ok
        broken = RuleSet.from_toml(RULES.replace("seats = 8530", "seats = 8"))
        monkeypatch.setattr(served.lake._parts.rules, "current", lambda: broken)
        found = lines(served)["rules"]
    assert not found.ok
    assert found.text.startswith("A TEST OF THE RULES FAILS")


def test_webhooks_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is not in this process's environment any more."""
    monkeypatch.setenv("LAKECORE_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("LAKECORE_WEBHOOK_CRM", "A" * 44)
    with receiving() as receiver, serving(tmp_path) as served:
        assert "webhooks" not in lines(served)
        made = served.lake.webhooks.create(receiver.url, secret="env:LAKECORE_WEBHOOK_CRM")
        assert lines(served)["webhooks"].ok
        monkeypatch.delenv("LAKECORE_WEBHOOK_CRM")
        found = lines(served)["webhooks"]
    assert not found.ok
    assert found.text.endswith(f"WITHOUT A SECRET, AND SO NOT: {made.webhook.id}")


def test_traces_that_nobody_takes(tmp_path: Path) -> None:
    """A collector that refuses."""
    with collecting() as collector, serving(tmp_path, otlp_endpoint=collector.url) as served:
        assert lines(served)["traces"].ok
        collector.status = 401
        found = lines(served)["traces"]
    assert found.text == "TRACES ARE LOST: 127.0.0.1: the collector does not take traces"


def test_a_probe_that_breaks_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no end of the others."""
    with serving(tmp_path) as served:

        def fail() -> Any:
            raise Unavailable("the store does not answer")

        monkeypatch.setattr(served.lake._parts.rules, "current", fail)
        found = lines(served)
    assert found["rules"].text == "could not be probed: the store does not answer"
    assert (found["rules"].ok, found["keys"].ok) == (False, True)


OPEN_DOOR = """
import lakecore.gateway._guard as guard
from lakecore.cli import main
async def anybody(rooms, request):
    return rooms.local
guard._principal = anybody
main()
"""


def test_a_gateway_that_lets_everybody_in_is_not_served(tmp_path: Path) -> None:
    """`lakecore up` ends by itself with exit code 1, and says why, as JSON where that is asked."""
    environ = {
        **os.environ,
        "LAKECORE_AUTH__ENABLED": "true",
        "LAKECORE_GATEWAY__LOG_FORMAT": "json",
        "LAKECORE_GATEWAY__PORT": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-c", OPEN_DOOR, "--lake", str(tmp_path / "lake"), "up"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    (keys,) = [one for one in told if one.get("probe") == "keys"]
    assert (keys["ok"], keys["level"]) == (False, "ERROR")
    assert keys["message"].startswith("THE GATEWAY LETS IN WHO HAS NO KEY")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LAKECORE_WEBHOOKS__ALLOW_NETWORKS": "10.0.0.0/99"}, "not a list of networks"),
        ({"LAKECORE_WEBHOOKS__SECRETS_DIRECTORY": "/nonexistent/x"}, "no such directory"),
        ({"LAKECORE_GATEWAY__OTLP_ENDPOINT": "collector:4318"}, "not an endpoint"),
        ({"LAKECORE_GATEWAY__OTLP_HEADERS__X": "canary"}, "headers for a collector"),
        ({"LAKECORE_GATEWAY__LOG_FORMAT": "jsn"}, "expected: 'json'?"),
        ({}, None),
    ],
)
def test_config_check_looks_at_what_values_mean(
    environ: dict[str, str],
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Not only at their types; a secret is in no message."""
    from lakecore.cli._main import root

    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        root.main(["config", "check"])
    out, err = capsys.readouterr()
    assert caught.value.code == (0 if said is None else 2)
    assert (said or "the settings are right") in (err if said else out).replace("  ", " ")
    assert "canary" not in out + err
