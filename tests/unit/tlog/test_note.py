"""Signed notes, keys and cosignatures: published vectors, round trips, damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput
from lakecore.tlog import (
    COSIGNATURE_V1,
    Cosigner,
    NoteSignature,
    SignedNote,
    Signer,
    VerifierKey,
    parse_signatures,
    sign_note,
)

# The keys, texts and signatures that golang.org/x/mod/sumdb/note tests with (note_test.go).
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWL"
    "ox33WWd1RvMc+QQ=\n"
)
# The example of c2sp.org/signed-note.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mF"
    "XmRKuwHjG1Yu72IneyaQM=\n"
)
# A witness's key, as transparency-dev/formats tests with it (note_cosigv1_test.go).
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

names = st.text(
    st.characters(codec="utf-8", exclude_characters="+").filter(
        lambda c: not c.isspace() and c >= " "
    ),
    min_size=1,
    max_size=20,
)
texts = st.text(
    st.characters(codec="utf-8").filter(lambda c: c >= " " or c == "\n"), max_size=200
).map(lambda text: text + "\n")
seeds = st.binary(min_size=32, max_size=32)


def test_the_notes_of_go_verify() -> None:
    """Both signatures of Go's example are right; an unknown key's is left alone."""
    note = SignedNote.parse(f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode())
    peter, enoch = VerifierKey.parse(PETER), VerifierKey.parse(ENOCH)
    assert note.text == TEXT
    assert [s.name for s in note.verify([peter])] == ["PeterNeumann"]
    assert [s.name for s in note.verify([enoch, peter])] == ["PeterNeumann", "EnochRoot"]


def test_the_signature_of_go_is_made() -> None:
    """The same seed and text give the same line, to the letter."""
    # The secret part of Go's "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+…".
    import base64

    seed = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    signer = Signer("PeterNeumann", seed)
    assert signer.vkey == PETER
    assert sign_note(TEXT, [signer]).to_bytes().decode() == f"{TEXT}\n{PETER_LINE}"


def test_the_example_of_the_specification_verifies() -> None:
    """c2sp.org/signed-note: its verifier key verifies its note."""
    note = SignedNote.parse(C2SP_NOTE.encode())
    assert len(note.verify([VerifierKey.parse(C2SP_KEY)])) == 1
    assert note.to_bytes().decode() == C2SP_NOTE


def test_a_witness_key_is_read() -> None:
    """Algorithm 0x04 enters the key id."""
    key = VerifierKey.parse(REMORA)
    assert (key.name, key.algorithm, str(key)) == ("remora.n621.de", COSIGNATURE_V1, REMORA)


def test_the_time_of_a_known_cosignature() -> None:
    """The eight bytes behind the key id, from transparency-dev/formats."""
    (signature,) = parse_signatures(
        "— w ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOw"
        "orDcFiEBYJXORmnFBOBA==\n"
    )
    assert signature.time_s == 1_727_964_367


def test_every_mangled_key_is_refused() -> None:
    """No part of a verifier key and no changed letter is another key, as in Go's test."""
    for start in range(len(PETER)):
        for end in range(start + 1, len(PETER) + 1):
            if (start, end) != (0, len(PETER)):
                with pytest.raises(InvalidInput):
                    VerifierKey.parse(PETER[start:end])
    for at, letter in enumerate(PETER):
        with pytest.raises(InvalidInput):
            VerifierKey.parse(PETER[:at] + chr(ord(letter) + 1) + PETER[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        # Wrong length and unknown algorithm, with key ids that fit (note_test.go).
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
        "rekor.sigstore.dev+12345678+AwEB",
        "name++",
        "",
    ],
)
def test_bad_keys_are_refused(text: str) -> None:
    """Length, algorithm, base64 and parts are checked."""
    with pytest.raises(InvalidInput):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "note",
    [
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n{PETER_LINE[:-1]}",
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\r\n\n{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad+Name')}",
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Bad\u2003Name"),
        f"{TEXT}\n{PETER_LINE.replace('— ', '- ')}",
        f"{TEXT}\n{PETER_LINE.replace('=', '')}",
        f"{TEXT}\n— PeterNeumann AAAA\n",
        f"{TEXT}\n— PeterNeumann AAAAAA==\n",
        f"{TEXT}\n{PETER_LINE * 101}",
        f"{'x' * 1_000_000}\n\n{PETER_LINE}",
        f"\n{PETER_LINE}",
    ],
)
def test_malformed_notes_are_refused(note: str) -> None:
    """Go's list of malformed notes, and more: `InvalidInput`, nothing else."""
    with pytest.raises(InvalidInput):
        SignedNote.parse(note.encode())


def test_a_note_is_utf8() -> None:
    """Bytes that are no UTF-8 are refused, in a text that is to be signed as well."""
    with pytest.raises(InvalidInput):
        SignedNote.parse(b"\xff" + f"{TEXT}\n{PETER_LINE}".encode())
    with pytest.raises(InvalidInput):
        sign_note("\ud800\n", [Signer("a", bytes(32))])


def test_one_wrong_signature_spoils_the_note() -> None:
    """A known key's signature that does not verify is not made up for by a right one."""
    wrong = PETER_LINE[:60] + "ABCD" + PETER_LINE[60:]
    note = SignedNote.parse(f"{TEXT}\n{wrong}{ENOCH_LINE}".encode())
    with pytest.raises(CorruptData, match="does not verify"):
        note.verify([VerifierKey.parse(PETER), VerifierKey.parse(ENOCH)])
    assert len(note.verify([VerifierKey.parse(ENOCH)])) == 1


def test_a_note_without_a_known_key_is_worthless() -> None:
    """No known key, no key at all, the same name with another id: refused."""
    note = SignedNote.parse(f"{TEXT}\n{PETER_LINE}".encode())
    for keys in ([], [VerifierKey.parse(ENOCH)], [Signer("PeterNeumann", bytes(32)).key]):
        with pytest.raises(CorruptData, match="no known key"):
            note.verify(keys)


def test_up_to_a_hundred_signatures() -> None:
    """100 are fine."""
    note = SignedNote.parse(f"{TEXT}\n{PETER_LINE * 100}".encode())
    assert len(note.verify([VerifierKey.parse(PETER)])) == 100


@given(names, seeds, texts)
def test_what_is_signed_verifies(name: str, seed: bytes, text: str) -> None:
    """Any name and text: parse(sign) is the note, its key verifies, after a round trip too."""
    signer = Signer(name, seed)
    note = sign_note(text, [signer])
    assert SignedNote.parse(note.to_bytes()) == note
    assert note.verify([VerifierKey.parse(signer.vkey)]) == note.signatures


@given(seeds, texts, st.integers(1, 2**63 - 1))
def test_cosignatures_bind_text_and_time(seed: bytes, text: str, time_s: int) -> None:
    """A cosignature verifies for its text and time alone, and is no plain signature."""
    cosigner = Cosigner("w", seed)
    signature = cosigner.sign(text, time_s)
    assert signature.time_s == time_s
    assert cosigner.key.verify(text, signature)
    assert not cosigner.key.verify(text + "x\n", signature)
    moved = NoteSignature(
        "w", signature.key_id, (time_s ^ 1).to_bytes(8, "big") + signature.signature[8:]
    )
    assert not cosigner.key.verify(text, moved)
    assert not Signer("w", seed).key.verify(text, signature)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    """No input makes the parser fail in another way, and what it takes comes back."""
    for candidate in (data, f"{TEXT}\n{PETER_LINE}".encode() + data, data + PETER_LINE.encode()):
        try:
            note = SignedNote.parse(candidate)
        except InvalidInput:
            continue
        assert note.to_bytes() == candidate


def test_the_seed_is_nowhere() -> None:
    """Neither representation nor pickling shows a secret."""
    import pickle

    signer = Signer("a", b"secret-secret-secret-secret-1234")
    assert b"secret" not in repr(signer).encode()
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    with pytest.raises(InvalidInput) as caught:
        Signer("a", b"secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("time_s", [0, -1, 2**63])
def test_a_cosignature_has_a_time(time_s: int) -> None:
    """A witness must not leave out the time."""
    with pytest.raises(InvalidInput):
        Cosigner("w", bytes(32)).sign(TEXT, time_s)
