"""What the journal's face offers of signing and proofs."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Clock, InvalidInput, NotFound

if TYPE_CHECKING:
    from lakecore.base import LakecoreError
    from lakecore.journal._events.event import Event
    from lakecore.journal._index import Index
    from lakecore.journal._log.computed import ComputedLeaves
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._prove.checkpoints import SignedCheckpoint
    from lakecore.journal._prove.proofs import EntryProof, GrowthProof
    from lakecore.journal._prove.prover import Prover
    from lakecore.journal._prove.witness import Witness
    from lakecore.journal._read.pages import Page
    from lakecore.journal._read.scan import Scanner
    from lakecore.tlog import Hashes, NoteSignature

KEY_ENTITY: Final = "journal.key"
"""The entity type of the events that name the log's keys."""


class Provable(ABC):
    """The calls that sign and prove; what they need is made when it is first used."""

    _store: Any
    """A `Store`; the face's other bases ask more of it."""
    _footers: Footers
    _state_dir: Path
    _clock: Clock
    _origin: str
    _scanner: Scanner
    _index: Index
    _made_prover: Prover | None
    _computed: ComputedLeaves

    @abstractmethod
    def record(self, event: Event | Mapping[str, object]) -> str:
        """Record one event, durably."""

    @abstractmethod
    def seal(self) -> int:
        """Seal everything that is committed."""

    @abstractmethod
    def query(self, *, event_id: str | None = None, limit: int = 100) -> Page:
        """Events that match."""

    @property
    def prover(self) -> Prover:
        """Checkpoints, tiles and proofs below this face: for a gateway."""
        if self._made_prover is None:
            from lakecore.journal._prove.prover import Prover

            self._made_prover = Prover(
                self._store,
                self._footers,
                self._state_dir,
                self._clock,
                self._origin,
                sealed=self._scanner.sealed,
                leaves=self._indexed_leaves,
                lines=self._indexed_lines,
                computed=self._computed,
            )
        return self._made_prover

    def checkpoint(self) -> SignedCheckpoint:
        """Sign everything that is sealed; the checkpoint that is there if it covers all.

        The first one makes this machine's key.

        Raises:
            NotFound: this machine has no key, and the log was signed by another.
            CorruptData: the journal does not continue what was signed: nothing is signed.
            Refused: the key's file can be read by others, or the last checkpoint was signed
                elsewhere.
        """
        return self.prover.checkpoint()

    def after_seal(self, *, min_interval_s: float = 5.0) -> SignedCheckpoint | None:
        """Sign, if this machine does and the last time is long enough ago; never raises."""
        return self.prover.after_seal(min_interval_s=min_interval_s)

    def prove(self, event: int | str) -> EntryProof:
        """The proof that an event is in the signed journal.

        Args:
            event: its `seq`, or its event id.

        Raises:
            NotFound: there is no such event, it is not sealed yet, or no checkpoint covers
                it and this machine does not sign.
            CorruptData: the journal is damaged.
        """
        return self.prover.prove(event if isinstance(event, int) else self._seq_of(event))

    def consistency(self, old_size: int, size: int | None = None) -> GrowthProof:
        """The proof that the journal only grew from one checkpoint to another, or to the last.

        Raises:
            NotFound: there is no checkpoint of that size.
            InvalidInput: the old size is the larger one.
            CorruptData: the journal is damaged, or was rewritten.
        """
        return self.prover.consistency(old_size, size)

    def cosign(
        self, witnesses: Iterable[Witness], size: int | None = None
    ) -> dict[str, NoteSignature | LakecoreError]:
        """Have the last checkpoint, or that of a size, cosigned; a result or error for each."""
        return self.prover.cosign(witnesses, size)

    def ensure_key(self) -> bool:
        """Make this machine's signing key, if the log was never signed; whether it has one."""
        return self.prover.ensure_key() is not None

    def signing_keys(self) -> list[dict[str, Any]]:
        """The public side of this machine's keys, the oldest first; the last one is current."""
        keys = self.prover.keys()
        return [
            {
                "key_id": key.signer.key.key_id.hex(),
                "vkey": key.signer.vkey,
                "created_at": key.created_at,
                "retired_at_size": key.retired_at_size,
            }
            for key in (() if keys is None else keys.keys)
        ]

    def rotate_key(self, *, actor: str, source: str = "api", reason: str = "") -> SignedCheckpoint:
        """Sign with a new key from now on, and return the checkpoint that both keys signed.

        The new key is recorded first, as an event that the old key's signature covers, so
        that whoever trusts the old key learns of the new one from the journal itself.

        Raises:
            NotFound: this machine has no key.
            LakecoreError: as `record`, `seal` and `checkpoint`; until the last of them the
                old key goes on signing.
        """
        keys, signer, seed = self.prover.next_key()
        self.record(
            {
                "entity_type": KEY_ENTITY,
                "entity_id": signer.key.key_id.hex(),
                "action": "rotate",
                "old_value": json.dumps(keys.current.vkey),
                "new_value": json.dumps(signer.vkey),
                "actor": actor,
                "source": source,
                "context": json.dumps({"reason": reason}),
            }
        )
        self.seal()
        self.prover.adopt_key(keys, seed)
        return self.prover.checkpoint()

    def _seq_of(self, event_id: str) -> int:
        found = self.query(event_id=event_id, limit=2).items
        if not found:
            raise NotFound("there is no such event", found=event_id)
        if len(found) > 1:
            raise InvalidInput(
                "several events have this id", found=event_id, hint="name one by its seq"
            )
        if found[0].seq is None:
            raise NotFound(
                "the event is not sealed yet", found=event_id, hint="`journal flush` seals it"
            )
        return found[0].seq

    def _indexed_leaves(self, first: int, end: int) -> Hashes:
        return self._fresh_index(end).leaves(first, end)

    def _indexed_lines(self, first: int, end: int) -> list[bytes]:
        return self._fresh_index(end).lines(range(first, end))

    def _fresh_index(self, end: int) -> Index:
        if self._footers.next_seq < end:
            self._footers.refresh()
        self._index.refresh(self._footers.next_seq)
        return self._index
