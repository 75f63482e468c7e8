"""The part of the catalog that knows where tables are copied to, are, and were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lakecore.base import Clock, Conflict, InvalidInput, NotFound
from lakecore.catalog._dataset import Dataset, FormerPlace
from lakecore.journal import Author

_DAY_US: Final = 24 * 3600 * 1_000_000


class Moves:
    """What `Catalog` does about places; a move itself copies and fences in between."""

    _clock: Clock
    get: Callable[[str], Dataset]
    list_datasets: Callable[[], list[Dataset]]
    _settle: Callable[[str, Author], None]
    _change_active: Callable[..., Dataset]

    def begin_move(self, name: str, location: str, *, author: Author) -> Dataset:
        """Enter where a dataset's table is being copied to. The same again changes nothing.

        Raises:
            Conflict: it is being moved somewhere else.
        """
        name = self.get(name).name
        self._settle(name, author)

        def moving(dataset: Dataset) -> Dataset:
            if dataset.moving_to not in (None, location):
                raise Conflict(
                    "the dataset is being moved elsewhere",
                    where=name,
                    found=dataset.moving_to,
                    hint=f"let it end, or `lakecore bucket move {name} --cancel`",
                )
            return dataset.with_changes(moving_to=location)

        return self._change_active(name, moving, author=author, action="move_begin")

    def finish_move(
        self, moving: Dataset, *, version: int, grace_days: float, author: Author
    ) -> Dataset:
        """The commit point of a move: from here on the table is where it was copied to.

        Args:
            moving: the entry as `begin_move` gave it.
            version: the last one at the old place.
            grace_days: how long the old place's files stay.

        Raises:
            Conflict: the move was cancelled, or somebody else finished it.
        """
        if grace_days < 0:
            raise InvalidInput("a grace cannot be negative", found=grace_days)

        def moved(dataset: Dataset) -> Dataset:
            _check_move(dataset, moving)
            left = FormerPlace(
                location=dataset.location,
                version=version,
                purge_after_us=self._clock.now_us() + int(grace_days * _DAY_US),
            )
            return dataset.with_changes(
                location=moving.moving_to,
                moving_to=None,
                moves=(moving.moves or 0) + 1,
                former=(*(dataset.former or ()), left.to_json()),
            )

        return self._change_active(moving.name, moved, author=author, action="move")

    def cancel_move(self, name: str, *, author: Author) -> Dataset:
        """Have a dataset stay where it is: what fenced its table for the move is void."""

        def stays(dataset: Dataset) -> Dataset:
            if dataset.moving_to is None:
                raise NotFound("the dataset is not being moved", where=dataset.name)
            return dataset.with_changes(moving_to=None, moves=(dataset.moves or 0) + 1)

        return self._change_active(self.get(name).name, stays, author=author, action="move_cancel")

    def left_places(self) -> list[tuple[Dataset, FormerPlace]]:
        """Places that tables have left, whose grace is over and whose files are not given up."""
        now_us = self._clock.now_us()
        return [
            (dataset, place)
            for dataset in self.list_datasets()
            for place in dataset.former_places
            if place.purged_us is None and place.purge_after_us < now_us
        ]

    def purge_place(self, dataset: Dataset, place: FormerPlace, *, author: Author) -> None:
        """Enter that the files of a place go that a dataset's table has left."""

        def purged(now: Dataset) -> Dataset:
            places = [
                replace(one, purged_us=self._clock.now_us())
                if one.location == place.location and one.purged_us is None
                else one
                for one in now.former_places
            ]
            return now.with_changes(former=tuple(one.to_json() for one in places))

        self._change_active(dataset.name, purged, author=author, action="purge_place")


def _check_move(dataset: Dataset, moving: Dataset) -> None:
    """Raises `Conflict` unless the dataset is in the move that `moving` began."""
    now = (dataset.dataset_id, dataset.location, dataset.moving_to, dataset.moves or 0)
    then = (moving.dataset_id, moving.location, moving.moving_to, moving.moves or 0)
    if now != then:
        raise Conflict(
            "the move was cancelled, or somebody else finished it",
            where=moving.name,
            found=dataset.location,
            hint="look where the dataset is before you move it again",
        )
