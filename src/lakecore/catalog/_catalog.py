"""The catalog's changes and look-ups over documents."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    InvalidInput,
    NotFound,
    Refused,
    SystemClock,
    format_timestamp,
)
from lakecore.catalog._dataset import (
    Dataset,
    State,
    check_checks,
    check_contract,
    check_dataset_name,
    check_key,
    check_retention,
    location_of,
)
from lakecore.catalog._moves import Moves
from lakecore.documents import Document, Documents
from lakecore.journal import Author
from lakecore.storage import place_in

KIND: Final = "datasets"
DAY_US: Final = 24 * 3600 * 1_000_000
DEFAULT_GRACE_DAYS: Final = 7

_RETENTION: Final = ("retention_days", "retention_versions")
_CHANGEABLE = (
    *("checks", "contract", "description", "entity_type", "owner", "protected"),
    *_RETENTION,
)


class Catalog(Moves):
    """The datasets of one lake. Threads and processes may change it at the same time."""

    def __init__(self, documents: Documents, clock: Clock | None = None) -> None:
        self._documents = documents
        self._clock = clock or SystemClock()
        self._replaced: dict[str, tuple[int, list[Dataset]]] = {}

    # -- reading ----------------------------------------------------------------------

    def list_datasets(self, *, dropped: bool = False) -> list[Dataset]:
        """Every active dataset by name; with `dropped` also those whose drop can be undone."""
        datasets = _settled_view(self._load())
        states = {State.ACTIVE, State.DROPPED} if dropped else {State.ACTIVE}
        return [
            dataset
            for _, dataset in sorted(datasets.items())
            if dataset.state in states and dataset.purged_us is None
        ]

    def find(self, name: str) -> Dataset | None:
        """The active dataset of that name; a name that was renamed away is not followed."""
        name = check_dataset_name(name, system=True)
        document = self._documents.get(KIND, name)
        if document is not None and document.body is not None:
            dataset = _dataset(document)
            if dataset.active:
                return dataset
        # A rename to or from this name may have passed its commit point and not arrived.
        arrived = _settled_view(self._load()).get(name)
        return arrived if arrived and arrived.active else None

    def get(self, name: str) -> Dataset:
        """The active dataset of that name, else `NotFound` with the nearest names."""
        found = self.find(name)
        if found is not None:
            return found
        raise self._not_found(name)

    # -- changing ---------------------------------------------------------------------

    def propose(
        self,
        name: str,
        *,
        key: Sequence[str] = (),
        entity_type: str | None = None,
        contract: str = "evolve",
        owner: str = "",
        description: str = "",
        system: bool = False,
        bucket: str = "",
    ) -> Dataset:
        """A dataset that is not registered yet, checked and given its id and place.

        Args:
            bucket: the named bucket that its table will be in; '' for the lake's own store.
        """
        name = check_dataset_name(name, system=system)
        document = self._documents.get(KIND, name)
        generation = document.version + 1 if document is not None else 0
        return Dataset(
            name=name,
            dataset_id=str(uuid.uuid4()),
            location=place_in(bucket, location_of(name, generation)),
            key=check_key(key),
            entity_type=entity_type or name,
            contract=check_contract(contract),
            owner=owner,
            description=description,
            created_us=self._clock.now_us(),
        )

    def register(
        self, dataset: Dataset, *, author: Author, mutation_id: str | None = None
    ) -> Dataset:
        """Enter a proposed dataset. `AlreadyExists` when somebody has the name."""
        self._settle(dataset.name, author)

        def enter(now: Document | None) -> dict[str, Any]:
            if now is not None and _dataset(now).active:
                if _dataset(now).dataset_id == dataset.dataset_id:
                    return now.body or {}
                raise AlreadyExists(
                    "there is a dataset of that name",
                    where=dataset.name,
                    hint="choose another name, or drop or rename that one first",
                )
            # Which rename arrived here last stays known, so that none is completed twice.
            arrival = _dataset(now).renamed_from if now is not None else None
            return dataset.with_changes(renamed_from=arrival).to_body()

        return self._change(
            dataset.name, enter, author=author, action="register", mutation_id=mutation_id
        )

    def change(self, name: str, *, author: Author, **changes: Any) -> Dataset:
        """Change contract, description, entity_type, owner, protected, or the retention."""
        unknown = sorted(set(changes) - set(_CHANGEABLE))
        if unknown:
            raise InvalidInput(
                "not a property that can be changed",
                expected=" | ".join(_CHANGEABLE),
                found=", ".join(unknown),
            )
        if "contract" in changes:
            check_contract(changes["contract"])
        if changes.get("checks") is not None:
            check_checks(changes["checks"])
        for member in _RETENTION:
            check_retention(member, changes.get(member))
        name = self.get(name).name
        self._settle(name, author)
        return self._change_active(
            name, lambda dataset: dataset.with_changes(**changes), author=author, action="alter"
        )

    def rename_key(self, name: str, key: Sequence[str], *, author: Author) -> Dataset:
        """Follow key columns that were renamed in the table: `key` has all of them, in order."""
        columns = check_key(key)
        name = self.get(name).name
        self._settle(name, author)

        def renamed(dataset: Dataset) -> Dataset:
            if len(dataset.key) != len(columns):
                raise InvalidInput(
                    "a key keeps its columns, whatever their names",
                    expected=", ".join(dataset.key),
                    found=", ".join(columns),
                )
            return dataset.with_changes(key=columns)

        return self._change_active(name, renamed, author=author, action="rename_key")

    def rename(self, name: str, new_name: str, *, author: Author) -> Dataset:
        """Give a dataset another name; its id, place and history stay."""
        old = self.get(name).name
        new = check_dataset_name(new_name)
        if old == new:
            return self.get(old)
        self._settle(old, author)
        self._settle(new, author)
        if self.find(new) is not None:
            raise AlreadyExists("there is a dataset of that name", where=new)
        # The commit point of a rename: the old name says where it went.
        gone = self._change_active(
            old,
            lambda dataset: dataset.with_changes(state=State.RENAMED, renamed_to=new),
            author=author,
            action="rename",
        )
        # Crash window: the new name has no document yet; `_settle` completes the rename.
        arrived = self._arrive(gone, author)
        if arrived is None:
            raise AlreadyExists(
                "somebody registered that name meanwhile", where=new, hint=f"{old} keeps its name"
            )
        return arrived

    def drop(self, name: str, *, author: Author, grace_days: float = DEFAULT_GRACE_DAYS) -> Dataset:
        """Take a dataset out of sight; its files stay for the grace: `undrop` brings it back."""
        if grace_days < 0:
            raise InvalidInput("a grace cannot be negative", found=grace_days)
        name = self.get(name).name
        self._settle(name, author)

        def dropped(dataset: Dataset) -> Dataset:
            if dataset.protected:
                raise Refused(
                    "the dataset is protected",
                    where=dataset.name,
                    hint=f"lakecore alter {dataset.name} --unprotect",
                )
            now_us = self._clock.now_us()
            return dataset.with_changes(
                state=State.DROPPED,
                dropped_us=now_us,
                purge_after_us=now_us + int(grace_days * DAY_US),
            )

        return self._change_active(name, dropped, author=author, action="drop")

    def undrop(self, name: str, *, author: Author) -> Dataset:
        """Bring back what was dropped, while its name is free and its grace lasts."""
        name = check_dataset_name(name)

        def back(now: Document | None) -> dict[str, Any]:
            dataset = _dataset(now) if now is not None else None
            if dataset is None or dataset.state is not State.DROPPED:
                raise NotFound(
                    "there is no dropped dataset of that name",
                    where=name,
                    found=str(dataset.state) if dataset else None,
                )
            is_over = (dataset.purge_after_us or 0) < self._clock.now_us()
            if is_over or dataset.purged_us is not None:
                raise Refused(
                    "the grace of this drop is over",
                    where=name,
                    found=f"it ended {format_timestamp(dataset.purge_after_us or 0)}",
                    hint=f"its files may go at any time; copy {dataset.location} if you need them",
                )
            return dataset.with_changes(
                state=State.ACTIVE, dropped_us=None, purge_after_us=None
            ).merge_body(now.body if now else None)

        return self._change(name, back, author=author, action="undrop")

    # -- after a drop -----------------------------------------------------------------

    def past_grace(self) -> list[Dataset]:
        """Dropped datasets that nobody can bring back any more; purged ones as well.

        Also those whose name was used again. None lies where another one lives.
        """
        now_us = self._clock.now_us()
        documents = [d for d in self._documents.list_documents(KIND) if d.body is not None]
        newest = [_dataset(document) for document in documents]
        dropped = [dataset for dataset in newest if dataset.state is State.DROPPED]
        gone = [d for d in dropped if (d.purge_after_us or 0) < now_us]
        for document in documents:
            gone += [d for d in self._dropped_before(document) if (d.purge_after_us or 0) < now_us]
        living = [dataset.location for dataset in newest if dataset not in gone]
        return [d for d in gone if not any(_overlap(d.location, place) for place in living)]

    def purge(self, dropped: Dataset, *, author: Author) -> None:
        """Enter that the files of a dropped dataset go: from here on it cannot be undropped.

        Nothing happens for one whose name is another's by now. Raises `Conflict` when it was
        brought back meanwhile.
        """

        def purged(now: Document | None) -> dict[str, Any] | None:
            dataset = _dataset(now) if now is not None else None
            if now is None or dataset is None or dataset.dataset_id != dropped.dataset_id:
                return now.body if now is not None else None
            if dataset.state is not State.DROPPED:
                raise Conflict("the dataset was brought back meanwhile", where=dropped.name)
            at_us = dataset.purged_us or self._clock.now_us()
            return dataset.with_changes(purged_us=at_us).merge_body(now.body)

        self._documents.change(KIND, dropped.name, purged, author=author, action="purge")

    # -- inside -----------------------------------------------------------------------

    def _dropped_before(self, newest: Document) -> list[Dataset]:
        """The datasets that had this name before and were dropped; what was read is kept."""
        known, found = self._replaced.get(newest.name, (-1, []))
        for version in range(max(known, 0), newest.version):
            pair = [
                self._documents.get(KIND, newest.name, version=number)
                for number in (version, version + 1)
            ]
            before, after = [_dataset(d) if d is not None and d.body else None for d in pair]
            if before is None or before.state is not State.DROPPED:
                continue
            if after is None or after.dataset_id != before.dataset_id:
                found = [*found, before]
        self._replaced[newest.name] = (newest.version, found)
        return found

    def _load(self) -> dict[str, Dataset]:
        return {
            document.name: _dataset(document)
            for document in self._documents.list_documents(KIND)
            if document.body is not None
        }

    def _change(
        self,
        name: str,
        change: Callable[[Document | None], dict[str, Any]],
        *,
        author: Author,
        action: str,
        mutation_id: str | None = None,
    ) -> Dataset:
        return _dataset(
            self._documents.change(
                KIND, name, change, author=author, action=action, mutation_id=mutation_id
            )
        )

    def _change_active(
        self, name: str, change: Callable[[Dataset], Dataset], *, author: Author, action: str
    ) -> Dataset:
        def next_body(now: Document | None) -> dict[str, Any]:
            if now is None or not _dataset(now).active:
                raise self._not_found(name)
            return change(_dataset(now)).merge_body(now.body)

        return self._change(name, next_body, author=author, action=action)

    def _arrive(self, gone: Dataset, author: Author) -> Dataset | None:
        """Complete a rename past its commit point; None, and the old name back, if it cannot be.

        Every step may have been done already by a process that died, so each looks first.
        """
        arriving = gone.with_changes(
            name=gone.renamed_to,
            state=State.ACTIVE,
            renamed_to=None,
            renamed_from=(gone.name, gone.version),
        )

        def enter(now: Document | None) -> dict[str, Any]:
            present = _dataset(now) if now is not None else None
            if present is not None and present.renamed_from == arriving.renamed_from:
                return now.body or {} if now else {}
            if present is not None and present.active:
                raise AlreadyExists("there is a dataset of that name", where=arriving.name)
            return arriving.to_body()

        def leave(now: Document | None) -> dict[str, Any] | None:
            same = now is not None and now.version == gone.version
            return None if same or now is None else now.body

        def stay(now: Document | None) -> dict[str, Any] | None:
            if now is None or now.version != gone.version:
                return now.body if now else None
            return gone.with_changes(state=State.ACTIVE, renamed_to=None).merge_body(now.body)

        try:
            arrived = self._change(arriving.name, enter, author=author, action="rename")
        except AlreadyExists:
            self._documents.change(KIND, gone.name, stay, author=author, action="rename")
            return None
        # Crash window: both names have documents; the old one says where it went.
        self._documents.change(KIND, gone.name, leave, author=author, action="rename")
        return arrived

    def _settle(self, name: str, author: Author) -> None:
        """Complete the renames from or to `name` that a process left half way."""
        for dataset in self._load().values():
            if dataset.state is State.RENAMED and name in (dataset.name, dataset.renamed_to):
                self._arrive(dataset, author)

    def _not_found(self, name: str) -> NotFound:
        names = [dataset.name for dataset in self.list_datasets()]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `lakecore datasets`"
        document = self._documents.get(KIND, name)
        if document is not None and document.body is None:
            document = self._documents.get(KIND, name, version=document.version - 1)
        before = _dataset(document) if document is not None else None
        if before is not None and before.renamed_to is not None:
            hint = f"it was renamed to {before.renamed_to}"
        elif before is not None and before.state is State.DROPPED:
            hint = f"it was dropped; `lakecore undrop {name}` brings it back"
        return NotFound("there is no dataset of that name", where=name, hint=hint)


def _overlap(one: str, other: str) -> bool:
    """Whether two folders are the same, or one lies in the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _dataset(document: Document) -> Dataset:
    return Dataset.from_body(document.name, document.version, document.body or {})


def _settled_view(datasets: dict[str, Dataset]) -> dict[str, Dataset]:
    """The datasets as they are once the half-way renames are complete."""
    view = dict(datasets)
    for gone in datasets.values():
        if gone.state is not State.RENAMED or gone.renamed_to is None:
            continue
        there = datasets.get(gone.renamed_to)
        if there is not None and there.renamed_from == (gone.name, gone.version):
            continue
        if there is not None and there.active:
            # The name was taken first: the rename did not happen.
            view[gone.name] = gone.with_changes(state=State.ACTIVE, renamed_to=None)
        else:
            view[gone.renamed_to] = gone.with_changes(
                name=gone.renamed_to, state=State.ACTIVE, renamed_to=None
            )
    return view
