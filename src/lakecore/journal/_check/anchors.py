"""Anchoring: the roots that checkpoints sign, against the roots that were recomputed.

Integrity says that the log fits itself. Somebody who rewrites all of it can make it so. A
signed checkpoint that is known outside of the lake is what such a log does not fit.

``journal/checkpoints/<size, 20 digits>`` is a signed note; beside it, below
``<size>.witness/``, lie cosignature lines of witnesses. A signature counts when its key was
given: what the lake itself says about keys is no proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from lakecore.base import CorruptData, InvalidInput, LakecoreError, NotFound
from lakecore.journal._check.report import MAX_PROBLEMS, AnchorReport, Problem

if TYPE_CHECKING:
    from lakecore.storage import Store
    from lakecore.tlog import SignedNote, VerifierKey

FOLDER: Final = "journal/checkpoints/"

Keys = dict["VerifierKey", int | None]
"""Keys whose signatures count, and up to which size: a retired key signs nothing larger."""
_NAME: Final = re.compile(re.escape(FOLDER) + r"(\d{20})")
_WITNESS: Final = re.compile(re.escape(FOLDER) + r"(\d{20})\.witness/[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class _Signed:
    """One checkpoint: what its text says, and which of the given keys signed it."""

    path: str
    size: int
    root: str
    origin: str
    signers: tuple[str, ...]
    cosigners: tuple[str, ...]


def verifier_keys(state_dir: Path, texts: Sequence[str]) -> Keys:
    """The keys that were named, and the public parts of this machine's own.

    Raises:
        InvalidInput: one is not of a verifier key's form.
    """
    from lakecore.journal._prove.keys import stored_keys
    from lakecore.tlog import VerifierKey

    keys: Keys = dict.fromkeys(map(VerifierKey.parse, texts))
    # Verification needs no key of this machine; whoever signs reports a damaged one.
    with suppress(LakecoreError):
        own = stored_keys(state_dir)
        for key in own.keys if own is not None else ():
            keys.setdefault(key.signer.key, key.retired_at_size)
    return keys


class Checkpoints:
    """The checkpoints of a lake, read and their signatures checked."""

    def __init__(self, store: Store, keys: Keys | None = None) -> None:
        self._keys = keys or {}
        self._problems: list[Problem] = []
        self._unknown_keys: dict[str, None] = {}
        self._signed: list[_Signed] = []
        self._count = 0
        self._load(store)

    @property
    def sizes(self) -> list[int]:
        """The sizes whose roots are needed, ascending, each once."""
        return sorted({signed.size for signed in self._signed})

    def compare(self, roots: Mapping[int, str], size: int) -> AnchorReport:
        """Hold the checkpoints against the log.

        Args:
            roots: the recomputed root (hex) of each of `sizes` that the log has, where
                nothing before it is damaged.
            size: events in the log.
        """
        problems = list(self._problems)
        unknown: list[str] = []
        unsigned: list[str] = []
        best: _Signed | None = None
        for signed in self._signed:
            found = roots.get(signed.size)
            if signed.size > size:
                problems.append(
                    Problem(
                        signed.path, None, "size", f"{signed.size} events", f"the log has {size}"
                    )
                )
            elif found is None:
                unknown.append(f"{signed.path}: the log is damaged before event {signed.size}")
            elif found != signed.root:
                problems.append(Problem(signed.path, None, "root", signed.root, found))
            elif not signed.signers:
                unsigned.append(f"{signed.path}: no key that was given signed it")
            elif best is None or signed.size > best.size:
                best = signed
        problems += self._origins()
        return AnchorReport(
            status=self._status(problems, unknown, best),
            anchored=best.size if best else 0,
            size=size,
            checkpoints=self._count,
            problems=problems[:MAX_PROBLEMS],
            witnesses=list(best.cosigners) if best else [],
            unknown_keys=list(self._unknown_keys),
            unknown=unknown + unsigned,
        )

    def _status(
        self, problems: list[Problem], unknown: list[str], best: _Signed | None
    ) -> Literal["green", "broken", "inconclusive", "absent"]:
        if problems:
            return "broken"
        if not self._count or not self._keys:
            return "absent"
        return "green" if best is not None and not unknown else "inconclusive"

    def _origins(self) -> list[Problem]:
        """One log has one origin."""
        first: _Signed | None = None
        found = []
        for signed in self._signed:
            if not signed.signers:
                continue
            first = first or signed
            if signed.origin != first.origin:
                found.append(Problem(signed.path, None, "origin", first.origin, signed.origin))
        return found

    def _load(self, store: Store) -> None:
        cosignatures: dict[int, list[str]] = {}
        paths = []
        for info in store.list_objects(FOLDER):
            if match := _NAME.fullmatch(info.path):
                paths.append((int(match[1]), info.path))
            elif match := _WITNESS.fullmatch(info.path):
                cosignatures.setdefault(int(match[1]), []).append(info.path)
        self._count = len(paths)
        for size, path in paths:
            try:
                self._signed.append(self._read(store, size, path, cosignatures.get(size, [])))
            except NotFound:
                continue
            except (CorruptData, InvalidInput) as error:
                expected = error.expected or "a signed checkpoint"
                self._problems.append(Problem(path, None, None, expected, str(error)))

    def _read(self, store: Store, size: int, path: str, beside: list[str]) -> _Signed:
        from lakecore.tlog import COSIGNATURE_V1, Checkpoint, SignedNote

        note = SignedNote.parse(store.get(path))
        checkpoint = Checkpoint.of(note)
        if checkpoint.size != size:
            raise CorruptData(
                "a checkpoint lies under another's name", expected=size, found=checkpoint.size
            )
        for other in beside:
            note = self._with_cosignature(store, note, other)
        names = {False: list[str](), True: list[str]()}
        for signature in note.signatures:
            name = f"{signature.name}+{signature.key_id.hex()}"
            key = next((k for k in self._keys if k.made(signature)), None)
            if key is not None and (last := self._keys[key]) is not None and size > last:
                key = None
            if key is None:
                self._unknown_keys[name] = None
            elif not key.verify(note.text, signature):
                raise CorruptData("a signature does not verify", found=f"one by {name}")
            else:
                names[key.algorithm == COSIGNATURE_V1].append(key.name)
        return _Signed(
            path, size, checkpoint.root.hex(), checkpoint.origin,
            tuple(names[False]), tuple(dict.fromkeys(names[True])),
        )  # fmt: skip

    def _with_cosignature(self, store: Store, note: SignedNote, path: str) -> SignedNote:
        from lakecore.tlog import parse_signatures

        try:
            return note.with_signatures(parse_signatures(store.get(path).decode()))
        except NotFound:
            return note
        except (InvalidInput, UnicodeDecodeError) as error:
            self._problems.append(Problem(path, None, None, "a cosignature line", str(error)))
            return note
