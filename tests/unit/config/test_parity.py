"""Every setting, by file and by environment: the same value, the same refusal, its origin."""

from __future__ import annotations

import json
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from lakecore.base import InvalidInput
from lakecore.config import Settings, load, show
from lakecore.config._load import SECTIONS
from lakecore.config._parse import kind_of

# Lists of tables are spelt otherwise in the environment: see test_rungs.py.
EVERY = [
    (section, one)
    for section, kind in SECTIONS.items()
    for one in fields(kind)
    if not one.metadata["tables"]
]
NAMES = [f"{section}.{one.name}" for section, one in EVERY]
CANARY = "canary"


def other(section: str, one: Field[Any]) -> Any:
    """A right value that is not the default."""
    default = getattr(getattr(Settings(), section), one.name)
    choices = one.metadata["choices"]
    if choices:
        return next(choice for choice in choices if choice != default)
    kind = kind_of(SECTIONS[section], one.name)
    high = one.metadata["maximum"]
    if kind == "boolean":
        return not default
    if kind == "text":
        return f"{default}x"
    if kind == "list of text":
        return ("one", "two words")
    if kind == "table of text":
        return {"first": "one", "second": "two words"}
    found = default + 1 if high is None or default + 1 <= high else default - 1
    if kind == "number" and high == 1:
        found = 0.25
    return found


def toml(section: str, name: str, value: Any) -> str:
    """As it stands in a file."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {json.dumps(text)}" for key, text in value.items())
        return f"[{section}]\n{name} = {{ {pairs} }}\n"
    return f"[{section}]\n{name} = {json.dumps(value)}\n"


def variables(section: str, name: str, value: Any) -> dict[str, str]:
    """As it stands in the environment."""
    variable = f"LAKECORE_{section}__{name}".upper()
    if isinstance(value, dict):
        return {f"{variable}__{key.upper()}": text for key, text in value.items()}
    if isinstance(value, tuple):
        return {variable: ", ".join(value)}
    return {variable: json.dumps(value) if isinstance(value, bool) else str(value)}


def refusals(section: str, one: Field[Any]) -> list[Any]:
    """Values that are wrong for it."""
    kind = kind_of(SECTIONS[section], one.name)
    low, high = one.metadata["minimum"], one.metadata["maximum"]
    found: list[Any] = [] if kind in ("text", "table of text", "list of text") else [CANARY]
    if one.metadata["choices"]:
        found.append(CANARY)
    found += [low - 1] if low is not None else []
    found += [high + 1] if high is not None else []
    return found


@pytest.mark.parametrize(("section", "one"), EVERY, ids=NAMES)
def test_file_and_environment_are_alike(tmp_path: Path, section: str, one: Field[Any]) -> None:
    """The same value by both, and `config show` says where it is from; the environment wins."""
    value = other(section, one)
    file = tmp_path / "lakecore.toml"
    file.write_text(toml(section, one.name, value))
    environ = variables(section, one.name, value)
    by_file = load(file=file, environ={}, directory=tmp_path)
    by_environ = load(environ=environ, directory=tmp_path / "none")
    for loaded in (by_file, by_environ):
        is_path = (section, one.name) == ("lake", "uri") and loaded is by_file
        # A path in a file is relative to the file.
        expected = str(tmp_path / value) if is_path else value
        assert getattr(getattr(loaded.settings, section), one.name) == expected
        changed = [s for s in show(loaded) if s.origin != "default"]
        assert [(s.section, s.name) for s in changed] == [(section, one.name)]
    assert by_file.origin(section, one.name) == f"file {file}"
    assert by_environ.origin(section, one.name).startswith("environment LAKECORE_")
    both = load(file=file, environ=environ, directory=tmp_path)
    assert both.origin(section, one.name).startswith("environment")


@pytest.mark.parametrize(("section", "one"), EVERY, ids=NAMES)
def test_both_refuse_alike(tmp_path: Path, section: str, one: Field[Any]) -> None:
    """A wrong value is named with its place, by both; the value of a secret is not quoted."""
    file = tmp_path / "lakecore.toml"
    for bad in refusals(section, one):
        file.write_text(toml(section, one.name, bad))
        environ = variables(section, one.name, bad)
        for given, place in (
            ({"file": file, "environ": {}}, str(file)),
            ({"environ": environ}, next(iter(environ))),
        ):
            with pytest.raises(InvalidInput, match=rf"{section}\.{one.name} has a bad value") as e:
                load(directory=tmp_path / "none", **given)  # type: ignore[arg-type]  # by name
            assert place in str(e.value.where)


@pytest.mark.parametrize(("section", "one"), EVERY, ids=NAMES)
def test_a_misspelt_name_is_told_the_nearest(tmp_path: Path, section: str, one: Field[Any]) -> None:
    """By file and environment alike."""
    name = one.name[:-1] + ("q" if one.name[-1] != "q" else "w")
    file = tmp_path / "lakecore.toml"
    file.write_text(f"[{section}]\n{name} = 1\n")
    for given in (
        {"file": file, "environ": {}},
        {"environ": {f"LAKECORE_{section}__{name}".upper(): "1"}},
    ):
        with pytest.raises(InvalidInput, match=f"no setting '{name}'") as caught:
            load(directory=tmp_path / "none", **given)  # type: ignore[arg-type]  # by name
        assert str(caught.value.expected).endswith("?")


def test_secrets_are_shown_by_nobody(tmp_path: Path) -> None:
    """Not in `show`, not in a refusal, whatever their names are."""
    environ = {
        "LAKECORE_GATEWAY__OTLP_HEADERS__X": CANARY,
        "LAKECORE_GATEWAY__OTLP_HEADERS__AUTHORIZATION": CANARY,
        "LAKECORE_STORAGE__OPTIONS__AWS_SECRET_ACCESS_KEY": CANARY,
        "LAKECORE_STORAGE__OPTIONS__AZURE_STORAGE_SAS_TOKEN": CANARY,
        "LAKECORE_JOURNAL__ARCHIVES__OLD": f"s3://user:{CANARY}@bucket/x",
    }
    assert CANARY not in repr(show(load(environ=environ, directory=tmp_path)))
    for section, one in EVERY:
        if one.metadata["secret"]:
            file = tmp_path / "lakecore.toml"
            file.write_text(f'[{section}]\n{one.name} = ["{CANARY}"]\n')
            with pytest.raises(InvalidInput) as caught:
                load(file=file, environ={}, directory=tmp_path)
            assert CANARY not in str(caught.value.to_dict())
