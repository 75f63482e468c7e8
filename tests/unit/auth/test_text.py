"""The text of a key: what is one, what is told without a look-up, what is blotted out."""

from __future__ import annotations

import hashlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.auth import redact
from lakecore.auth._text import Presented, is_id, key_text, new_id, parse_key
from lakecore.base import Unauthenticated

KEY = key_text("0123456789ab", bytes(range(32)))
ids = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=12, max_size=12)
all_secrets = st.binary(min_size=32, max_size=32)


@given(ids, all_secrets)
def test_a_key_is_read(key_id: str, secret: bytes) -> None:
    """Every id and secret make a text of one length, which gives the id back."""
    text = key_text(key_id, secret)
    assert len(text) == 66
    presented = parse_key(text)
    assert presented.key_id == key_id
    assert text.split("_")[2] not in repr(presented)


def test_secrets_of_all_bits() -> None:
    """The smallest and the largest secret differ, as do neighbours: no bit is lost."""
    edges = [bytes(32), bytes(31) + b"\1", b"\xff" * 31 + b"\xfe", b"\xff" * 32]
    assert len({parse_key(key_text("0" * 12, secret)).secret_sha256 for secret in edges}) == 4


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_other_text_is_refused(text: str) -> None:
    """Whatever comes that is no key ends in one error, whose words are always the same."""
    with pytest.raises(Unauthenticated) as refused:
        parse_key(text)
    words = (
        "this is no API key: expected lc_<id>_<secret>_<checksum>" if text else "a key is needed"
    )
    assert str(refused.value) == words


@given(st.data())
def test_a_mutated_key_is_never_the_key(data: st.DataObject) -> None:
    """A character changed, added, left out or moved: refused, and mostly without a look-up."""
    at = data.draw(st.integers(0, len(KEY) - 1))
    other = data.draw(st.characters() | st.sampled_from("_0Aa\n \0"))
    mutated = data.draw(
        st.sampled_from(
            [
                KEY[:at] + other + KEY[at + 1 :],
                KEY[:at] + other + KEY[at:],
                KEY[:at] + KEY[at + 1 :],
                KEY[at:] + KEY[:at],
                KEY + other,
                KEY.swapcase(),
                KEY + KEY,
            ]
        )
    )
    if mutated == KEY:
        return
    with pytest.raises(Unauthenticated):
        parse_key(mutated)


def test_one_changed_character_is_told() -> None:
    """The checksum finds every single change within the secret (CRC-32 does)."""
    for at in range(16, 59):
        for other in "0Zz":
            mutated = KEY[:at] + other + KEY[at + 1 :]
            if mutated != KEY:
                with pytest.raises(Unauthenticated, match="mistyped"):
                    parse_key(mutated)


def test_the_checksum_is_what_scanners_know() -> None:
    """CRC-32 of all before it, in base 62 with digits first, as GitHub's tokens have it."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    body, _, checksum = KEY.rpartition("_")
    number = 0
    for character in checksum:
        number = number * 62 + digits.index(character)
    assert number == zlib.crc32(body.encode())


def test_ids_are_names_of_documents() -> None:
    """New ids differ and can stand in a path."""
    found = {new_id() for _ in range(100)}
    assert len(found) == 100
    assert all(is_id(one) and re.fullmatch(r"[0-9a-z]{12}", one) for one in found)
    assert not is_id("../../secrets")
    assert not is_id("0123456789AB")
    assert not is_id(KEY)


@given(st.text(max_size=30), ids, all_secrets, st.text(max_size=30))
def test_secrets_are_blotted_out(before: str, key_id: str, secret: bytes, after: str) -> None:
    """Wherever a key stands in a text."""
    text = key_text(key_id, secret)
    assert text[16:59] not in redact(f"{before}{text}{after}")


def test_a_presented_key_is_a_hash() -> None:
    """Of the secret parsing returns the SHA-256 of its text, and nothing else."""
    secret = KEY.split("_")[2]
    expected = Presented("0123456789ab", hashlib.sha256(secret.encode()).hexdigest())
    assert parse_key(KEY) == expected
