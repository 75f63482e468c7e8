"""Credentials by reference: where they are read, when again, and that they are never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.fakes.faulty_store import FaultyStore

from lakecore.base import InvalidInput, Refused
from lakecore.storage import CredentialsReference, ObjectInfo, Store, open_store
from lakecore.storage._refreshing import RefreshingStore

SECRET = "s3cret-that-must-not-show"


def test_of_the_environment() -> None:
    """Each option from its variable; a session token may be missing, a key may not."""
    names = {"access_key_id": "A_ID", "secret_access_key": "A_KEY", "session_token": "A_TOKEN"}
    reference = CredentialsReference(variables=names)
    found = reference.read({"A_ID": "id", "A_KEY": SECRET})
    assert found.options == {"access_key_id": "id", "secret_access_key": SECRET}
    assert SECRET not in repr(found) + repr(reference) + reference.describe()
    with pytest.raises(Refused, match="A_KEY"):
        reference.read({"A_ID": "id"})


def test_of_a_file(tmp_path: Path) -> None:
    """As `credential_process` gives it; the end is a time."""
    file = tmp_path / "keys.json"
    content = {"AccessKeyId": "id", "SecretAccessKey": SECRET, "SessionToken": "t", "Version": 1}
    file.write_text(json.dumps({**content, "Expiration": "2026-01-31T12:00:00Z"}))
    found = CredentialsReference(file=str(file)).read({})
    assert set(found.options) == {"access_key_id", "secret_access_key", "session_token"}
    assert found.is_ending(datetime(2026, 1, 31, 11, 59, 30, tzinfo=UTC), 60)
    assert not found.is_ending(datetime(2026, 1, 31, 11, 58, tzinfo=UTC), 60)


def test_of_a_profile(tmp_path: Path) -> None:
    """Percent signs are nothing special in a secret."""
    file = tmp_path / "credentials"
    file.write_text("[cold]\naws_access_key_id = id\naws_secret_access_key = a%b\n")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    found = CredentialsReference(profile="cold").read(environ)
    assert found.options == {"access_key_id": "id", "secret_access_key": "a%b"}
    with pytest.raises(Refused, match="no profile warm"):
        CredentialsReference(profile="warm").read(environ)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"Expiration": "soon"}', "x" * 70_000], ids=["0", "1", "2", "3", "4"]
)
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    """Says what is wrong with it, and nothing of what is in it."""
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(Refused, match="credentials are not where they should be"):
        CredentialsReference(file=str(file)).read({})
    with pytest.raises(Refused, match="No such file"):
        CredentialsReference(file=str(tmp_path / "none")).read({})


def test_one_place_only() -> None:
    """Two would be a riddle."""
    with pytest.raises(InvalidInput, match="in one place"):
        CredentialsReference(profile="a", file="b").check("here")


class Guarded(FaultyStore):
    """Refuses whoever has not the key that is good now."""

    good = "one"

    def __init__(self, inner: Store, options: Mapping[str, str]) -> None:
        super().__init__(inner)
        self.key = options["key"]

    def get(self, path: str) -> bytes:
        self._check()
        return super().get(path)

    def create(self, path: str, data: bytes) -> None:
        self._check()
        super().create(path, data)

    def head(self, path: str) -> ObjectInfo:
        self._check()
        return super().head(path)

    def table_options(self, path: str = "") -> dict[str, str]:
        return {"key": self.key}

    def _check(self) -> None:
        if self.key != type(self).good:
            raise Refused("expired")


def test_other_credentials_are_taken_when_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is refused is repeated once with what the reference leads to now."""
    inner, environ = open_store("memory://"), {"KEY": "one"}
    made: list[str] = []

    def make(options: Mapping[str, str]) -> Store:
        made.append(options["key"])
        return Guarded(inner, options)

    store = RefreshingStore(make, CredentialsReference(variables={"key": "KEY"}), environ)
    store.create("a", b"1")
    monkeypatch.setattr(Guarded, "good", "two")
    with pytest.raises(Refused, match="expired"):
        store.get("a")
    environ["KEY"] = "two"
    assert (store.get("a"), store.table_options()) == (b"1", {"key": "two"})
    store.create("b", b"2")
    monkeypatch.setattr(Guarded, "good", "three")
    environ["KEY"] = "three"
    assert store.open("a").read() == b"1"
    # While the place is being written, those that are there stay.
    del environ["KEY"]
    assert store.get("b") == b"2"
    assert made == ["one", "two", "three"]


def test_credentials_that_end_are_taken_anew_before(tmp_path: Path) -> None:
    """A minute before the end that they name, without a refusal."""
    file, now = tmp_path / "keys.json", datetime(2026, 1, 31, 12, tzinfo=UTC)
    moment = [now]

    def write(key: str, minutes: int) -> None:
        end = (now + timedelta(minutes=minutes)).isoformat()
        file.write_text(json.dumps({"key": key, "Expiration": end}))

    write("one", 10)
    inner = open_store("memory://")
    store = RefreshingStore(
        lambda options: Guarded(inner, options),
        CredentialsReference(file=str(file)),
        {},
        now=lambda: moment[0],
    )
    write("two", 20)
    assert store.table_options() == {"key": "one"}
    moment[0] = now + timedelta(minutes=9, seconds=30)
    assert store.table_options() == {"key": "two"}
