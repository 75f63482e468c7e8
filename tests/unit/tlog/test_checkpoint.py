"""Checkpoints, offline proofs and the witness's texts: examples, round trips, damage."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import Conflict, CorruptData, InvalidInput, LakecoreError, Refused, Unavailable
from lakecore.tlog import (
    AddCheckpoint,
    Checkpoint,
    Cosigner,
    KnownSize,
    LogProof,
    SignedNote,
    Signer,
    inclusion_path,
    levels,
    next_old_size,
    node_source,
    read_answer,
    sign_note,
    subtree_root,
)

# The example of c2sp.org/tlog-checkpoint and tlog-cosignature.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1\
gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2o\
yin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
# The example of c2sp.org/tlog-witness, up to the checkpoint.
REQUEST = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

"""
LINES = [b"entry %d" % number for number in range(7)]
LEAVES = [hashlib.sha256(b"\x00" + line).digest() for line in LINES]
NODES = node_source(levels(np.frombuffer(b"".join(LEAVES), np.uint8).reshape(-1, 32)))
LOG = Signer("example.com/log", bytes(32))
WITNESS = Cosigner("witness.example/w", bytes([1]) * 32)
OTHER = Cosigner("witness.example/x", bytes([2]) * 32)

lines = st.text(st.characters(codec="utf-8").filter(lambda c: c >= " "), min_size=1, max_size=30)
hashes = st.binary(min_size=32, max_size=32)
sizes = st.integers(0, 2**63 - 1)


def head(size: int = 7) -> SignedNote:
    """The signed head of a small log."""
    return sign_note(Checkpoint(LOG.name, size, subtree_root(NODES, 0, size)).text, [LOG])


def proof(index: int = 3) -> LogProof:
    """The proof of one of its entries."""
    return LogProof(index, tuple(inclusion_path(NODES, index, 7)), head())


def test_the_example_of_the_specification() -> None:
    """Origin, size and root of the published checkpoint, and the time of its cosignature."""
    note = SignedNote.parse(EXAMPLE.encode())
    checkpoint = Checkpoint.of(note)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text == note.text
    assert note.signatures[1].time_s == 1_679_315_147
    assert note.to_bytes().decode() == EXAMPLE


def test_the_request_of_the_specification() -> None:
    """The published request, read and written to the letter."""
    body = (REQUEST + EXAMPLE).encode()
    request = AddCheckpoint.parse(body)
    assert (request.old_size, len(request.path)) == (20_852_014, 4)
    assert request.to_bytes() == body


@given(lines, sizes, hashes, st.lists(lines, max_size=3))
def test_checkpoints_round_trip(origin: str, size: int, root: bytes, extra: list[str]) -> None:
    """parse(text) is the checkpoint, whatever the origin and the extensions say."""
    checkpoint = Checkpoint(origin, size, root, tuple(extra))
    assert Checkpoint.parse(checkpoint.text) == checkpoint


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"a\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"a\n01\n{ROOT}\n",
        f"a\n-1\n{ROOT}\n",
        f"a\n+1\n{ROOT}\n",
        f"a\n1 \n{ROOT}\n",
        f"a\n٣\n{ROOT}\n",
        f"a\n{2**63}\n{ROOT}\n",
        f"a\n{'9' * 5000}\n{ROOT}\n",
        f"a\n1\n{ROOT}\n\n",
        f"a\n1\n{ROOT[:-1]}\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        "a\n1\nAAAA\n",
    ],
)
def test_malformed_checkpoints_are_refused(text: str) -> None:
    """Missing and empty lines, sizes of another form, roots of another length."""
    with pytest.raises(InvalidInput):
        Checkpoint.parse(text)


def test_what_no_checkpoint_can_hold_is_not_written() -> None:
    """A newline in the origin, a short root, a negative size."""
    for broken in (
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", 1, b""),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 1, bytes(32), ("",)),
    ):
        with pytest.raises(InvalidInput):
            _ = broken.text


@given(sizes, st.lists(hashes, max_size=63), st.none() | st.binary(max_size=100))
def test_proofs_round_trip(index: int, path: list[bytes], extra: bytes | None) -> None:
    """parse(to_bytes) is the proof, with and without extra data."""
    written = LogProof(index, tuple(path), head(), extra)
    assert LogProof.parse(written.to_bytes()) == written


def test_the_form_of_a_proof() -> None:
    """The lines of c2sp.org/tlog-proof, in their order."""
    text = LogProof(3, proof().path, head(), b"more").to_bytes().decode()
    first, extra, index, *rest = text.split("\n")
    assert (first, extra, index) == ("c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 3")
    assert rest[3] == ""
    assert rest[4:7] == head().text.split("\n")[:3]


def test_a_proof_verifies() -> None:
    """Every entry of the log, and no entry at another's place."""
    for index, leaf in enumerate(LEAVES):
        assert proof(index).verify(leaf, LOG.name, [LOG.key]).size == 7
        with pytest.raises(CorruptData, match="not in the signed log"):
            proof(index).verify(LEAVES[index - 1], LOG.name, [LOG.key])


def test_a_proof_of_another_log_or_key_is_refused() -> None:
    """Origin and key are the verifier's, never the proof's."""
    with pytest.raises(CorruptData, match="no known key"):
        proof().verify(LEAVES[3], LOG.name, [Signer(LOG.name, bytes([9]) * 32).key])
    with pytest.raises(CorruptData, match="another log"):
        proof().verify(LEAVES[3], "example.com/other", [LOG.key])


def test_witnesses_are_counted() -> None:
    """Known witnesses that cosigned, each once; a wrong cosignature spoils the proof."""
    text = head().text
    signed = head().with_signatures([WITNESS.sign(text, 1), WITNESS.sign(text, 2)])
    shown = LogProof(3, proof().path, signed)
    known = [WITNESS.key, OTHER.key]
    shown.verify(LEAVES[3], LOG.name, [LOG.key], witnesses=known, quorum=1)
    with pytest.raises(CorruptData, match="too few witnesses"):
        shown.verify(LEAVES[3], LOG.name, [LOG.key], witnesses=known, quorum=2)
    with pytest.raises(CorruptData, match="too few witnesses"):
        proof().verify(LEAVES[3], LOG.name, [LOG.key], witnesses=known, quorum=1)
    forged = head().with_signatures([OTHER.sign(head(6).text, 1)])
    with pytest.raises(CorruptData, match="does not verify"):
        LogProof(3, proof().path, forged).verify(LEAVES[3], LOG.name, [LOG.key], witnesses=known)


@given(st.data())
def test_every_changed_byte_of_a_proof_shows(data: st.DataObject) -> None:
    """A proof with one other byte is refused, unless the byte is in nobody's signature."""
    whole = proof().to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
    with pytest.raises(LakecoreError) as caught:
        LogProof.parse(changed).verify(LEAVES[3], LOG.name, [LOG.key])
    assert isinstance(caught.value, InvalidInput | CorruptData)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a proof at all",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\nindex x\n\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\nindex 00\n\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nextra !!\nindex 0\n\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\nindex 0\n" + (ROOT + "\n") * 64 + "\n" + EXAMPLE,
        "c2sp.org/tlog-proof@v1\r\nindex 0\r\n\n" + EXAMPLE,
    ],
)
def test_malformed_proofs_are_refused(text: str) -> None:
    """Header, extra, index, hashes and checkpoint each have one form."""
    with pytest.raises(InvalidInput):
        LogProof.parse(text.encode())


@given(sizes, st.lists(hashes, max_size=63))
def test_requests_round_trip(old_size: int, path: list[bytes]) -> None:
    """parse(to_bytes) is the request."""
    request = AddCheckpoint(old_size, tuple(path), head())
    assert AddCheckpoint.parse(request.to_bytes()) == request


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    """A witness meets nothing but `InvalidInput`; so does whoever reads a proof."""
    for parse in (AddCheckpoint.parse, LogProof.parse):
        for candidate in (data, b"old 1\n" + data + EXAMPLE.encode()):
            try:
                parsed = parse(candidate)
            except InvalidInput:
                continue
            assert parsed.to_bytes() == candidate


def test_a_cosignature_is_accepted() -> None:
    """200: the line of the known witness, others beside it left alone."""
    note = head()
    mine, other = WITNESS.sign(note.text, 5), OTHER.sign(note.text, 6)
    body = (other.line + mine.line).encode()
    assert read_answer(200, body, note, WITNESS.key) == mine


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"", InvalidInput),
        (200, b"nonsense\n", InvalidInput),
        (200, b"\xff\n", InvalidInput),
        (200, b"x" * 1_000_001, InvalidInput),
        (200, OTHER.sign(head().text, 5).line.encode(), CorruptData),
        (200, WITNESS.sign(head(6).text, 5).line.encode(), CorruptData),
        (200, WITNESS.sign(head().text, 5).line.encode()[:-1], InvalidInput),
        (409, b"12", InvalidInput),
        (409, b"-1\n", InvalidInput),
        (400, b"", InvalidInput),
        (403, b"", Refused),
        (404, b"", Refused),
        (422, b"", CorruptData),
        (500, b"", Unavailable),
        (302, b"", Unavailable),
    ],
)
def test_other_answers_are_errors(status: int, body: bytes, error: type[LakecoreError]) -> None:
    """Each says what the caller can do: mend the request, ask the operator, wait."""
    with pytest.raises(error):
        read_answer(status, body, head(), WITNESS.key)


def test_a_plain_key_is_no_witness() -> None:
    """A cosignature has a time; a plain signature has none."""
    with pytest.raises(InvalidInput, match="0x04"):
        read_answer(200, LOG.sign(head().text).line.encode(), head(), LOG.key)


def test_a_known_size_is_where_to_go_on() -> None:
    """409 names the next old size, unless the witness is ahead or repeats itself."""
    answer = read_answer(409, b"5\n", head(), WITNESS.key)
    assert answer == KnownSize(5)
    assert next_old_size(KnownSize(5), 0, 7) == 5
    for known, sent in ((8, 0), (0, 0)):
        with pytest.raises(Conflict):
            next_old_size(KnownSize(known), sent, 7)
