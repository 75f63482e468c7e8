"""`lake.keys`: through a whole lake, and what no file, log or error may hold."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakecore.app import Lake, open_lake
from lakecore.auth import authorize
from lakecore.base import InvalidInput, LakecoreError, NotFound, Refused
from lakecore.journal import Author

RULES = """\
[[rule]]
id = "chiefs"
task_class = "delete"
when.all = [{ cel = "!('chief' in principal.roles)" }]
action = "deny"
message = "chiefs alone"

[[rule]]
id = "agents"
task_class = "update"
when.all = [{ field_equals = { path = "principal.kind", value = "agent" } }]
action = "require_approval"
message = "a person looks first"

[[tier]]
dataset = "planes"
auto = { }
dry_run = { }
approval = { by = "another", roles = ["admin"] }
"""


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake(str(tmp_path / "lake"), actor="ada") as lake:
        yield lake


def test_the_life_of_a_key(lake: Lake) -> None:
    """Made, listed, rotated, revoked; as a table without hashes."""
    made = lake.keys.create("agent:tidy", scopes=["read"], datasets=["*"], reason="tidies")
    assert lake._parts.keys.authenticate(made.text).name == "agent:tidy"
    new = lake.keys.rotate(made.key.id, overlap=timedelta(hours=1))
    lake.keys.revoke(made.key.id)
    assert [key.id for key in lake.keys.list()] == [made.key.id, new.key.id]
    assert lake.keys.get(new.key.id) == new.key
    table = lake.sql("select * from system.keys order by created").to_arrow()
    assert table.column("state").to_pylist() == ["revoked", "live"]
    assert table.column("scopes").to_pylist() == [["read:*"]] * 2
    assert table.column("last_used").to_pylist()[0] is not None
    assert not any("sha" in name or "secret" in name for name in table.column_names)
    for described in lake.keys.describe():
        assert not any("sha" in name or "secret" in name for name in described)
    assert lake.verify().status == "green"


def test_ends_of_keys(lake: Lake) -> None:
    """A time, or how long from now; a time without its zone is refused."""
    at = datetime.now(UTC) + timedelta(days=1)
    told = lake.keys.create("ada", scopes=["read:*"], expires=at)
    lasting = lake.keys.create("ada", scopes=["read:*"], expires=timedelta(days=1))
    assert told.key.expires_us is not None
    assert lasting.key.expires_us is not None
    assert 0 <= lasting.key.expires_us - told.key.expires_us < 60_000_000
    with pytest.raises(InvalidInput, match="zone"):
        lake.keys.create("ada", scopes=["read:*"], expires=datetime(2100, 1, 1))


def test_secrets_are_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in any file of the lake and its state, no log, no representation, no error."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with open_lake(str(tmp_path / "lake"), actor="ada") as lake:
        made = lake.keys.create("agent:tidy", scopes=["read:*"], note="for CI")
        new = lake.keys.rotate(made.key.id)
        keys = lake._parts.keys
        said += [repr(made), str(new), repr(made.key), repr(keys.authenticate(made.text))]
        said += [json.dumps(lake.keys.describe()), repr(lake.keys.list())]
        lake.keys.revoke(made.key.id)
        for text in (made.text, new.text[:-1] + "_", new.text + "0", made.text[:-7] + "0000000"):
            try:
                keys.authenticate(text, address="10.0.0.1")
            except LakecoreError as error:
                said += [repr(error), json.dumps(error.to_dict())]
                said += traceback.format_exception(error)
        misplaced: list[dict[str, Any]] = [{"note": new.text}, {"roles": [new.text]}]
        for wrong in [*misplaced, {"scopes": [new.text]}, {"kind": new.text}]:
            with pytest.raises(InvalidInput) as refused:
                lake.keys.create("ada", **{"scopes": ["read:*"], **wrong})
            said += [str(refused.value.to_dict())]
        with pytest.raises(NotFound) as unknown:
            lake.keys.revoke(new.text)
        said += [str(unknown.value.to_dict())]
        lake.journal.flush()
        said += [str(lake.sql("select * from system.journal").to_pylist())]
        said += [str(lake.sql("select * from system.keys").to_pylist())]
    said += [caplog.text, *capfd.readouterr()]
    secrets = [text.split("_")[2] for text in (made.text, new.text)]
    assert len(secrets[0]) == 43
    assert secrets[0] != secrets[1]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any("documents/keys" in str(file) for file in files)
    for secret in secrets:
        assert [line for line in said if secret in line] == []
        assert [file for file in files if secret.encode() in file.read_bytes()] == []


def test_rules_see_who_the_key_says(lake: Lake) -> None:
    """Roles of the key, with the key's principal as the actor in the history."""
    lake.create("planes", key=["tailnum"])
    lake.insert("planes", [{"tailnum": "N1"}, {"tailnum": "N2"}])
    lake.truth.apply(RULES)
    parts = lake._parts
    keys = parts.keys
    chief = keys.authenticate(lake.keys.create("eve", scopes=["write:*"], roles=["chief"]).text)
    other = keys.authenticate(lake.keys.create("bob", scopes=["write:*"]).text)
    planes = lake.dataset("planes")
    where: dict[str, Any] = {"where": "tailnum = 'N1'", "all_rows": False, "keys": None}
    with pytest.raises(Refused, match="chiefs alone"):
        parts.changes.make("delete", planes, author=other.author(), tier="auto", **where)
    parts.changes.make("delete", planes, author=chief.author(), tier="auto", **where)
    event = lake.history("planes", "N1")[-1]
    assert (event.action, event.actor) == ("delete", "eve")
    assert json.loads(event.context)["key_id"] == chief.key_id


def test_an_agents_change_and_its_approval(lake: Lake) -> None:
    """The agent's key makes it wait, another role refuses it, the owner lets it pass."""
    lake.create("planes", key=["tailnum"])
    lake.insert("planes", [{"tailnum": "N1", "seats": 2}])
    lake.truth.apply(RULES)
    parts = lake._parts
    made = lake.keys.create("agent:tidy", scopes=["write:planes"], trust=0.5)
    agent = parts.keys.authenticate(made.text)
    clerk = parts.keys.authenticate(lake.keys.create("bob", scopes=["approve:*"]).text)
    authorize(agent, "write", "planes")
    held = parts.changes.make(
        "update",
        lake.dataset("planes"),
        author=agent.author(source="mcp", reason="recount"),
        tier="auto",
        set={"seats": 3},
        where="tailnum = 'N1'",
        all_rows=False,
        keys=None,
    )
    assert held.held
    with pytest.raises(Refused, match="role"):
        parts.approvals.approve(held.mutation_id, author=clerk.author())
    lake.keys.revoke(made.key.id)
    lake.approve(held.mutation_id)
    event = lake.history("planes", "N1")[-1]
    assert (event.actor, json.loads(event.context)["approved_by"]) == ("agent:tidy", "ada")
    assert lake.verify().status == "green"


def test_authors_without_a_key_and_with_anothers(lake: Lake) -> None:
    """Who opened the lake is its owner; an author with a key is who the key says, or nobody."""
    principals = lake._parts.principals
    ada = principals.principal(Author(actor="ada", source="cli"))
    loader = principals.principal(Author(actor="loader", source="ingest"))
    assert (ada.kind, ada.roles) == ("person", ("admin",))
    assert (loader.kind, loader.roles) == ("pipeline", ())
    made = lake.keys.create("agent:tidy", scopes=["read:*"], trust=0.25)
    told = principals.principal(made.key.principal.author())
    assert (told.name, told.trust, told.to_dict()["key_id"]) == ("agent:tidy", 0.25, made.key.id)
    with pytest.raises(InvalidInput, match="key says"):
        principals.principal(Author(actor="ada", context={"key_id": made.key.id}))
    with pytest.raises(NotFound):
        principals.principal(Author(actor="ada", context={"key_id": "0" * 12}))
