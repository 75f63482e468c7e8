"""Several buckets as one store: where a path leads, what a list shows, and who is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lakecore.base import AlreadyExists, InvalidInput, NotFound, Unavailable
from lakecore.storage import (
    GuardedStore,
    MountedStore,
    Store,
    bucket_of,
    not_configured,
    open_store,
    place_in,
)


class Mounts:
    """Stores by name; `asked` says which were asked for what."""

    def __init__(self, **stores: Store) -> None:
        self.stores = stores
        self.asked: list[tuple[str, str]] = []

    def names(self) -> Sequence[str]:
        return sorted(self.stores)

    def reading(self, name: str) -> Store:
        self.asked.append(("reading", name))
        if name not in self.stores:
            raise not_configured(name)
        return self.stores[name]

    def writing(self, name: str) -> Store:
        self.asked.append(("writing", name))
        return self.stores[name]

    def close(self) -> None:
        for store in self.stores.values():
            store.close()


@pytest.fixture
def mounts() -> Mounts:
    """Two buckets; the name of one begins with the other's."""
    return Mounts(**{"cold": open_store("memory://"), "cold-two": open_store("memory://")})


@pytest.fixture
def lake(mounts: Mounts) -> MountedStore:
    """A store with them."""
    return MountedStore(open_store("memory://"), mounts)


def paths(store: Store, prefix: str = "", after: str | None = None) -> list[str]:
    return [info.path for info in store.list_objects(prefix, after=after)]


def test_a_path_leads_to_its_bucket(lake: MountedStore, mounts: Mounts) -> None:
    """What is written below a bucket's name is in the bucket, and nowhere else."""
    lake.create("tables/a", b"here")
    lake.create("buckets/cold/tables/a", b"there")
    with lake.upload("buckets/cold/tables/b") as file:
        file.write(b"uploaded")
    lake.put("buckets/cold/hint", b"1")
    assert mounts.stores["cold"].get("tables/a") == b"there"
    assert lake.get("tables/a") == b"here"
    assert lake.get_range("buckets/cold/tables/b", 2, 3) == b"loa"
    assert lake.open("buckets/cold/tables/b").read() == b"uploaded"
    assert lake.head("buckets/cold/tables/a").path == "buckets/cold/tables/a"
    assert lake.local_path("buckets/cold/x") == mounts.stores["cold"].local_path("x")
    assert lake.table_uri("buckets/cold/x") == mounts.stores["cold"].table_uri("x")
    lake.delete("buckets/cold/hint")
    assert not lake.exists("buckets/cold/hint")


def test_errors_name_the_path_that_was_asked_for(lake: MountedStore) -> None:
    """Not the one within the bucket: callers compare it."""
    with pytest.raises(NotFound) as error:
        lake.get("buckets/cold/nothing")
    assert error.value.where == "buckets/cold/nothing"
    lake.create("buckets/cold/a", b"1")
    with pytest.raises(AlreadyExists) as taken:
        lake.create("buckets/cold/a", b"2")
    assert taken.value.where == "buckets/cold/a"


def test_lists_are_merged_in_order(lake: MountedStore) -> None:
    """All paths, sorted as any store sorts them, from anywhere on."""
    for path in ("a", "z", "buckets/cold/m", "buckets/cold/a/b", "buckets/cold-two/k"):
        lake.create(path, b"")
    everything = ["a", "buckets/cold-two/k", "buckets/cold/a/b", "buckets/cold/m", "z"]
    assert everything == sorted(everything)
    assert paths(lake) == everything
    for at in range(len(everything)):
        assert paths(lake, after=everything[at]) == everything[at + 1 :]
    assert paths(lake, "buckets/") == everything[1:4]
    assert paths(lake, "buckets/cold/a/") == ["buckets/cold/a/b"]
    assert paths(lake, "buckets/cold/", after="buckets/cold/a/b") == ["buckets/cold/m"]
    assert lake.list_folders("") == ["buckets"]
    assert lake.list_folders("buckets/") == ["cold", "cold-two"]
    assert lake.list_folders("buckets/cold/") == ["a"]


def test_a_bucket_nobody_knows_is_not_empty(lake: MountedStore) -> None:
    """Asking for it is an error that says what to set, not an empty answer."""
    for ask in (lambda: paths(lake, "buckets/lost/"), lambda: lake.exists("buckets/lost/x")):
        with pytest.raises(Unavailable, match="not configured: found lost") as error:
            ask()
        assert "[[storage.bucket]]" in str(error.value.hint)


def test_a_copy_has_its_buckets_inside(mounts: Mounts) -> None:
    """Where the lake's own store has something of a bucket, or is a copy, no other is asked."""
    own = open_store("memory://")
    own.create("buckets/cold/tables/a", b"copied")
    restored, replica = MountedStore(own, mounts), MountedStore(own, mounts, is_copy=True)
    for store in (restored, replica):
        assert store.get("buckets/cold/tables/a") == b"copied"
        assert paths(store, "buckets/cold/") == ["buckets/cold/tables/a"]
    assert mounts.asked == []
    assert not replica.exists("buckets/elsewhere/x")
    assert "buckets/cold/tables/a" in paths(restored)


def test_a_guarded_store_is_read_only() -> None:
    """Every write raises what it was told to, and nothing lies on this disk directly."""
    inner = open_store("memory://")
    inner.create("a", b"1")
    store = GuardedStore(inner, lambda path: InvalidInput("no", where=path))
    writes = (
        lambda: store.create("b", b""),
        lambda: store.put("a", b""),
        lambda: store.upload("b"),
        lambda: store.delete("a"),
    )
    for write in writes:
        with pytest.raises(InvalidInput, match="no at"):
            write()
    assert (store.get("a"), paths(store), store.local_path("a")) == (b"1", ["a"], None)


def test_names_of_buckets_in_paths() -> None:
    """There and back."""
    for bucket in ("", "cold"):
        assert bucket_of(place_in(bucket, "tables/main/planes")) == bucket
