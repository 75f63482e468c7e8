"""Showing settings: values with their origin, secrets masked; the reference page is current."""

from __future__ import annotations

from pathlib import Path

from lakecore.config import load, reference_markdown, show

REPOSITORY = Path(__file__).parents[3]


def test_every_setting_is_shown_with_its_origin(tmp_path: Path) -> None:
    """One line for each setting, given or not."""
    environ = {"LAKECORE_QUERY__TIMEOUT_S": "7"}
    shown = {(s.section, s.name): s for s in show(load(environ=environ, directory=tmp_path))}
    assert shown["query", "timeout_s"].value == 7.0
    assert shown["query", "timeout_s"].origin == "environment LAKECORE_QUERY__TIMEOUT_S"
    assert shown["lake", "uri"].origin == "default"


def test_secrets_are_masked(tmp_path: Path) -> None:
    """Neither keys of a store nor the password in a URL are shown."""
    environ = {
        "LAKECORE_LAKE": "s3://user:hunter2@bucket/lake",
        "LAKECORE_STORAGE__OPTIONS__AWS_SECRET_ACCESS_KEY": "hunter2",
        "LAKECORE_STORAGE__OPTIONS__AWS_REGION": "eu-central-2",
    }
    shown = {s.name: s.value for s in show(load(environ=environ, directory=tmp_path))}
    assert "hunter2" not in repr(shown)
    assert shown["options"] == {
        "aws_region": "eu-central-2",
        "aws_secret_access_key": "********",
    }
    assert shown["uri"] == "s3://********@bucket/lake"


def test_the_reference_page_is_what_the_settings_say() -> None:
    """docs/configuration.md is written by scripts/generate_config_docs.py, not by hand."""
    page = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference_markdown()
