"""What a person sees before saying yes: a file's preview, a change's rules, the signing key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gateways import Served, serving

import lakecore

RULES = """
name = "fleet"
[[rule]]
id = "large"
task_class = "update"
when = { field_greater = { path = "after.seats", value = 400 } }
action = "require_approval"
message = "somebody looks at it"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One gateway for all tests here, with a rule."""
    with serving(tmp_path_factory.mktemp("previews")) as found:
        found.lake.truth.apply(RULES)
        yield found


def test_a_file_is_shown_before_it_is_loaded(served: Served, tmp_path: Path) -> None:
    """Columns, first rows, first rejects; nothing is written, whatever is in the file."""
    file = tmp_path / "fleet.csv"
    lines = [f"A{n},{n},2013-01-01" for n in range(30)]
    file.write_text("\n".join(["tail,seats,built", *lines, "B1,1,2013-01-01,x", "C1,,"]))
    form = {"dataset": "fleet", "key": "tail", "tier": "preview"}
    sent = {"file": ("fleet.csv", file.read_bytes())}
    told = served.client.post("/ingest/file", data=form, files=sent).json()
    assert (told["rows"], told["rejected"], told["inserted"]) == (31, 1, 31)
    preview = told["preview"]
    assert preview["columns"] == [["tail", "string"], ["seats", "int64"], ["built", "date32[day]"]]
    assert len(preview["rows"]) == 20
    assert preview["rows"][0] == ["A0", "0", "2013-01-01"]
    ((line, column, reason, text),) = preview["rejects"]
    assert (line, column, text) == (32, "", "B1,1,2013-01-01,x")
    assert "too many" in reason
    assert "fleet" not in [one.name for one in served.lake.datasets()]

    loaded = served.client.post("/ingest/file", data={**form, "tier": "auto"}, files=sent).json()
    assert (loaded["version"], loaded["preview"]) == (0, None)


def test_a_client_gets_the_same_preview(served: Served, tmp_path: Path) -> None:
    """Over HTTP as in the process: one type, equal values; bytes and no value as text."""
    file = tmp_path / "odd.ndjson"
    file.write_text('{"k": "a", "v": null}\n{"k": "' + "x" * 300 + '", "v": 1.5}\n')
    with lakecore.Client(served.url, key=served.key("ada", "read:*", "write:*")) as client:
        (remote,) = client.ingest(file, dataset="odd", tier="preview")
    (local,) = served.lake.ingest(file, dataset="odd", tier="preview")
    assert remote.preview == local.preview
    assert local.preview is not None
    assert local.preview.rows[0] == ("a", None)
    assert len(local.preview.rows[1][0] or "") == 200


def test_what_waits_says_which_rules_fired_and_on_what(served: Served) -> None:
    """Samples have values of rows: for who may read them, and nobody else."""
    body = {"op": "update", "keys": ["N10156"], "set": {"seats": 450}}
    held = served.client.post("/datasets/planes/mutations", json=body)
    assert held.status_code == 202
    path = f"/pending/{held.json()['mutation_id']}"
    told = served.client.get(path).json()
    (rule,) = told["rules"]
    assert (rule["rule"], rule["fired"]) == ("large", 1)
    assert told["rule_set"]["name"] == "fleet"
    (sample,) = told["samples"]
    assert sample["rules"][0]["because"][0]["found"] == 450
    blind = served.as_("approver", "approve:planes").get(path).json()
    assert blind["rules"] == told["rules"]
    assert "samples" not in blind
    assert "diff" not in blind


def test_the_signing_key_is_told_to_who_has_any_key(served: Served) -> None:
    """Its public side; the last one is the current one."""
    served.lake.journal.seal()
    served.lake.journal.checkpoint()
    told = served.as_("guest", "read:planes").get("/journal/keys").json()
    keys = served.lake.journal.signing_keys()
    assert [one["vkey"] for one in told["items"]] == [one["vkey"] for one in keys]
    assert served.with_headers().get("/journal/keys").status_code == 401
