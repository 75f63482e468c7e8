"""The witness protocol's texts (c2sp.org/tlog-witness): what is sent and what comes back.

A log sends ``old <size>``, the consistency proof from there, an empty line, and its
checkpoint. A witness answers with cosignature lines (200), with the size that it knows
(409), or with a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lakecore.base import Conflict, CorruptData, InvalidInput, LakecoreError, Refused, Unavailable
from lakecore.tlog._keys import COSIGNATURE_V1, NoteSignature, VerifierKey
from lakecore.tlog._note import SignedNote, parse_signatures
from lakecore.tlog._text import MAX_PATH, decimal, decode_hash, encode_base64, shown

MAX_ANSWER_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of an ``add-checkpoint`` request."""

    old_size: int
    path: tuple[bytes, ...]
    note: SignedNote

    def to_bytes(self) -> bytes:
        """The request's body."""
        if len(self.path) > MAX_PATH:
            raise InvalidInput("a proof is too long", expected=MAX_PATH, found=len(self.path))
        lines = [f"old {self.old_size}", *map(encode_base64, self.path), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note.to_bytes()

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        """The parts of a request's body; `InvalidInput` when it is of another form (400)."""
        head, separator, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            lines = []
        if not separator or not lines or not lines[0].startswith("old "):
            raise InvalidInput("not a request", expected="old <size>, a proof, a checkpoint")
        old_size = decimal(lines.pop(0).removeprefix("old "), "an old size")
        if len(lines) > MAX_PATH:
            raise InvalidInput("a proof is too long", expected=MAX_PATH, found=len(lines))
        path = tuple(decode_hash(line, "a proof's hash") for line in lines)
        return cls(old_size, path, SignedNote.parse(note))


@dataclass(frozen=True, slots=True)
class KnownSize:
    """A witness's answer 409: the size of the latest checkpoint that it cosigned."""

    size: int


def read_answer(
    status: int, body: bytes, note: SignedNote, key: VerifierKey
) -> NoteSignature | KnownSize:
    """What a witness's answer means: its verified cosignature, or the size that it knows.

    Raises:
        InvalidInput: the answer is not of the protocol's form, or the request was not (400).
        CorruptData: the cosignature is wrong or not this witness's, or the witness found
            the proof wrong (422).
        Refused: the witness does not know the log (404) or its key (403).
        Unavailable: anything else; try again later.
    """
    if len(body) > MAX_ANSWER_BYTES:
        raise InvalidInput("a witness's answer is too long", expected=MAX_ANSWER_BYTES)
    if status == 200:
        return _cosignature(body, note, key)
    if status == 409:
        text = _text(body)
        if not text.endswith("\n"):
            raise InvalidInput("not a witness's size", expected="digits and a newline")
        return KnownSize(decimal(text[:-1], "a witness's size"))
    raise _REFUSALS.get(status, _unavailable)(status)


def next_old_size(answer: KnownSize, sent: int, size: int) -> int:
    """The size to prove consistency from after a 409.

    Raises:
        Conflict: the witness has seen a larger tree of this log, or repeats itself.
    """
    if answer.size > size or answer.size == sent:
        raise Conflict(
            "the witness has cosigned another checkpoint",
            expected=f"a size of at most {size}, other than {sent}",
            found=answer.size,
            hint="submit the log's latest checkpoint; a smaller log than the witness knows "
            "was cut or restored",
        )
    return answer.size


def _cosignature(body: bytes, note: SignedNote, key: VerifierKey) -> NoteSignature:
    if key.algorithm != COSIGNATURE_V1:
        raise InvalidInput("not a witness's key", expected="algorithm 0x04", found=key)
    answer = SignedNote(note.text, parse_signatures(_text(body)))
    (*_, cosignature) = answer.verify([key])
    if not cosignature.time_s:
        raise CorruptData("a witness's cosignature has no time", where=key.name)
    return cosignature


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidInput(
            "a witness's answer is not UTF-8", found=shown(repr(body[:40]))
        ) from None


def _unavailable(status: int) -> LakecoreError:
    return Unavailable("the witness did not cosign", found=f"status {status}")


_REFUSALS: Final[dict[int, Callable[[int], LakecoreError]]] = {
    400: lambda _: InvalidInput("the witness does not understand the request", found="status 400"),
    403: lambda _: Refused("the witness does not know the log's key", found="status 403"),
    404: lambda _: Refused("the witness does not know the log", found="status 404"),
    422: lambda _: CorruptData("the witness found the proof wrong", found="status 422"),
}
