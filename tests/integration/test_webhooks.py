"""Webhooks, delivered to a real server: order, retries, slow and dead receivers, kills."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.delivering import delivering, eventually, insert, make_impatient, opened, up
from tests.receivers import Answer, Receiver, is_signed, receiving

from lakecore.base import NotFound
from lakecore.webhooks import _deliver

KILLS = 3
FILTERED = {
    "/hr": ("person", "insert"),
    "/deleted": ("plane", "delete"),
    "/system": ("webhooks", "create"),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest takes less here."""
    make_impatient(monkeypatch)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes everything."""
    with receiving() as found:
        yield found


# -- what arrives ------------------------------------------------------------------------


def test_events_arrive_in_order_and_signed(tmp_path: Path, receiver: Receiver) -> None:
    """Once each, from the time when it was made; the signature is that of the secret shown."""
    with opened(tmp_path) as lake:
        insert(lake, 0)
        made = lake.webhooks.create(f"{receiver.url}/in", datasets=["planes"])
        assert made.secret is not None
        with delivering(lake):
            insert(lake, 1)
            receiver.wait_events(1)
            insert(lake, 2, 3)
            lake.update("planes", set={"seats": 9}, where="tailnum = 'N1'")
            lake.journal.seal()
            received = receiver.wait_events(4)
            eventually(lambda: lake.webhooks.status(made.webhook.id)["events"] == 4)
        events = [event for one in received for event in one.document["data"]["events"]]
        assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
        assert [event["entity_id"] for event in events] == ["N1", "N2", "N3", "N1"]
        assert events[-1] == lake.history("planes", "N1")[-1].to_dict()
        assert all(is_signed(one, made.secret) for one in received)
        assert not any(
            is_signed(replace(one, body=one.body + b" "), made.secret) for one in received
        )
        assert all(abs(int(one.headers["webhook-timestamp"]) - one.at_s) < 60 for one in received)
        assert {one.path for one in received} == {"/in"}
        assert {one.headers["content-type"] for one in received} == {"application/json"}
        assert lake.webhooks.status(made.webhook.id)["state"] == "active"
        # The cursor that came with the last message is one of the journal's.
        cursor = received[-1].document["data"]["cursor"]
        assert next(lake.journal.tail(cursor, limit=1), None) is None


def test_filters_choose(tmp_path: Path, receiver: Receiver) -> None:
    """By dataset, type and action; what others do costs nothing but reading."""
    with opened(tmp_path) as lake:
        lake.create("hr.staff", key="id", entity_type="person")
        lake.webhooks.create(f"{receiver.url}/hr", datasets=["hr.*"])
        lake.webhooks.create(f"{receiver.url}/deleted", entity_types=["plane"], actions=["delete"])
        lake.webhooks.create(f"{receiver.url}/system", datasets=["system.*"], actions=["create"])
        with delivering(lake):
            insert(lake, 1, 2)
            lake.insert("hr.staff", [{"id": 1}])
            lake.delete("planes", keys=["N1"])
            lake.journal.seal()
            eventually(lambda: {one.path for one in receiver.received} == set(FILTERED))
        for one in receiver.received:
            for event in one.document["data"]["events"]:
                assert (event["entity_type"], event["action"]) == FILTERED[one.path]


def test_many_events_are_cut_into_messages(tmp_path: Path, receiver: Receiver) -> None:
    """A stretch of thousands: bounded bodies, in order, none twice."""
    with opened(tmp_path) as lake:
        lake.webhooks.create(receiver.url)
        insert(lake, *range(2_345))
        with delivering(lake):
            received = receiver.wait_events(2_345, 60)
        seqs = [seq for one in received for seq in one.seqs]
        assert seqs == sorted(set(seqs))
        assert max(len(one.seqs) for one in received) == 100
        assert len({one.id for one in received}) == len(received)


# -- what goes wrong ---------------------------------------------------------------------


def test_a_failure_is_tried_again_and_holds_up_the_rest(tmp_path: Path, receiver: Receiver) -> None:
    """The same message under the same id, later and later; the next one only after it."""
    receiver.answering = lambda number: Answer(503 if number < 4 else 200)
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
        with delivering(lake):
            insert(lake, 1)
            receiver.wait(2)
            assert lake.webhooks.status(made.webhook.id)["state"] == "failing"
            insert(lake, 2)
            received = receiver.wait_events(2)
            eventually(lambda: lake.webhooks.status(made.webhook.id)["messages"] == 2)
        assert len(received) == 6
        assert len({one.id for one in received[:5]}) == 1
        assert len({one.body for one in received[:5]}) == 1
        assert received[5].seqs > received[0].seqs
        waits = [b.at_s - a.at_s for a, b in pairwise(received[:5])]
        # 0.05 s doubled each time, at least half of it.
        assert all(wait >= 0.025 * 2**n for n, wait in enumerate(waits))
        outcomes = [one["outcome"] for one in lake.webhooks.deliveries(made.webhook.id)]
        assert outcomes == ["delivered"] * 2 + ["the receiver does not take it"] * 4


def test_retry_after_is_honoured(tmp_path: Path, receiver: Receiver) -> None:
    """A receiver that asks for two seconds gets them."""
    receiver.answering = lambda n: Answer(429, {"retry-after": "2"}) if n == 0 else Answer()
    with opened(tmp_path) as lake:
        lake.webhooks.create(receiver.url)
        with delivering(lake):
            insert(lake, 1)
            first, second = receiver.wait(2)
        assert second.at_s - first.at_s >= 1.9


def test_a_redirect_is_not_followed(tmp_path: Path, receiver: Receiver) -> None:
    """It is a failure: where it points to was never checked."""
    with receiving() as elsewhere:
        receiver.answering = lambda n: Answer(307, {"location": elsewhere.url})
        with opened(tmp_path) as lake:
            made = lake.webhooks.create(receiver.url)
            with delivering(lake):
                insert(lake, 1)
                receiver.wait(2)
            assert elsewhere.received == []
            found = lake.webhooks.deliveries(made.webhook.id)[0]
            assert found["outcome"] == "the receiver answers with a redirect"


def test_a_slow_receiver_costs_its_timeout_and_no_others(
    tmp_path: Path, receiver: Receiver
) -> None:
    """All of an attempt is bounded; other webhooks go on meanwhile."""
    receiver.answering = lambda n: Answer(wait_s=30.0)
    with receiving() as quick, opened(tmp_path, timeout_s=0.5, concurrency=2) as lake:
        slow = lake.webhooks.create(receiver.url)
        lake.webhooks.create(quick.url)
        with delivering(lake):
            insert(lake, 1)
            receiver.wait(1)
            for number in range(2, 6):
                insert(lake, number)
                quick.wait_events(number, 5)
            eventually(lambda: lake.webhooks.deliveries(slow.webhook.id))
        found = lake.webhooks.deliveries(slow.webhook.id)[-1]
        assert found["outcome"] == "no answer within 0.5 s"
        assert 400 < found["duration_ms"] < 5_000


def test_an_endless_answer_is_cut_off(tmp_path: Path, receiver: Receiver) -> None:
    """What a receiver says is not read beyond a bound, and kept nowhere."""
    receiver.answering = lambda n: Answer(500, body=b"canary" * 2_000_000)
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
        with delivering(lake):
            insert(lake, 1)
            receiver.wait(2)
        assert "canary" not in json.dumps(lake.webhooks.deliveries(made.webhook.id))


def test_a_receiver_that_is_gone_is_disabled_on_record(tmp_path: Path) -> None:
    """After the declared time of failures; the journal says so, and by whom; enabling goes on."""
    with receiving() as first:
        url, port = first.url, int(first.url.rpartition(":")[2])
    with opened(tmp_path, give_up_s=0.5) as lake:
        made = lake.webhooks.create(url)
        with delivering(lake):
            insert(lake, 1)
            eventually(lambda: not lake.webhooks.get(made.webhook.id).is_enabled)
            eventually(lambda: lake._parts.deliverer.stats()["active"] == 0)  # type: ignore[union-attr]  # it is there
            status = lake.webhooks.status(made.webhook.id)
            assert status["state"] == "disabled"
            assert status["disabled_why"].startswith("not delivered for 0.000")
            event = lake.journal.query(entity_id=made.webhook.id, action="disable").items[0]
            assert (event.actor, event.dataset) == ("lakecore", "system.documents")
            insert(lake, 2)
            with receiving(port) as again:
                lake.webhooks.enable(made.webhook.id)
                received = again.wait_events(2)
        assert [one.seqs for one in received] == sorted(one.seqs for one in received)
        assert lake.webhooks.status(made.webhook.id)["state"] == "active"


def test_gone_means_gone(tmp_path: Path, receiver: Receiver) -> None:
    """410 disables at once."""
    receiver.answering = lambda n: Answer(410)
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
        with delivering(lake):
            insert(lake, 1)
            eventually(lambda: not lake.webhooks.get(made.webhook.id).is_enabled)
        assert lake.webhooks.get(made.webhook.id).disabled_why == "the receiver is gone (410)"
        assert len(receiver.received) == 1


def test_one_that_was_removed_gets_no_more(tmp_path: Path, receiver: Receiver) -> None:
    """At once in the process that delivers."""
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
        with delivering(lake) as deliverer:
            insert(lake, 1)
            receiver.wait_events(1)
            lake.webhooks.remove(made.webhook.id)
            eventually(lambda: deliverer.stats()["active"] == 0)
            insert(lake, 2)
            time.sleep(0.3)
        assert len(receiver.received) == 1
        with pytest.raises(NotFound):
            lake.webhooks.get(made.webhook.id)


# -- kills -------------------------------------------------------------------------------


def test_a_stretch_that_was_begun_is_sent_as_it_was(tmp_path: Path, receiver: Receiver) -> None:
    """A process that ends between two messages of a stretch: the same ids, whatever came since."""
    receiver.answering = lambda n: Answer(200 if n == 0 else 503)
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url, datasets=["planes"])
        insert(lake, *range(250))
        with delivering(lake):
            receiver.wait(2)
        line = lake._parts.deliveries.find(made.webhook.id)
        assert line is not None
        assert (line.part, line.until is not None) == (1, True)
    first, second = receiver.received[:2]
    with opened(tmp_path) as lake:
        receiver.answering = lambda n: Answer()
        insert(lake, 900)
        before = len(receiver.received)
        with delivering(lake):
            received = receiver.wait_events(251)[before:]
    assert first.id not in {one.id for one in received}
    assert (received[0].id, received[0].body) == (second.id, second.body)
    assert [len(one.seqs) for one in received] == [100, 50, 1]


@pytest.mark.parametrize("seed", range(int(os.environ.get("LAKECORE_SOAK_ROUNDS", "1"))))
def test_killed_while_it_delivers(tmp_path: Path, receiver: Receiver, seed: int) -> None:
    """`lakecore up`, killed again and again: every event arrives, in order, few twice."""
    import random

    chance = random.Random(seed)
    receiver.answering = lambda n: Answer(wait_s=0.02)
    with opened(tmp_path) as lake:
        lake.webhooks.create(receiver.url, datasets=["planes"])
        for start in range(0, 600, 150):
            insert(lake, *range(start, start + 150))
        wanted = [
            event.seq
            for batch in lake.journal.tail()
            for event in batch
            if event.dataset == "planes" and event.action == "insert"
        ]
    for _ in range(KILLS):
        with up(tmp_path) as process:
            seen = len(receiver.received)
            with receiver.changed:
                receiver.changed.wait_for(
                    lambda seen=seen: len(receiver.received) > seen,  # type: ignore[misc]  # bound now
                    20,
                )
            time.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
    assert len(receiver.received) >= KILLS
    with opened(tmp_path) as lake, delivering(lake):
        receiver.wait_events(len(wanted))
    bodies: dict[str, bytes] = {}
    order: list[int] = []
    for one in receiver.received:
        assert bodies.setdefault(one.id, one.body) == one.body
        if not order or one.seqs[0] > order[-1]:
            order += one.seqs
    assert order == wanted


def test_threads_end(tmp_path: Path, receiver: Receiver) -> None:
    """Stopping leaves nothing behind, also in the middle of an attempt."""
    receiver.answering = lambda n: Answer(wait_s=20)
    with opened(tmp_path) as lake:
        lake.webhooks.create(receiver.url)
        with delivering(lake):
            insert(lake, 1)
            receiver.wait(1)
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 5
        assert not [t for t in threading.enumerate() if t.name.startswith("lakecore-webhooks")]


def test_long_stretches_are_not_held_in_memory(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond the bound is read again, and is the same."""
    monkeypatch.setattr(_deliver, "MAX_HELD_BYTES", 100_000)
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
        insert(lake, *range(950))
        with delivering(lake):
            received = receiver.wait_events(950)
            eventually(lambda: lake.webhooks.status(made.webhook.id)["events"] == 950)
        line = lake._parts.deliveries.find(made.webhook.id)
        assert line is not None
        assert line.until is None
    seqs = [seq for one in received for seq in one.seqs]
    assert seqs == sorted(set(seqs))
    assert len({one.id for one in received}) == len(received)
