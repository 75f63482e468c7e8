"""`[[llm.rung]]`: from a file, from the environment, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakecore.base import InvalidInput
from lakecore.config import load, show

FILE = """
[llm]
climb = ["transport", "asleep"]
[[llm.rung]]
name = "local"
base_url = "http://127.0.0.1:8080/v1"
model = "small"
[[llm.rung]]
name = "cloud"
base_url = "https://models.example/v1"
model = "large"
api_key_env = "MODELS_KEY"
prompt_usd_per_million = 2.5
completion_usd_per_million = 10
"""


def test_rungs_of_a_file(tmp_path: Path) -> None:
    """In their order, with their values and the defaults."""
    (tmp_path / "lakecore.toml").write_text(FILE)
    loaded = load(environ={}, directory=tmp_path)
    local, cloud = loaded.settings.llm.rung
    assert (local.name, local.prompt_usd_per_million, cloud.model) == ("local", -1.0, "large")
    assert loaded.settings.llm.climb == ("transport", "asleep")
    shown = {(one.section, one.name): one.value for one in show(loaded)}
    assert shown["llm", "rung"][1]["api_key_env"] == "MODELS_KEY"  # type: ignore[index]  # a list


def test_rungs_of_the_environment() -> None:
    """By the word after RUNG, in the order of numbers; in place of the file's."""
    environ = {
        "LAKECORE_LLM__RUNG__10__BASE_URL": "http://127.0.0.1:2/v1",
        "LAKECORE_LLM__RUNG__10__MODEL": "b",
        "LAKECORE_LLM__RUNG__2__BASE_URL": "http://127.0.0.1:1/v1",
        "LAKECORE_LLM__RUNG__2__MODEL": "a",
        "LAKECORE_LLM__RUNG__2__NAME": "first",
        "LAKECORE_LLM__RUNG__2__RETRIES": "0",
        "LAKECORE_LLM__CLIMB": "rate, asleep",
    }
    found = load(environ=environ, directory="/nonexistent").settings.llm
    assert [(rung.name, rung.model, rung.retries) for rung in found.rung] == [
        ("first", "a", 0),
        ("10", "b", 2),
    ]
    assert found.climb == ("rate", "asleep")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[llm]\nrung = "x"', "list of tables"),
        ("[llm]\nrung = [1]", "list of tables"),
        ('[[llm.rung]]\nname = "x"', "needs base_url"),
        ('[[llm.rung]]\nname = "x"\nbase_url = "http://h/v1"', "needs model"),
        ('[[llm.rung]]\nmodle = "x"', "'model'"),
        ('[[llm.rung]]\nname = "x"\nbase_url = "u"\nmodel = "m"\nretries = 99', "at most 10"),
        ("[llm]\nclimb = [1]", "list of texts"),
        ("[llm]\nbudget_day_usd = -1", "at least 0"),
    ],
)
def test_bad_rungs(tmp_path: Path, text: str, match: str) -> None:
    """The error names the setting."""
    (tmp_path / "lakecore.toml").write_text(text)
    with pytest.raises(InvalidInput, match=match):
        load(environ={}, directory=tmp_path)


def test_tables_of_other_kinds(tmp_path: Path) -> None:
    """What each of them needs, and nothing of what a rung needs."""
    file = tmp_path / "lakecore.toml"
    file.write_text(
        '[[review.repository]]\nname = "ours"\npath = "/srv/ours"\n'
        '[[agents.server]]\nname = "files"\ncommand = ["serve-files"]\n'
    )
    settings = load(environ={}, directory=tmp_path).settings
    assert [(one.name, one.path) for one in settings.review.repository] == [("ours", "/srv/ours")]
    assert [one.command for one in settings.agents.server] == [("serve-files",)]
    for text, match in (
        ('[[review.repository]]\nname = "ours"', "needs path"),
        ('[[agents.server]]\ncommand = ["x"]', "needs name"),
    ):
        file.write_text(text)
        with pytest.raises(InvalidInput, match=match):
            load(environ={}, directory=tmp_path)
