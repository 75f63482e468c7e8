"""What is kept of what others send: no secret, no depth, no size without a bound."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.observer._clean import (
    BLOT,
    CUT,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_MEMBERS,
    MAX_OBJECT_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    Cleaner,
    clean_text,
    is_secret_name,
)

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
SECRETS = [
    ("Authorization: Bearer abcdefgh12345678", "abcdefgh"),
    ("curl -u x -H 'Authorization: Basic YWRhOmh1bnRlcjI='", "YWRhOmh1"),
    ("the key is sk-proj-abcdefghijklmnop1234", "abcdefgh"),
    ("token ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefgh"),
    ("github_pat_11ABCDEFG0abcdefghijklmnop", "11ABCDEFG0"),
    ("id AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("xoxb-123456789012-abcdefghij", "123456789012"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "SyA1234567890"),
    (f"cookie={JWT}", "eyJzdWIiOiIxMjM0In0"),
    (PEM, "MIIEpAIBAAKCAQEA"),
    (PEM[:50], "MIIEpAIBAAK"),
    ("postgres://ada:hunter2@db/planes", "hunter2"),
    ("password=hunter2 user=ada", "hunter2"),
    ("db_password = p@ssw0rd", "ssw0rd"),
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "wJalrXUtnFEMI"),
    ("client_secret: hunter2", "hunter2"),
    ("?access_token=hunter2&x=1", "hunter2"),
    ("redis://:hunter2@cache:6379", "hunter2"),
    ('{"password": "hunter2"}', "hunter2"),
    ('"{\\"api_key\\": \\"hunter2\\"}"', "hunter2"),
    ("lc_0123456789ab_" + "x" * 43 + "_000000", "xxxxxxxx"),
]
HARMLESS = [
    "the bearer of bad news",
    "basic understanding of planes",
    "https://lake.example:3100/planes",
    "a token of my esteem",
    "gpt-4o says hello",
    "no password is needed",
    "max_tokens: 100",
    "input_tokens=12 output_tokens=5",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=lambda text: text[:12])
def test_secrets_are_blotted_out(text: str, secret: str) -> None:
    """By their form, in the middle of any text, and as a value in an object."""
    for where in (text, f"before {text} after", f"\n{text}\n"):
        found, _ = clean_text(where)
        assert secret not in found
        assert BLOT in found
        assert secret not in json.dumps(Cleaner().value({"note": [where]}))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_stays(text: str) -> None:
    """Texts that only speak of such things."""
    assert clean_text(text) == (text, False)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True),
        ("db.password", True),
        ("userPassword", True),
        ("Authorization", True),
        ("http.request.header.authorization", True),
        ("x-api-key", True),
        ("apiKey", True),
        ("set-cookie", True),
        ("access_token", True),
        ("client_secret", True),
        ("aws_secret_access_key", True),
        ("gen_ai.usage.input_tokens", False),
        ("max_tokens", False),
        ("key", False),
        ("monkey", False),
        ("author", False),
    ],
)
def test_names_of_secrets(name: str, is_secret: bool) -> None:
    """By the words in a name, however it is written."""
    assert is_secret_name(name) is is_secret
    kept = Cleaner().members({name: "hunter2", "nested": {name: ["hunter2"]}})
    assert ("hunter2" in json.dumps(kept)) is not is_secret


def test_numbers_under_such_names_stay() -> None:
    """A count or a flag is no secret."""
    assert Cleaner().members({"token": 7, "password": None, "secret": True}) == {
        "token": 7,
        "password": None,
        "secret": True,
    }


def test_bounds() -> None:
    """Texts, lists, objects, depth and the whole are cut, and it is said."""
    cases: list[Any] = [
        "x" * (MAX_VALUE_CHARACTERS + 1),
        list(range(MAX_ITEMS + 1)),
        {str(n): n for n in range(MAX_MEMBERS + 1)},
        [["x" * 4_000] * 30],
    ]
    for case in cases:
        cleaner = Cleaner()
        text = cleaner.encode(cleaner.members({"case": case}))
        assert cleaner.is_cut
        assert len(text) < MAX_OBJECT_CHARACTERS + 3 * MAX_VALUE_CHARACTERS
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = [deep]
    cleaner = Cleaner()
    assert cleaner.encode(cleaner.value(deep)) == "[" * MAX_DEPTH + f'"{CUT}"' + "]" * MAX_DEPTH


def test_a_secret_at_the_edge_is_not_halved() -> None:
    """What is cut ahead of the search leaves no first half of a secret behind."""
    filler = "password=aaaaaaaa " * 2_000
    text = filler + "sk-" + "b" * 3_000 + "c" * 100_000
    for size in range(0, 3_000, 97):
        found, is_cut = clean_text(text[: len(filler) + size] + "c" * 100_000, 40_000)
        assert is_cut
        assert "bbbb" not in found


def test_time_is_linear() -> None:
    """No text takes long, whatever it is made of."""
    nasty = [
        "secret",
        "password:",
        "password=",
        "token: ",
        "api",
        "secret_",
        "://a:",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        '"',
    ]
    for piece in nasty:
        began = time.process_time()
        clean_text(piece * 20_000, 1 << 20)
        assert time.process_time() - began < 1.0


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), JSON_VALUES))
def test_whatever_comes_is_json(value: dict[str, Any]) -> None:
    """Any value becomes JSON that reads, and cleaning it again changes nothing."""
    cleaner = Cleaner()
    text = cleaner.encode(cleaner.members(value))
    found = json.loads(text)
    assert isinstance(found, dict)
    if not cleaner.is_cut:
        again = Cleaner()
        assert json.loads(again.encode(again.members(found))) == found
