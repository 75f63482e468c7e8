"""Making a checkpoint: nothing is signed that was not recomputed.

1. **Before.** Read the last checkpoint in the store, and the note that this machine
   signed last; both are signed by keys of this machine, or nothing is signed.
2. **Tree.** Load the right edge of the last checkpoint's tree from tiles and leaves. Its
   root must be the signed one; else everything is recomputed from the first event on.
3. **Leaves.** Recompute every leaf since from the segments, but those that this process
   computed when it sealed. The roots on the way must be
   those that were signed, the last one that of the last segment's footer.
4. **Tiles.** Write the tiles that became full, and the partial ones of this size.
5. **Remember.** Keep the note in the state directory, durably.
6. **Commit.** Create the checkpoint under its size: *the commit point*.
7. **After.** Retire keys whose successor has signed; delete partial tiles that are full now.

Crash windows, and what the next run finds:

- A, in 4: tiles without a checkpoint. The next run writes the same bytes to the same names.
- B, between 5 and 6: a note that nobody has seen, perhaps. The next run is consistent
  with it, whatever became of the store, since nobody knows who has a copy.
- C, in 7: old keys sign once more, and spare tiles stay. Nothing is wrong with either.
- D, a create whose answer is lost: the note that is there is read and compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, NotFound, Refused, Unavailable
from lakecore.journal._log.computed import ComputedLeaves
from lakecore.journal._prove.checkpoints import Checkpoints, SignedCheckpoint, checkpoint_path
from lakecore.journal._prove.files import read_private, write_private
from lakecore.journal._prove.keys import SigningKeys
from lakecore.journal._prove.leaves import Sealed, leaf_batches
from lakecore.journal._prove.tiles import StoredTiles
from lakecore.journal._sqlite import alone
from lakecore.tlog import Checkpoint, TileTree, sign_note, tiles_of

if TYPE_CHECKING:
    from lakecore.journal._log.footers import Footers

LAST_FILE: Final = "signed-checkpoint"
_LOCK: Final = "checkpoint.lock"
_LOCK_TIMEOUT_S: Final = 60.0


class CheckpointSigner:
    """Makes the checkpoints of one log, with the keys of this machine."""

    def __init__(
        self,
        footers: Footers,
        state_dir: Path,
        origin: str,
        checkpoints: Checkpoints,
        tiles: StoredTiles,
        sealed: Sealed,
        computed: ComputedLeaves | None = None,
    ) -> None:
        self._footers = footers
        self._state_dir = state_dir
        self._origin = origin
        self._checkpoints = checkpoints
        self._tiles = tiles
        self._sealed = sealed
        self._computed = computed or ComputedLeaves()

    def sign(self, keys: SigningKeys) -> SignedCheckpoint:
        """The checkpoint of everything that is sealed: a new one, or the one that is there.

        Raises:
            CorruptData: the journal does not continue what was signed, or is not what its
                footers say.
            Refused: the last checkpoint is signed by a key that is not on this machine.
            Unavailable: another process of this machine is signing, and does not end.
        """
        with alone(self._state_dir / _LOCK, _LOCK_TIMEOUT_S) as is_alone:
            if not is_alone:
                raise Unavailable("another process is signing", where=self._state_dir / _LOCK)
            return self._sign(keys)

    def _sign(self, keys: SigningKeys) -> SignedCheckpoint:
        # 1. Before. The footers are read last: they have all that a checkpoint covers.
        last = self._last(keys)
        remembered = self._remembered(keys)
        self._footers.refresh()
        frontier = self._footers.frontier()
        signed = {head.size: head for head in (remembered, last) if head is not None}
        self._check_known(remembered, last, frontier.size, frontier.root())
        if last is not None and last.size == frontier.size:
            keys.retired(last.size)
            return last

        # 2. and 3. Tree and leaves.
        before = last.size if last is not None else 0
        tree = self._edge(last) or TileTree.empty()
        self._grow(tree, frontier.size, {size: head.root for size, head in signed.items()})
        if tree.root() != frontier.root():
            raise CorruptData(
                "the journal's events are not what its footers say: not signed",
                expected=f"root {frontier.root().hex()}",
                found=f"root {tree.root().hex()}",
                where=f"journal/log, {frontier.size} events",
                hint="`verify` names the segment",
            )

        # 4. Tiles.
        written = [*tree.take_full(), *tree.partial()]
        for tile, data in written:
            self._tiles.write(tile, data)

        # 5. Remember.
        checkpoint = Checkpoint(self._origin, tree.size, tree.root())
        made = SignedCheckpoint(sign_note(checkpoint.text, keys.signers()), checkpoint)
        write_private(self._state_dir / LAST_FILE, made.note.to_bytes(), replace=True)

        # 6. The commit point.
        if not self._checkpoints.create(made):
            made = self._winner(made, keys)

        # 7. After.
        self._computed.forget(made.size)
        keys.retired(made.size)
        for tile in tiles_of(made.size, since=before, first_level=1):
            was_partial = (before >> 8 * (tile.level or 0)) > tile.first
            if tile.width == tile.full.width and was_partial:
                self._tiles.forget_partial(tile)
        return made

    def rebuild_tiles(self) -> int:
        """Recompute all tiles of the last checkpoint's tree; how many were missing or wrong.

        Raises:
            NotFound: there is no checkpoint.
            CorruptData: the events do not give the checkpoint's root.
        """
        size = self._checkpoints.latest_size()
        if size is None:
            raise NotFound("there is no checkpoint, hence no tiles")
        tree = TileTree.empty()
        self._footers.refresh()
        self._grow(tree, size, {size: self._checkpoints.read(size).root})
        return sum(
            self._tiles.repair(tile, data) for tile, data in [*tree.take_full(), *tree.partial()]
        )

    def _last(self, keys: SigningKeys) -> SignedCheckpoint | None:
        size = self._checkpoints.latest_size()
        if size is None:
            return None
        last = self._checkpoints.read(size)
        known = keys.verifiers(size)
        if not any(key.made(mark) for key in known for mark in last.note.signatures):
            raise Refused(
                "the last checkpoint is not signed by a key of this machine",
                expected=", ".join(map(str, known)),
                found=", ".join(f"{s.name}+{s.key_id.hex()}" for s in last.note.signatures[:5]),
                where=checkpoint_path(size),
                hint="sign where the log's key is, or copy the key's file from there",
            )
        last.verify(known, checkpoint_path(size))
        return last

    def _remembered(self, keys: SigningKeys) -> SignedCheckpoint | None:
        path = self._state_dir / LAST_FILE
        data = read_private(path)
        if data is None:
            return None
        found = SignedCheckpoint.parse(data, str(path))
        found.verify(keys.verifiers(found.size), str(path))
        return found

    def _check_known(
        self,
        remembered: SignedCheckpoint | None,
        last: SignedCheckpoint | None,
        size: int,
        root: bytes,
    ) -> None:
        """What was signed fits together, and the log is at least as long."""
        if remembered and last and remembered.size == last.size:
            self._compare(last.size, remembered.root, last.root, checkpoint_path(last.size))
        for head in (remembered, last):
            if head is None:
                continue
            if head.size > size:
                raise CorruptData(
                    "the journal is shorter than what was signed: not signed",
                    expected=f"{head.size} events at least",
                    found=f"{size} events",
                    where="journal/log",
                    hint="the lake came back from an older copy: restore the rest",
                )
            if head.size == size:
                self._compare(size, head.root, root, "journal/log")

    def _edge(self, last: SignedCheckpoint | None) -> TileTree | None:
        """The tree of the last checkpoint, if tiles and leaves give it."""
        if last is None:
            return None
        try:
            tree = TileTree.load(last.size, self._tiles.load)
        except (NotFound, CorruptData):
            # Lost or damaged tiles are made anew; damaged events come up again there.
            return None
        return tree if tree.root() == last.root else None

    def _grow(self, tree: TileTree, size: int, roots: dict[int, bytes]) -> None:
        """Append all leaves up to a size; the roots at some sizes are known."""
        for stop in sorted({*roots, size}):
            if stop > size or stop < tree.size:
                continue
            while tree.size < stop:
                self._grow_some(tree, stop)
            if stop in roots:
                self._compare(stop, roots[stop], tree.root(), "journal/log")

    def _grow_some(self, tree: TileTree, stop: int) -> None:
        """Append the leaves that this process has, or those up to where it has some."""
        mine = self._computed.at(tree.size, stop)
        if mine is not None:
            tree.append(mine)
            return
        end = self._computed.next_start(tree.size, stop)
        for leaves in leaf_batches(self._sealed, tree.size, end):
            tree.append(leaves)

    def _compare(self, size: int, expected: bytes, found: bytes, where: str) -> None:
        if expected != found:
            raise CorruptData(
                "the journal does not continue what was signed: not signed",
                expected=f"root {expected.hex()} of {size} events",
                found=f"root {found.hex()}",
                where=where,
                hint="events were changed after they were signed: restore them from a copy",
            )

    def _winner(self, made: SignedCheckpoint, keys: SigningKeys) -> SignedCheckpoint:
        """The checkpoint that was there first: our own, or another machine's."""
        winner = self._checkpoints.read(made.size)
        winner.verify(keys.verifiers(made.size), checkpoint_path(made.size))
        self._compare(made.size, made.root, winner.root, checkpoint_path(made.size))
        return winner
