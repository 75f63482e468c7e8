"""The face of signing and proofs: one journal's checkpoints, proofs and tiles."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import (
    AlreadyExists,
    CorruptData,
    InvalidInput,
    LakecoreError,
    NotFound,
    format_timestamp,
)
from lakecore.journal._prove.checkpoints import Checkpoints, SignedCheckpoint, checkpoint_path
from lakecore.journal._prove.keys import (
    SigningKeys,
    create_keys,
    load_keys,
    new_seed,
    no_key,
)
from lakecore.journal._prove.leaves import (
    Leaves,
    Lines,
    Sealed,
    either,
    sealed_leaves,
    sealed_lines,
)
from lakecore.journal._prove.proofs import (
    EntryProof,
    GrowthProof,
    entry_proof,
    growth_path,
    growth_proof,
)
from lakecore.journal._prove.signing import CheckpointSigner
from lakecore.journal._prove.tiles import StoredTiles
from lakecore.journal._prove.witness import Witness, WitnessClient
from lakecore.tlog import NoteSignature, Signer, Tile, encode_bundle, tile_of

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.journal._log.computed import ComputedLeaves
    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store

_MIN_INTERVAL_S: Final = 5.0


class Prover:
    """Signs a journal and proves what is in it. Threads may share it.

    Args:
        origin: the name of the log; '' for a journal that is never signed.
        sealed: the sealed events of a range, from the segments.
        leaves, lines: the same range's leaf hashes and canonical lines from an index, for
            proofs and tiles; what they cannot give, or give wrong, comes from the segments.
            Signing always reads the segments.
    """

    def __init__(
        self,
        store: Store,
        footers: Footers,
        state_dir: Path,
        clock: Clock,
        origin: str,
        *,
        sealed: Sealed,
        leaves: Leaves | None = None,
        lines: Lines | None = None,
        computed: ComputedLeaves | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._origin = origin
        self._is_local = store.local_path("journal") is not None
        self._checkpoints = Checkpoints(store, origin)
        self._recomputed = StoredTiles(store, sealed_leaves(sealed))
        self._recomputed_lines = sealed_lines(sealed)
        self._tiles = StoredTiles(store, either(leaves, sealed_leaves(sealed)))
        self._lines = either(lines, self._recomputed_lines)
        self._signer = CheckpointSigner(
            footers, state_dir, origin, self._checkpoints, self._recomputed, sealed, computed
        )
        self._clients: dict[Witness, WitnessClient] = {}
        self._signed_us: int | None = None
        self.last_error: LakecoreError | None = None
        """What kept `after_seal` from signing last; None when it signed, or had no key."""

    # Keys

    def keys(self) -> SigningKeys | None:
        """The keys of this machine; None when it has none."""
        self._check_origin()
        return load_keys(self._state_dir, self._origin)

    def ensure_key(self) -> SigningKeys | None:
        """The keys of this machine, made if the log was never signed; else None."""
        keys = self.keys()
        if keys is None and self._checkpoints.latest_size() is None:
            with suppress(AlreadyExists):  # another process was faster
                create_keys(self._state_dir, self._origin, self._clock)
            keys = self.keys()
        return keys

    def next_key(self) -> tuple[SigningKeys, Signer, bytes]:
        """The present keys, a new signer, and its seed: for `adopt_key` once it is recorded."""
        keys = self.keys()
        if keys is None:
            raise no_key(self._state_dir)
        seed = new_seed()
        return keys, Signer(self._origin, seed), seed

    def adopt_key(self, keys: SigningKeys, seed: bytes) -> None:
        """Sign with a further key from now on; the old ones sign the next checkpoint, too."""
        keys.with_key(seed, format_timestamp(self._clock.now_us()))

    # Checkpoints

    def checkpoint(self) -> SignedCheckpoint:
        """Sign everything that is sealed, or return the checkpoint that already does.

        Raises:
            NotFound: this machine has no key, and the log is signed by another.
            CorruptData, Refused, Unavailable: as `CheckpointSigner.sign`.
        """
        keys = self.ensure_key()
        if keys is None:
            raise no_key(self._state_dir)
        made = self._signer.sign(keys)
        self._signed_us = self._clock.now_us()
        return made

    def after_seal(self, *, min_interval_s: float = _MIN_INTERVAL_S) -> SignedCheckpoint | None:
        """Sign what was just sealed, where there is a key and the last time is long enough ago.

        For the thread that seals: it never raises, and keeps the reason in `last_error`.
        A lake on this machine's disk gets its first key here; others keep what they have.
        """
        now_us = self._clock.now_us()
        if self._signed_us is not None and 0 <= now_us - self._signed_us < min_interval_s * 1e6:
            return None
        try:
            if not self._origin:
                return None
            keys = self.ensure_key() if self._is_local else self.keys()
            if keys is None:
                return None
            made = self._signer.sign(keys)
        except LakecoreError as error:
            self.last_error = error
            return None
        self._signed_us, self.last_error = now_us, None
        return made

    def latest(self) -> SignedCheckpoint | None:
        """The last checkpoint; checked by this machine's keys where one of them signed it."""
        self._check_origin()
        size = self._checkpoints.latest_size()
        return None if size is None else self.at(size)

    def at(self, size: int) -> SignedCheckpoint:
        """The checkpoint of a size; `NotFound`, `CorruptData`."""
        self._check_origin()
        found = self._checkpoints.read(size)
        keys = self.keys()
        known = [] if keys is None else keys.verifiers(size)
        if any(key.made(signature) for key in known for signature in found.note.signatures):
            found.verify(known, checkpoint_path(size))
        return found

    # Proofs

    def prove(self, seq: int) -> EntryProof:
        """The proof of an event in the last checkpoint; one is signed if none covers it yet.

        Raises:
            NotFound: no checkpoint covers it, and this machine does not sign.
            InvalidInput: there is no such event.
            CorruptData: the journal or its tiles are damaged.
        """
        head = self.latest()
        if head is None or seq >= head.size:
            head = self.checkpoint()
        try:
            return entry_proof(head, self._checkpoints, self._tiles, self._lines, seq)
        except CorruptData:
            # A wrong index must not keep anybody from a proof.
            again = self._recomputed, self._recomputed_lines
            return entry_proof(head, self._checkpoints, *again, seq)

    def consistency(self, old_size: int, size: int | None = None) -> GrowthProof:
        """The proof from the checkpoint of one size to that of another, or to the last one."""
        new = self._latest_or_raise() if size is None else self.at(size)
        old = self.at(old_size)
        try:
            return growth_proof(old, new, self._checkpoints, self._tiles)
        except CorruptData:
            return growth_proof(old, new, self._checkpoints, self._recomputed)

    # Tiles

    def tile(self, level: int, index: int, width: int | None = None) -> bytes:
        """A tile of the last checkpoint's tree, full or as wide as asked for.

        Raises:
            NotFound: that tree has no such tile.
        """
        tile = self._served(level, index, width)
        return self._tiles.load(tile)

    def entries(self, index: int, width: int | None = None) -> bytes:
        """An entry bundle of the last checkpoint's tree; raises as `tile`."""
        tile = self._served(0, index, width)
        return encode_bundle(self._lines(tile.first, tile.first + tile.width))

    def rebuild_tiles(self) -> int:
        """Write the tiles anew that are missing or wrong; how many those were."""
        self._check_origin()
        return self._signer.rebuild_tiles()

    # Witnesses

    def cosign(
        self, witnesses: Iterable[Witness], size: int | None = None
    ) -> dict[str, NoteSignature | LakecoreError]:
        """Submit a checkpoint, the last one by default, to each witness, and keep what they sign.

        One that fails does not keep the others from it: its error is in its place.
        """
        head = self._latest_or_raise() if size is None else self.at(size)
        results: dict[str, NoteSignature | LakecoreError] = {}
        for witness in witnesses:
            try:
                client = self._clients.get(witness)
                if client is None:
                    client = self._clients[witness] = WitnessClient(witness)
                signature = client.submit(
                    head.note, head.size, lambda old: growth_path(self._tiles, old, head.size)
                )
                self._checkpoints.add_cosignature(head.size, signature)
                results[witness.name] = signature
            except LakecoreError as error:
                results[witness.name] = error
        return results

    def _served(self, level: int, index: int, width: int | None) -> Tile:
        head = self.latest()
        try:
            whole = tile_of(level, index, head.size if head is not None else 0)
            tile = whole.full if width is None else Tile(level, index, width)
        except InvalidInput as error:
            raise NotFound("there is no such tile", where=error.found) from None
        if tile.width > whole.width:
            raise NotFound("the tile is not as wide yet", found=whole.width, where=tile.path)
        return tile

    def _latest_or_raise(self) -> SignedCheckpoint:
        head = self.latest()
        if head is None:
            raise NotFound("there is no checkpoint", hint="`journal checkpoint` signs one")
        return head

    def _check_origin(self) -> None:
        if not self._origin:
            raise InvalidInput("a journal without an origin is not signed")
