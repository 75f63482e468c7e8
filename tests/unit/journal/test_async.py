"""Tasks of an event loop record: without blocking it, in shared commits, with threads beside."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.journals import open_journal, sample

from lakecore.base import InvalidInput, Unavailable
from lakecore.journal import Journal, JournalSettings
from lakecore.journal._hot.group import Entry, GroupCommit
from lakecore.storage import open_store

EVENT = {"entity_type": "plane", "entity_id": "N1", "action": "inspect"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with a hot log."""
    with open_journal(open_store(str(tmp_path / "lake")), tmp_path / "state") as opened:
        yield opened


def entry(number: int = 0, size: int = 1) -> Entry:
    return Entry(1, 1, bytes([number]) * size)


def test_tasks_and_threads_record_together(journal: Journal) -> None:
    """Every acknowledged event is there once, whoever led its commit."""
    ids: list[str] = []

    async def task(number: int) -> None:
        for step in range(5):
            ids.append(await journal.record_async(EVENT | {"new_value": f"{number * 10 + step}"}))
            ids.extend(await journal.record_many_async([EVENT, EVENT]))

    async def tasks() -> None:
        await asyncio.gather(*(task(number) for number in range(20)))

    def thread() -> None:
        ids.extend(journal.record(EVENT) for _ in range(30))

    threads = [threading.Thread(target=thread) for _ in range(3)]
    for each in threads:
        each.start()
    asyncio.run(tasks())
    for each in threads:
        each.join()
    assert len(ids) == 20 * 5 * 3 + 90
    stored = journal.scan(["event_id"]).read_all().column("event_id").to_pylist()
    assert sorted(stored) == sorted(ids)
    journal.seal()
    assert journal.verify().status == "green"


def test_supplied_ids_and_refusals(journal: Journal) -> None:
    """An id is recorded once by many tasks; what is refused is refused in the task."""

    async def run() -> None:
        event = EVENT | {"event_id": "a"}
        assert set(await asyncio.gather(*(journal.record_async(event) for _ in range(9)))) == {"a"}
        with pytest.raises(InvalidInput, match="field actor"):
            await journal.record_async(event | {"actor": "bob"})
        with pytest.raises(InvalidInput, match="action"):
            await journal.record_async({"entity_type": "plane", "entity_id": "N1"})
        assert await journal.record_many_async([]) == []

    asyncio.run(run())
    assert [event.event_id for event in journal.recent()] == ["a"]


def test_the_loop_runs_on_while_a_commit_takes_its_time() -> None:
    """A slow disk delays who waits for it, not the loop; the next group shares one commit."""
    groups: list[int] = []

    def commit(group: list[Entry]) -> None:
        groups.append(len(group))
        time.sleep(0.2)

    async def run() -> int:
        group = GroupCommit(commit, max_queue_bytes=1000, timeout_s=5)
        done = asyncio.gather(*(group.submit_async(entry(n)) for n in range(50)))
        ticks = 0
        while not done.done():
            await asyncio.sleep(0.005)
            ticks += 1
        group.close()
        return ticks

    assert asyncio.run(run()) > 5  # a machine that is busy gives fewer
    assert sum(groups) == 50
    assert len(groups) <= 2


def test_tasks_of_one_turn_of_the_loop_share_the_first_commit() -> None:
    """Also where none is under way: the first task does not go alone."""
    groups: list[int] = []

    async def run() -> None:
        group = GroupCommit(
            lambda entries: groups.append(len(entries)), max_queue_bytes=1000, timeout_s=5
        )
        for _ in range(3):
            await asyncio.gather(*(group.submit_async(entry(n)) for n in range(50)))
        group.close()

    asyncio.run(run())
    assert groups == [50, 50, 50]


def test_a_thread_does_not_wait_for_a_busy_loop() -> None:
    """It commits what tasks have queued, while their loop has not ended its turn."""
    stored: list[int] = []
    group = GroupCommit(
        lambda entries: stored.extend(each.data[0] for each in entries),
        max_queue_bytes=1000,
        timeout_s=5,
    )

    async def run() -> None:
        waiting = group.submit_async(entry(1))
        waiting.send(None)  # queued, and nobody leads
        thread = threading.Thread(target=group.submit, args=(entry(2),))
        thread.start()
        thread.join(10)
        assert stored == [1, 2]
        waiting.close()

    asyncio.run(run())
    group.close()


def test_a_cancelled_task_leaves_the_others_their_turn() -> None:
    """Wherever in the queue it waits: the rest is committed, and what was left is not."""
    gate = threading.Event()
    stored: list[int] = []

    def commit(group: list[Entry]) -> None:
        gate.wait(10)
        stored.extend(each.data[0] for each in group)

    async def run() -> None:
        group = GroupCommit(commit, max_queue_bytes=1000, timeout_s=5)
        tasks = [asyncio.create_task(group.submit_async(entry(0)))]
        await asyncio.sleep(0.1)  # the first one is being committed
        tasks += [asyncio.create_task(group.submit_async(entry(n))) for n in range(1, 6)]
        await asyncio.sleep(0.1)
        for number in (0, 3, 5):
            tasks[number].cancel()
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(found, asyncio.CancelledError) for found in results] == [
            number in (0, 3, 5) for number in range(6)
        ]
        await group.submit_async(entry(9))
        group.close()

    asyncio.run(run())
    assert {1, 2, 4, 9} <= set(stored)
    assert not {3, 5} & set(stored)


def test_a_closed_loop_does_not_stop_the_next() -> None:
    """Tasks whose loop ended before their commit did are forgotten; threads and loops go on."""
    gate = threading.Event()
    group = GroupCommit(lambda _: gate.wait(10), max_queue_bytes=1000, timeout_s=5)  # type: ignore[arg-type, return-value]  # what it returns is not looked at

    async def abandon() -> None:
        for number in range(3):
            asyncio.ensure_future(group.submit_async(entry(number)))  # noqa: RUF006 - abandoned
        await asyncio.sleep(0.05)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(abandon())
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.close()
    gate.set()
    asyncio.run(group.submit_async(entry(7)))
    group.submit(entry(8))
    group.close()


def test_a_full_queue_pushes_tasks_back() -> None:
    """A task waits for room up to the bound, then is told; one that finds room goes on."""
    gate = threading.Event()
    group = GroupCommit(lambda _: gate.wait(10), max_queue_bytes=10, timeout_s=0.3)  # type: ignore[arg-type, return-value]  # what it returns is not looked at

    async def run() -> None:
        first = asyncio.create_task(group.submit_async(entry(size=8)))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(group.submit_async(entry(size=8)))
        await asyncio.sleep(0.05)
        start = time.monotonic()
        with pytest.raises(Unavailable, match="queue is full"):
            await group.submit_async(entry(size=8))
        assert 0.2 < time.monotonic() - start < 5
        third = asyncio.create_task(group.submit_async(entry(size=1)))
        gate.set()
        await asyncio.gather(first, third)
        await second  # it was let in when the first group was taken from the queue

    asyncio.run(run())
    group.close()


def test_a_failed_commit_reaches_its_tasks() -> None:
    """The error is each task's; the group commits what comes next."""
    fails = [True]

    def commit(_: list[Entry]) -> None:
        if fails.pop() if fails else False:
            raise Unavailable("the disk is away")

    async def run() -> None:
        group = GroupCommit(commit, max_queue_bytes=100, timeout_s=1)
        with pytest.raises(Unavailable, match="away"):
            await group.submit_async(entry())
        await group.submit_async(entry())
        group.close()

    asyncio.run(run())


def test_a_full_log_pushes_tasks_back(tmp_path: Path) -> None:
    """What is unsealed is bounded for tasks, too; sealing makes room."""
    settings = JournalSettings(background=False, max_hot_bytes=1 << 20, append_timeout_s=0.2)
    store = open_store(str(tmp_path / "lake"))

    async def fill(journal: Journal) -> None:
        for _ in range(400):
            await journal.record_many_async(sample("x", 40).drop(["event_id"]).to_pylist())

    with open_journal(store, tmp_path / "state", settings=settings) as journal:
        with pytest.raises(Unavailable, match="unsealed"):
            asyncio.run(fill(journal))
        journal.seal()
        asyncio.run(journal.record_async(EVENT))  # type: ignore[arg-type]  # a coroutine it is


def test_a_recording_task_that_is_cancelled(journal: Journal) -> None:
    """It stops waiting at once; what others recorded in the same turn is acknowledged."""

    async def main() -> None:
        await journal.record_async(EVENT)
        tasks = [asyncio.ensure_future(journal.record_async(EVENT)) for _ in range(8)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[3], asyncio.CancelledError)
        ids = {text for text in done if isinstance(text, str)}
        assert len(ids) == 7
        assert ids <= {found.event_id for found in journal.recent(100)}
        assert await journal.record_async(EVENT)

    asyncio.run(main())
