"""Signed notes (c2sp.org/signed-note): a text, an empty line, signature lines.

- The text is UTF-8 without control characters but newline, and ends in newline.
- A signature line is ``— <name> base64(key id ‖ signature)``.
- Signatures of unknown keys are left alone; one of a known key that does not verify
  makes the whole note worthless; so does the lack of any that verifies.
- A note has at most 1,000,000 bytes and 100 signatures, as in golang.org/x/mod/sumdb/note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.base import CorruptData, InvalidInput
from lakecore.tlog._keys import NoteSignature, Signer, VerifierKey
from lakecore.tlog._text import decode_base64, is_key_name, shown

MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
_KEY_ID_BYTES: Final = 4
_DASH: Final = "— "


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text and its signatures. Parsed is not verified: see `verify`."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> SignedNote:
        """The parts of a note.

        Raises:
            InvalidInput: it is not of a note's form.
        """
        text, separator, lines = _decode(data).rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise InvalidInput(
                "not a signed note", expected="a text, an empty line and signature lines"
            )
        signatures = parse_signatures(lines)
        note = cls(text + "\n", signatures)
        note.to_bytes()
        return note

    def to_bytes(self) -> bytes:
        """The note as it is stored and sent.

        Raises:
            InvalidInput: the text cannot be in a note, or there are too many signatures.
        """
        _check_text(self.text)
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise InvalidInput(
                "a note has another number of signatures",
                expected=f"1 to {MAX_SIGNATURES}",
                found=len(self.signatures),
            )
        data = "".join([self.text, "\n", *(item.line for item in self.signatures)]).encode()
        if len(data) > MAX_NOTE_BYTES:
            raise InvalidInput("a note is too large", expected=MAX_NOTE_BYTES, found=len(data))
        return data

    def verify(self, keys: Iterable[VerifierKey]) -> tuple[NoteSignature, ...]:
        """The signatures by known keys, at least one, all of them right.

        Raises:
            CorruptData: no known key signed the text, or one of them did not.
            InvalidInput: two of the keys have the same name and id.
        """
        known: dict[tuple[str, bytes], VerifierKey] = {}
        for key in keys:
            if known.setdefault((key.name, key.key_id), key) != key:
                raise InvalidInput("two keys have one name and id", found=key)
        verified = []
        for signature in self.signatures:
            signer = known.get((signature.name, signature.key_id))
            if signer is None:
                continue
            if not signer.verify(self.text, signature):
                raise CorruptData(
                    "a signature does not verify", found=f"one that names the key {signer}"
                )
            verified.append(signature)
        if not verified:
            raise CorruptData(
                "no known key signed this",
                expected=", ".join(map(str, known.values())) or "a known key",
                found=", ".join(shown(f"{s.name}+{s.key_id.hex()}") for s in self.signatures[:5]),
            )
        return tuple(verified)

    def with_signatures(self, more: Iterable[NoteSignature]) -> SignedNote:
        """The same text with further signatures; what is there already stays once."""
        return SignedNote(self.text, tuple(dict.fromkeys((*self.signatures, *more))))


def sign_note(text: str, signers: Sequence[Signer]) -> SignedNote:
    """The text, signed by each of the signers.

    Raises:
        InvalidInput: the text cannot be in a note.
    """
    _check_text(text)
    note = SignedNote(text, tuple(signer.sign(text) for signer in signers))
    note.to_bytes()
    return note


def parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    """The signatures of signature lines: the end of a note, or what a witness answers.

    Raises:
        InvalidInput: a line is none, or there are more than 100.
    """
    found = lines.split("\n")
    if found.pop() or not found or len(found) > MAX_SIGNATURES:
        raise InvalidInput(
            "not signature lines", expected=f"1 to {MAX_SIGNATURES} lines, each with its end"
        )
    return tuple(_signature(line) for line in found)


def _signature(line: str) -> NoteSignature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2 or not is_key_name(parts[0]):
        raise InvalidInput("not a signature line", expected="— <name> <base64>", found=shown(line))
    data = decode_base64(parts[1], "a signature")
    if len(data) <= _KEY_ID_BYTES:
        raise InvalidInput(
            "a signature is too short", expected="more than 4 bytes", found=len(data)
        )
    return NoteSignature(parts[0], data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _decode(data: bytes) -> str:
    if len(data) > MAX_NOTE_BYTES:
        raise InvalidInput("a note is too large", expected=MAX_NOTE_BYTES, found=len(data))
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidInput("a note is not UTF-8") from None
    _check_characters(text)
    return text


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise InvalidInput(
            "a note's text has no end", expected="a newline", found=shown(text[-20:])
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("a note's text is not Unicode") from None
    _check_characters(text)


def _check_characters(text: str) -> None:
    if any(character < " " and character != "\n" for character in text):
        raise InvalidInput("a note has control characters", expected="newlines only")
