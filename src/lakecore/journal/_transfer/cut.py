"""A consistent cut of the journal: the first `size` events, and the objects that have them.

Everything that is sealed has its commit's object already, so a cut of sealed events needs
no look at what goes on beside it. Whoever copies a cut copies objects that are never changed,
but for one case: compaction puts a stub in the place of a segment. A file whose size is not
the listed one any more is such a case, and a reason to take the cut again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import Conflict, LakecoreError
from lakecore.journal._commits.commit import Fate
from lakecore.journal._log.runs import MERGED, Run
from lakecore.journal._log.segment import FOLDER, position_of

if TYPE_CHECKING:
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending, PendingList
    from lakecore.storage import ObjectInfo, Store

MAX_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A staged file of a commit that is not sealed, or only in part; `target` is its object's path.

    Of a file that cannot be read, target and id are ''.
    """

    info: ObjectInfo
    commit_id: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """The journal's first `size` events.

    Attributes:
        root: of the tree over them, hex.
        objects: the segments, their stubs, and the runs.
        staged: the staged files of commits that are not sealed, or only in part.
        problems: what kept commits from being sealed.
    """

    size: int
    root: str
    objects: tuple[ObjectInfo, ...]
    staged: tuple[StagedFile, ...]
    problems: tuple[LakecoreError, ...]
    footers: Footers

    def root_at(self, size: int) -> str | None:
        """The root of the first `size` events, hex; None where no file ends there any more."""
        tree = self.footers.frontier_at(size)
        return None if tree is None else tree.root().hex()

    def sealed_count(self, commit_id: str) -> int:
        """How many of a commit's events are in the cut."""
        return self.footers.sealed_count(commit_id, self.size)

    def is_sealed(self, commit_id: str) -> bool:
        """Whether all of a commit's events are in the cut."""
        return self.footers.is_sealed(commit_id, self.size)

    def is_partial(self, commit_id: str) -> bool:
        """Whether some of a commit's events are in the cut, and some are not."""
        pieces = self.footers.pieces(commit_id)
        return bool(pieces) and 0 < self.sealed_count(commit_id) < pieces[0].commit.total


def take_cut(
    store: Store, footers: Footers, pending: Pending, problems: tuple[LakecoreError, ...]
) -> Cut:
    """The cut at the end of what is sealed now.

    Raises:
        Conflict: compaction kept going on; try again.
    """
    for _ in range(MAX_ATTEMPTS):
        view, staged = pending.look()
        size = view.size
        segments = [
            info
            for info in store.list_objects(FOLDER)
            if (seq := position_of(info.path)) is not None and seq < size
        ]
        # After the segments: the run of a stub that was listed is durable by then.
        runs = [(info, Run.of(info.path)) for info in store.list_objects(MERGED)]
        if any(run is not None and run.first_seq < size < run.end_seq for _, run in runs):
            continue  # a run that has events beyond the cut: take a later one
        inside = [info for info, run in runs if run is not None and run.end_seq <= size]
        return Cut(
            size=size,
            root=view.tree.root().hex(),
            objects=(*segments, *inside),
            staged=tuple(_unsealed(staged)),
            problems=(*problems, *staged.problems),
            footers=footers,
        )
    raise Conflict("the journal was compacted at every attempt to take a cut", hint="try again")


def _unsealed(judged: PendingList) -> Iterator[StagedFile]:
    for commit in judged.with_fate(Fate.COMMITTED):
        yield StagedFile(commit.info, commit.commit_id, commit.header.target.path)
    yield from map(StagedFile, judged.unreadable)
