"""The files that hold the sealed events of a snapshot, and what is known without opening them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lakecore.journal._log.runs import Place
from lakecore.journal._read.scan import Snapshot


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A Parquet file of events from `first_seq` up to but without `end_seq`.

    `min_us` and `max_us` are the smallest and the largest time in it.
    """

    path: str
    first_seq: int
    end_seq: int
    min_us: int
    max_us: int


def files_of(snapshot: Snapshot) -> list[SealedFile]:
    """The files of a snapshot in order of `seq`; a run is one, whatever it was made of."""
    files: list[SealedFile] = []
    for place in snapshot.places:
        if files and files[-1].path == place.path:
            files[-1] = _joined(files[-1], place)
        else:
            files.append(
                SealedFile(place.path, place.first_seq, place.end_seq, place.min_us, place.max_us)
            )
    return files


def _joined(file: SealedFile, place: Place) -> SealedFile:
    return replace(
        file,
        end_seq=place.end_seq,
        min_us=min(file.min_us, place.min_us),
        max_us=max(file.max_us, place.max_us),
    )
