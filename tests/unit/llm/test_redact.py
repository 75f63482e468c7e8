"""Secrets are blotted out, and nothing else is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.llm import redact, redact_json

A = "Ab1C2d3E4f5G6h7I8j9K0lMnOpQrStUvWxYz"
# Put together here, so that no scanner takes this file for one that has secrets.
SECRETS = [
    ("api-key", "sk-" + A),
    ("api-key", "sk-ant-" + "api03-" + A),
    ("api-key", "sk-proj-" + A + "_" + A),
    ("api-key", "gsk_" + A),
    ("api-key", "xai-" + A),
    ("api-key", "AIza" + "SyA" + A[:32]),
    ("api-key", "sk_live_" + A),
    ("api-key", "SG." + A[:22] + "." + A + A[:7]),
    ("token", "ghp_" + A),
    ("token", "github_pat_" + A),
    ("token", "glpat-" + A[:20]),
    ("token", "hf_" + A),
    ("token", "npm_" + A),
    ("token", "pypi-" + "AgEIcHlwaS5vcmc" + A),
    ("token", "xoxb-" + "123456789012-" + A[:24]),
    ("token", "ya29." + A),
    ("token", "dapi" + "0123456789abcdef" * 2),
    ("token", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + A),
    ("aws-key", "AKIA" + "IOSFODNN7EXAMPLE"[:16].replace("8", "2")),
    (
        "private-key",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE" + A + "\n-----END RSA PRIVATE KEY-----",
    ),
    ("private-key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl" + A),
]
OWN = "lc_0123456789ab_" + A + "1234567_" + "abcdef"
AFTER = [
    ("postgres://ada:hunter2@db/x", "postgres://ada:[redacted:password]@db/x"),
    (f"Authorization: Bearer {A}", "Authorization: Bearer [redacted:token]"),
    ('{"password": "correct-horse"}', '{"password": "[redacted:secret]"}'),
    (r"{\"api_key\": \"correct-horse\"}", r"{\"api_key\": \"[redacted:secret]\"}"),
    ("DB_PASSWORD='correct-horse'", "DB_PASSWORD='[redacted:secret]'"),
    (f"AWS_SECRET_ACCESS_KEY={A}", "AWS_SECRET_ACCESS_KEY=[redacted:secret]"),
    (f"AccountName=x;AccountKey={A}==;", "AccountName=x;AccountKey=[redacted:secret];"),
]
HARMLESS = [
    "The password is asked for at the door.",
    "max_tokens=4096, token = next(tokens)",
    "sk-learn and task-oriented work",
    "https://example.com/a:b@c",
    "api_key: str | None = None",
    'os.environ["OPENAI_API_KEY"]',
    "bearer of good news",
    "git commit 15a9dafab400455eba7a11aead650e73cef5f8f6",
    "N10156 has 55 seats; AKIA is a prefix.",
    "data-team, lc_ is our prefix",
]


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
def test_a_secret_is_blotted_out(kind: str, secret: str) -> None:
    """On its own, in a sentence, in code, in JSON in JSON."""
    mark = f"[redacted:{kind}]"
    assert redact(secret) == (mark, 1)
    assert redact(f"use {secret} here")[0].startswith(f"use {mark}")
    for text in (f'key("{secret}")', json.dumps({"a": secret}), json.dumps(json.dumps([secret]))):
        shown, count = redact(text)
        assert secret[12:] not in shown
        assert secret.splitlines()[-1][8:] not in shown
        assert count >= 1


def test_our_own_keys_are_blotted_out() -> None:
    """As everywhere else: the id stays, the secret goes."""
    shown, count = redact(f"lake with {OWN}")
    assert A not in shown
    assert count == 1


@pytest.mark.parametrize(("text", "shown"), AFTER)
def test_what_stands_before_a_secret_is_kept(text: str, shown: str) -> None:
    """Names, schemes and users are no secrets."""
    assert redact(text) == (shown, 1)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    """A false alarm would spoil a prompt."""
    assert redact(text) == (text, 0)


def test_every_text_of_a_document_is_looked_through() -> None:
    """Values, names, lists; not the bytes of images; what is too deep is left out."""
    secret = SECRETS[0][1]
    image = f"data:image/png;base64,{secret}"
    document = {"a": [{"b": secret, secret: 1, "url": image}], "n": 5, "none": None}
    shown, count = redact_json(document)
    assert count == 2
    assert shown["a"][0]["b"] == "[redacted:api-key]"
    assert shown["a"][0]["[redacted:api-key]"] == 1
    assert (shown["a"][0]["url"], shown["n"], shown["none"]) == (image, 5, None)
    deep: Any = secret
    for _ in range(500):
        deep = [deep]
    assert secret not in json.dumps(redact_json(deep)[0])


@given(st.text())
def test_redacting_twice_changes_nothing(text: str) -> None:
    """The marks are no secrets."""
    once, _ = redact(text)
    assert redact(once) == (once, 0)


@pytest.mark.parametrize(
    "text",
    [
        "seats " * 400_000,
        "password: '" * 100_000,
        "-----BEGIN PRIVATE KEY-----" * 20_000,
        "eyJ" * 300_000,
        "://a:" * 200_000,
        "token = " * 150_000,
        "sk-" * 300_000,
    ],
)
def test_long_texts_take_no_time(text: str) -> None:
    """Linear in the text, whatever it is."""
    began_s = time.process_time()
    redact(text)
    assert time.process_time() - began_s < 6
