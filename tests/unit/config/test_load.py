"""Settings: precedence, typed parsing, and errors that name key, place and nearest name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import InvalidInput, LakecoreError, NotFound
from lakecore.config import load


def write(path: Path, text: str) -> Path:
    """A file with `text`, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_in_force_without_file_and_environment(tmp_path: Path) -> None:
    """Nothing given: defaults, and the origin says so."""
    loaded = load(environ={}, directory=tmp_path)
    assert loaded.settings.lake.uri == "./lake"
    assert loaded.settings.journal.seal_events == 65_536
    assert loaded.origin("journal", "seal_events") == "default"
    assert loaded.path is None


def test_precedence_is_option_environment_file_default(tmp_path: Path) -> None:
    """Each source is hidden by the one before it."""
    write(
        tmp_path / "lakecore.toml",
        '[lake]\nuri = "s3://file/lake"\nactor = "file"\n[query]\ntimeout_s = 1',
    )
    environ = {"LAKECORE_LAKE__URI": "s3://environment/lake", "LAKECORE_LAKE__ACTOR": "env"}
    loaded = load(lake="s3://option/lake", environ=environ, directory=tmp_path)
    assert loaded.settings.lake.uri == "s3://option/lake"
    assert loaded.origin("lake", "uri") == "option"
    assert loaded.settings.lake.actor == "env"
    assert loaded.origin("lake", "actor") == "environment LAKECORE_LAKE__ACTOR"
    assert loaded.settings.query.timeout_s == 1.0
    assert loaded.origin("query", "timeout_s") == f"file {tmp_path / 'lakecore.toml'}"
    assert loaded.origin("query", "memory_limit_bytes") == "default"


def test_short_names_win_over_long_ones(tmp_path: Path) -> None:
    """LAKECORE_LAKE is lake.uri, LAKECORE_ACTOR is lake.actor."""
    environ = {
        "LAKECORE_LAKE": "short",
        "LAKECORE_LAKE__URI": "long",
        "LAKECORE_ACTOR": "ada",
        "LAKECORE_LAKE__ACTOR": "grace",
    }
    settings = load(environ=environ, directory=tmp_path).settings
    assert (settings.lake.uri, settings.lake.actor) == ("short", "ada")


def test_an_empty_short_name_is_not_given(tmp_path: Path) -> None:
    """`LAKECORE_LAKE=` in a script means the default, not a lake without a name."""
    assert load(environ={"LAKECORE_LAKE": ""}, directory=tmp_path).settings.lake.uri == "./lake"


def test_the_file_beside_a_named_lake_comes_before_the_working_directory(tmp_path: Path) -> None:
    """A lake brings its own settings, wherever the command is started."""
    write(tmp_path / "lakecore.toml", '[lake]\nactor = "here"')
    write(tmp_path / "data" / "lakecore.toml", '[lake]\nactor = "beside"')
    lake = str(tmp_path / "data" / "lake")
    assert load(lake=lake, environ={}, directory=tmp_path).settings.lake.actor == "beside"
    assert load(environ={"LAKECORE_LAKE": lake}, directory=tmp_path).settings.lake.actor == "beside"
    assert load(environ={}, directory=tmp_path).settings.lake.actor == "here"
    assert load(lake="s3://b/lake", environ={}, directory=tmp_path).settings.lake.actor == "here"


def test_a_named_file_is_the_only_one(tmp_path: Path) -> None:
    """`--config` and LAKECORE_CONFIG hide the files that would be found."""
    write(tmp_path / "lakecore.toml", '[lake]\nactor = "here"')
    named = write(tmp_path / "other.toml", "[query]\ntimeout_s = 5")
    for loaded in (
        load(file=named, environ={}, directory=tmp_path),
        load(environ={"LAKECORE_CONFIG": "other.toml"}, directory=tmp_path),
    ):
        assert loaded.path == named
        assert loaded.settings.lake.actor == ""


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Only an unnamed file may be absent."""
    with pytest.raises(NotFound, match=r"no such configuration file at .*gone\.toml"):
        load(file="gone.toml", environ={}, directory=tmp_path)


def test_a_relative_lake_in_a_file_is_relative_to_the_file(tmp_path: Path) -> None:
    """The same file means the same lake from every directory; URLs stay as they are."""
    file = write(tmp_path / "etc" / "lakecore.toml", '[lake]\nuri = "../data/lake"')
    loaded = load(file=file, environ={}, directory=tmp_path / "etc")
    assert Path(loaded.settings.lake.uri).resolve() == tmp_path / "data" / "lake"
    write(file, '[lake]\nuri = "memory://x"')
    assert load(file=file, environ={}, directory=tmp_path).settings.lake.uri == "memory://x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[jurnal]\n", r"no section \[jurnal\] at .*:1: expected 'journal'\?"),
        (
            "\n[journal]\nseal_event = 1\n",
            r"\[journal\] has no setting 'seal_event' at .*:3: expected 'seal_events'\?",
        ),
        ("[lake]\nzzz = 1\n", r"'zzz' at .*:2: expected one of uri, actor"),
        ("[query]\ntimeout_s = 'soon'\n", r"query.timeout_s .*:2: expected a number, found 'soon'"),
        ("[query]\ntimeout_s = true\n", "expected a number, found True"),
        ("[query]\ntimeout_s = 0\n", "expected at least 0.001, found 0"),
        ("[query]\nmemory_limit_bytes = '1 XiB'\n", "expected a size in bytes"),
        ("[journal]\nseal_events = 70000\n", "expected at most 65,536, found 70000"),
        ("[journal]\nseal_events = 1.5\n", "expected a whole number, found 1.5"),
        ("[lake]\nuri = 1\n", r"lake.uri .*:2: expected text, found 1"),
        ("[storage.options]\naws_secret = 7\n", "found a value that is not shown"),
        ("lake = 'x'\n", r"lake is a section at .*:1: expected \[lake\]"),
        ("[lake\n", "is not TOML: .*line 1"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """Every mistake names the key, file and line, what was expected and what was found."""
    write(tmp_path / "lakecore.toml", text)
    with pytest.raises(InvalidInput, match=message) as raised:
        load(environ={}, directory=tmp_path)
    assert str(tmp_path / "lakecore.toml") in str(raised.value.where)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LAKECORE_JURNAL__SEAL_EVENTS", "1", "expected 'journal'"),
        ("LAKECORE_JOURNAL__SEAL_EVENT", "1", "expected 'seal_events'"),
        ("LAKECORE_QUERY__TIMEOUT_S", "soon", "at LAKECORE_QUERY__TIMEOUT_S: expected a number"),
        ("LAKECORE_QUERY__TIMEOUT_S", "nan", "expected a number"),
    ],
)
def test_bad_variables_are_refused(tmp_path: Path, variable: str, value: str, message: str) -> None:
    """A misspelt variable is not silently without effect."""
    with pytest.raises(InvalidInput, match=message):
        load(environ={variable: value}, directory=tmp_path)


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    """One underscore belongs to programs around Lakecore."""
    load(environ={"LAKECORE_TRACEBACK": "1", "PATH": "/bin"}, directory=tmp_path)


def test_a_table_is_set_entry_by_entry_from_the_environment(tmp_path: Path) -> None:
    """LAKECORE_STORAGE__OPTIONS__X is the option x of the store."""
    environ = {
        "LAKECORE_STORAGE__OPTIONS__AWS_REGION": "eu-central-2",
        "LAKECORE_STORAGE__OPTIONS__AWS_ENDPOINT": "http://localhost:9000",
    }
    options = load(environ=environ, directory=tmp_path).settings.storage.options
    assert dict(options) == {
        "aws_region": "eu-central-2",
        "aws_endpoint": "http://localhost:9000",
    }


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Binary by mistake: said so, not a traceback."""
    (tmp_path / "lakecore.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        load(environ={}, directory=tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_settings_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """No file makes `load` fail in a way that is not explained."""
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "lakecore.toml").write_bytes(text.encode("utf-8", "replace"))
    with contextlib.suppress(LakecoreError):
        load(environ={}, directory=folder)
