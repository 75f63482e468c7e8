"""Several builders, builds behind the caller, and what they leave."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from tests.fakes.search import ADA, SearchLab, docs
from tests.unit.search.conftest import SMALL, create, found, texts

from lakecore.base import Conflict, NotFound, SystemClock, Unavailable
from lakecore.search import Question


def test_two_builders_do_not_break_one_another(one: SearchLab) -> None:
    """Who comes second with a refresh of what is not served any more does its work again."""
    create(one, kind="hybrid", parameters=SMALL)
    other = one.reopen()
    one.source.versions.append(docs({**texts(300), 1: "zebra"}))
    registry = one.indexes._registry
    swap = registry.swap

    def late(*arguments: Any) -> Any:
        registry.swap = swap  # type: ignore[method-assign]  # once
        other.rebuild("i", author=ADA)
        one.source.versions.append(docs({**texts(300), 1: "zebra", 2: "zebra"}))
        return swap(*arguments)

    registry.swap = late  # type: ignore[method-assign]  # another process comes between
    index = one.indexes.refresh("i", author=ADA)
    assert index.generation is not None
    assert index.generation.version == 2
    assert sorted(found(one, "zebra", limit=2)) == [1, 2]
    assert one.reopen().search("i", Question(text="zebra", limit=2)).version == 2


def test_an_index_made_again_is_not_overwritten(one: SearchLab) -> None:
    """A build of an index that was dropped meanwhile ends in a conflict, whatever took its name."""
    create(one, kind="text")
    one.source.versions.append(docs({**texts(300), 1: "zebra"}))
    registry = one.indexes._registry
    swap = registry.swap
    other = one.reopen()

    def late(*arguments: Any) -> Any:
        registry.swap = swap  # type: ignore[method-assign]  # once
        other.drop("i", author=ADA)
        return swap(*arguments)

    registry.swap = late  # type: ignore[method-assign]  # another process comes between
    with pytest.raises((Conflict, NotFound)):
        one.indexes.refresh("i", author=ADA)
    assert one.indexes.list_indexes() == []


def wait_for(lab: SearchLab, *, version: int) -> None:
    """Until this version is served."""
    for _ in range(600):
        generation = lab.indexes.get("i").generation
        if generation is not None and generation.version == version:
            return
        time.sleep(0.05)
    raise AssertionError


def test_built_behind_the_caller(one: SearchLab) -> None:
    """Without waiting: it says that it is being built, then answers; what is old is served on."""
    registry = one.indexes._registry
    swap, is_held = registry.swap, threading.Event()

    def held(*arguments: Any) -> Any:
        assert is_held.wait(30)
        return swap(*arguments)

    registry.swap = held  # type: ignore[method-assign]  # until the test has looked
    made = create(one, kind="text", wait=False)
    assert (made.state, made.generation) == ("building", None)
    with pytest.raises(Unavailable, match="being built"):
        found(one, "engine")
    is_held.set()
    wait_for(one, version=0)
    assert found(one, "number5", limit=1) == [5]
    is_held.clear()
    one.source.versions.append(docs({**texts(300), 5: "zebra"}))
    one.indexes.refresh("i", wait=False, author=ADA)
    assert found(one, "number5", limit=1) == [5]
    is_held.set()
    wait_for(one, version=1)
    assert found(one, "zebra", limit=1) == [5]
    one.indexes.close()
    with pytest.raises(Unavailable, match="being closed"):
        one.indexes.refresh("i", wait=False, author=ADA)


def test_a_dataset_that_is_gone(one: SearchLab) -> None:
    """A search says that it was dropped; the index can be dropped, too."""
    create(one, kind="text")
    one.sources.is_dropped = True
    with pytest.raises(NotFound, match="dropped"):
        found(one, "engine")
    assert one.indexes.describe(one.indexes.get("i"))["state"] == "failed"
    assert not one.indexes.is_due(one.indexes.get("i"))
    one.indexes.drop("i", author=ADA)


def test_what_nobody_names_is_removed_in_time(one: SearchLab) -> None:
    """Files of generations before and of builds that died go after the grace, not earlier."""
    made = create(one, kind="text")
    left = f"{made.folder}dead/rows-x.arrow"
    one.store.create(left, b"left by a build that died")
    rebuilt = one.indexes.rebuild("i", author=ADA)
    objects = [info.path for info in one.store.list_objects(made.folder)]
    assert left in objects
    assert {file.path for file in made.generation.files.values()} < set(objects)
    one.clock.set(SystemClock().now_us() + 25 * 3_600 * 1_000_000)
    one.indexes._builder.collect(one.indexes.get("i"))
    assert rebuilt.generation is not None
    objects = [info.path for info in one.store.list_objects(made.folder)]
    assert sorted(objects) == sorted(file.path for file in rebuilt.generation.files.values())
    assert found(one, "number5", limit=1) == [5]
