"""A lake's ladder as its settings say, and its usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fakes.model_server import TEXT, oracle

import lakecore
from lakecore.base import InvalidInput
from lakecore.cli import root
from lakecore.llm import Ask, By

RUNG = '[[llm.rung]]\nname = "one"\nbase_url = "{url}"\nmodel = "m"\n'
ASK = Ask(messages=[{"role": "user", "content": "How many seats has N10156?"}])


def configured(folder: Path, text: str) -> Path:
    """A file of settings."""
    path = folder / "lakecore.toml"
    path.write_text(text)
    return path


def test_a_lake_asks_and_counts(tmp_path: Path) -> None:
    """One ladder for Python, SQL and the command line."""
    with oracle() as server:
        priced = "prompt_usd_per_million = 1\ncompletion_usd_per_million = 1\n"
        config = configured(tmp_path, RUNG.format(url=server.url) + priced)
        with lakecore.open(tmp_path / "lake", config=config) as lake:
            assert lake.ladder.complete(ASK, By(actor="ada", source="test")).value == TEXT
    at = ["--lake", str(tmp_path / "lake"), "--config", str(config)]
    told = CliRunner().invoke(root, [*at, "--json", "usage"])
    usage = json.loads(told.output)
    assert usage["requests"] == 1
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert usage["cost_usd"] == pytest.approx(usage["total_tokens"] / 1e6)
    assert list(usage["by_source"]) == ["test"]
    shown = CliRunner().invoke(root, [*at, "usage", "--days", "1", "--by", "actor"]).output
    assert [line.split()[0] for line in shown.splitlines()][2:] == ["ada", "all"]
    rows = CliRunner().invoke(root, [*at, "--json", "sql", "select * from system.usage"])
    (row,) = json.loads(rows.output)
    assert (row["actor"], row["outcome"], row["rung"]) == ("ada", "ok", "one")


def test_usage_of_a_lake_that_asked_nobody(tmp_path: Path) -> None:
    """Nothing, and no file."""
    with lakecore.open(tmp_path / "lake") as lake:
        assert lake.usage().to_dict()["requests"] == 0
    assert not list(tmp_path.rglob("llm-*"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (RUNG.format(url="https://models.example/v1"), "price of a model elsewhere"),
        ('[llm]\nclimb = ["ok"]', "not an outcome"),
        ('[llm]\nreplay = "x"', "off | record | replay"),
        (RUNG.format(url="http://127.0.0.1:1/v1") + 'structured = "xml"', "json_schema"),
        (RUNG.format(url="http://127.0.0.1:1/v1") * 2, "one name"),
    ],
)
def test_bad_settings(tmp_path: Path, text: str, match: str) -> None:
    """Say what is wrong when the ladder is first needed."""
    lake = lakecore.open(tmp_path / "lake", config=configured(tmp_path, text))
    with lake, pytest.raises(InvalidInput) as caught:
        _ = lake.ladder
    assert match in str(caught.value)


def test_a_key_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name that the rung says; it is in no file."""
    with oracle() as server:
        config = configured(tmp_path, RUNG.format(url=server.url) + 'api_key_env = "THE_KEY"\n')
        monkeypatch.setenv("THE_KEY", "very-secret-indeed")
        with lakecore.open(tmp_path / "lake", config=config) as lake:
            assert lake.ladder.complete(ASK, By(actor="ada")).ok
        assert server.served[0].headers["authorization"] == "Bearer very-secret-indeed"
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"very-secret-indeed" not in path.read_bytes()
