"""`[[storage.bucket]]`: from a file and the environment, what is wrong, what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakecore.base import InvalidInput
from lakecore.config import load, show

FILE = """
[[storage.bucket]]
name = "main"
uri = "s3://lakes/main"
role = "primary"
region = "eu-central-1"
profile = "lake"
[[storage.bucket]]
name = "cold"
uri = "archive"
credentials_file = "keys.json"
[[storage.bucket]]
name = "dr"
uri = "s3://lakes-dr/main"
role = "replica"
credentials_env = { access_key_id = "DR_ID", secret_access_key = "DR_SECRET" }
options = { allow_http = "true" }
"""


def test_buckets_of_a_file(tmp_path: Path) -> None:
    """The primary is the lake where nothing else says so; paths are beside the file."""
    (tmp_path / "lakecore.toml").write_text(FILE)
    loaded = load(environ={}, directory=tmp_path)
    main, cold, dr = loaded.settings.storage.bucket
    assert loaded.settings.lake.uri == "s3://lakes/main"
    assert loaded.origin("lake", "uri") == "storage.bucket main"
    assert (main.role, cold.role, dr.role) == ("primary", "archive", "replica")
    assert (cold.uri, cold.credentials_file) == (
        str(tmp_path / "archive"),
        str(tmp_path / "keys.json"),
    )
    named = load(lake="elsewhere", environ={}, file=tmp_path / "lakecore.toml")
    assert named.settings.lake.uri == "elsewhere"


def test_buckets_of_the_environment() -> None:
    """Tables in a table by one more pair of underscores."""
    environ = {
        "LAKECORE_STORAGE__BUCKET__COLD__URI": "s3://cold",
        "LAKECORE_STORAGE__BUCKET__COLD__OPTIONS__ALLOW_HTTP": "true",
        "LAKECORE_STORAGE__BUCKET__COLD__CREDENTIALS_ENV__ACCESS_KEY_ID": "COLD_ID",
        "LAKECORE_STORAGE__BUCKET__COLD__TIMEOUT_S": "5",
    }
    (cold,) = load(environ=environ, directory="/nonexistent").settings.storage.bucket
    assert (cold.name, cold.uri, cold.role, cold.timeout_s) == ("cold", "s3://cold", "archive", 5)
    assert (dict(cold.options), dict(cold.credentials_env)) == (
        {"allow_http": "true"},
        {"access_key_id": "COLD_ID"},
    )


def test_what_is_shown(tmp_path: Path) -> None:
    """Where credentials are, masked like whatever has a name of one."""
    (tmp_path / "lakecore.toml").write_text(FILE)
    shown = {
        (one.section, one.name): one.value for one in show(load(environ={}, directory=tmp_path))
    }
    dr = shown["storage", "bucket"][2]  # type: ignore[index]  # a list
    assert dr["credentials_env"] == {
        "access_key_id": "********",
        "secret_access_key": "********",
    }
    assert dr["options"] == {"allow_http": "true"}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('name = "a"', "needs uri"),
        ('uri = "x"', "needs name"),
        ('name = "A B"\nuri = "x"', "not a bucket's name"),
        ('name = "a"\nuri = "x"\nrole = "backup"', "role has a bad value"),
        ('name = "a"\nuri = "x"\n[[storage.bucket]]\nname = "a"\nuri = "y"', "there twice"),
        ('name = "a"\nuri = "x"\noptions = { secret_access_key = "hunter2" }', "secret among"),
        ('name = "a"\nuri = "x"\nprofile = "p"\ncredentials_file = "f"', "more than one place"),
        (
            'name = "a"\nuri = "x"\nrole = "primary"\n'
            '[[storage.bucket]]\nname = "b"\nuri = "y"\nrole = "primary"',
            "more than one primary",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, match: str) -> None:
    """Said with the place in the file, and without a secret's value."""
    (tmp_path / "lakecore.toml").write_text(f"[[storage.bucket]]\n{text}\n")
    with pytest.raises(InvalidInput, match=match) as error:
        load(environ={}, directory=tmp_path)
    assert "hunter2" not in str(error.value)
