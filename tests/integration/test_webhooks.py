"""Webhooks, delivered to a real server: order, retries, signatures, kills, secrets nowhere."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import good, serving, slug
from tests.receivers import Answer, Receiver, is_signed, receiving

import lakecore
from lakecore.app import Lake
from lakecore.app._webhooks import make_deliverer
from lakecore.base import InvalidInput, NotFound, Refused
from lakecore.config import JournalSettings, LakeSettings, Settings, WebhookSettings
from lakecore.webhooks import Deliverer, _deliver, _retry

KILLS = 3
LOOPBACK = "127.0.0.0/8"
FILTERED = {
    "/hr": ("person", "insert"),
    "/deleted": ("plane", "delete"),
    "/system": ("webhooks", "create"),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest takes less here."""
    monkeypatch.setattr(_deliver, "LOOK_S", 0.05)
    monkeypatch.setattr(_deliver, "STUCK_S", 0.2)
    monkeypatch.setattr(_retry, "FIRST_S", 0.05)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes everything."""
    with receiving() as found:
        yield found


def opened(folder: Path, **webhooks: Any) -> Lake:
    """A lake with a dataset; loopback may be sent to."""
    given = {"allow_networks": LOOPBACK, "timeout_s": 2.0, **webhooks}
    lake = lakecore.open(
        folder / "lake",
        actor="ada",
        config=Settings(
            lake=LakeSettings(maintain=False),
            journal=JournalSettings(seal_interval_s=0.05),
            webhooks=WebhookSettings(**given),
        ),
    )
    if not lake.datasets():
        lake.create("planes", key="tailnum", entity_type="plane")
    return lake


@contextmanager
def delivering(lake: Lake) -> Iterator[Deliverer]:
    """What `lakecore up` does beside its gateway."""
    parts = lake._parts
    parts.deliverer = make_deliverer(parts)
    parts.deliverer.start()
    try:
        yield parts.deliverer
    finally:
        parts.deliverer.stop()
        parts.deliverer = None


def insert(lake: Lake, *numbers: int) -> None:
    """A plane each, sealed."""
    lake.insert("planes", [{"tailnum": f"N{n}", "seats": n} for n in numbers])
    lake.journal.seal()


def eventually(is_so: Callable[[], object], timeout_s: float = 20.0) -> None:
    """It becomes so, soon."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end_s, "it never was so"
        time.sleep(0.02)


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


# -- where it must not go ----------------------------------------------------------------


def test_a_name_that_points_inside_is_refused_when_it_is_connected_to(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the name server at that moment counts, not that of an earlier one."""
    import asyncio

    answers = iter(["8.8.8.8", "127.0.0.1"])
    connected: list[str] = []
    port = int(receiver.url.rpartition(":")[2])

    async def rebinding(loop: object, host: str, port: int, **given: object) -> Any:
        if host != "rebind.example":
            connected.append(host)
            raise OSError("not here")
        return [(2, 1, 6, "", (next(answers, "127.0.0.1"), port))]

    with opened(tmp_path, allow_networks="") as lake:
        made = lake.webhooks.create(f"https://rebind.example:{port}/")
        monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", rebinding)
        # The first answer was a public one: it is connected to, and to nothing else.
        assert lake.webhooks.test(made.webhook.id)["delivered"] is False
        assert set(connected) <= {"8.8.8.8"}
        found = lake.webhooks.test(made.webhook.id)
        assert found["outcome"] == "the target is not on the public internet"
        assert receiver.received == []


def test_what_was_allowed_once_is_checked_again(tmp_path: Path, receiver: Receiver) -> None:
    """A webhook made under another setting is not delivered under this one."""
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
    with opened(tmp_path, allow_networks="") as lake:
        with delivering(lake):
            insert(lake, 1)
            eventually(lambda: lake.webhooks.deliveries(made.webhook.id))
        assert receiver.received == []
        with pytest.raises(Refused):
            lake.webhooks.create(receiver.url)


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    """TLS is checked against the name in the URL, although an address is connected to."""
    import asyncio

    from lakecore.webhooks import Allowed, Sender

    certificate, key = self_signed(tmp_path, "crm.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def send(name: str, tls: ssl.SSLContext | None) -> tuple[int | None, str]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        sender = Sender(Allowed.parse(LOOPBACK), timeout_s=5, tls=tls)

        async def here(host: str, port: int, **given: object) -> Any:
            return [(2, 1, 6, "", ("127.0.0.1", port))]

        loop = asyncio.get_running_loop()
        before = loop.getaddrinfo
        loop.getaddrinfo = here if name.endswith(".example") else before  # type: ignore[method-assign]  # no name server here
        try:
            found = await sender.send(f"https://{name}:{port}/", {"x": "y"}, b"{}")
        finally:
            await sender.close()
            server.close()
        return found.status, found.outcome

    assert asyncio.run(send("crm.example", trusting)) == (204, "delivered")
    assert asyncio.run(send("other.example", trusting)) == (None, "TLS failed")
    assert asyncio.run(send("crm.example", None)) == (None, "TLS failed")


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


# -- machines and secrets ----------------------------------------------------------------


def test_secrets_by_reference(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's own, in the environment or a file; other places cannot be named."""
    texts = [f"whsec_{letter * 43}=" for letter in "ab"]
    monkeypatch.setenv("LAKECORE_WEBHOOK_CRM", texts[0])
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "crm").write_text(texts[1] + "\n")
    with opened(tmp_path, secrets_directory=str(folder)) as lake:
        for reference in ("env:LAKECORE_WEBHOOK_CRM", "file:crm"):
            made = lake.webhooks.create(receiver.url, secret=reference)
            assert made.secret is None
            assert lake.webhooks.test(made.webhook.id)["delivered"]
        assert [is_signed(one, text) for one, text in zip(receiver.received, texts, strict=True)]
        for bad in (
            "env:PATH",
            "env:AWS_SECRET_ACCESS_KEY",
            "env:LAKECORE_LAKE",
            "file:../secrets/crm",
            "file:/etc/passwd",
            "file:.hidden",
            "machine:7",
            texts[0],
        ):
            with pytest.raises(InvalidInput) as caught:
                lake.webhooks.create(receiver.url, secret=bad)
            assert bad not in str(caught.value.to_dict())
        with pytest.raises(NotFound):
            lake.webhooks.create(receiver.url, secret="file:none")


def test_rotation_signs_with_both_for_a_while(tmp_path: Path, receiver: Receiver) -> None:
    """A receiver may take its time to be given the new secret."""
    with opened(tmp_path) as lake:
        old = lake.webhooks.create(receiver.url)
        new = lake.webhooks.rotate(old.webhook.id)
        assert old.secret is not None
        assert new.secret not in (None, old.secret)
        lake.webhooks.test(old.webhook.id)
        one = receiver.received[0]
        assert is_signed(one, old.secret)
        assert is_signed(one, str(new.secret))
        later = replace(new.webhook, previous_until_us=1)
        assert len(lake._parts.webhooks.machine.signing(later, 2)) == 1


def test_another_machine_delivers_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """A restored copy, or a second machine, does not send what the first one sends."""
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
        parts = lake._parts
        from lakecore.webhooks import DeliveryState, Machine, Webhooks

        other_state = tmp_path / "other"
        other = Webhooks(
            parts.documents,
            parts.journal,
            parts.clock,
            Machine(other_state),
            allowed=parts.webhooks.allowed,
        )
        deliverer = Deliverer(
            other,
            parts.journal,
            DeliveryState(other_state),
            lake_id=lake.lake_id,
            clock=parts.clock,
            traces=parts.traces,
        )
        deliverer.start()
        insert(lake, 1)
        time.sleep(0.5)
        assert deliverer.stats()["active"] == 0
        author = parts.principals and lake._author(None, "api", "")
        with pytest.raises(InvalidInput, match="another machine has the secret"):
            other.enable(made.webhook.id, author=author)
        # Moved on purpose: it begins where it was made, so nothing is lost.
        moved = other.rotate(made.webhook.id, author=author)
        deliverer.poke()
        received = receiver.wait_events(1)
        deliverer.stop()
        assert is_signed(received[0], str(moved.secret))
        assert lake.webhooks.status(made.webhook.id)["state"] == "elsewhere"


def test_two_processes_of_a_machine_deliver_once(tmp_path: Path, receiver: Receiver) -> None:
    """One has the turn; the other takes it over."""
    with opened(tmp_path) as lake, opened(tmp_path) as second:
        lake.webhooks.create(receiver.url)
        waiting = make_deliverer(second._parts)
        with delivering(lake):
            insert(lake, 1)
            receiver.wait_events(1)
            waiting.start()
            insert(lake, 2)
            receiver.wait_events(2)
            time.sleep(0.3)
            assert len(receiver.received) == 2
            assert waiting.stats()["active"] == 0
        insert(lake, 3)
        receiver.wait_events(3)
        waiting.stop()
        assert len(receiver.received) == 3


def test_secrets_are_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the lake, its state, its journal, its log, nor in what is shown of it."""
    with receiving() as receiver, opened(tmp_path) as lake:
        receiver.answering = lambda n: Answer(500 if n % 2 else 200)
        made = lake.webhooks.create(f"{receiver.url}/in")
        rotated = lake.webhooks.rotate(made.webhook.id)
        with delivering(lake), caplog.at_level("DEBUG", logger="lakecore"):
            insert(lake, 1)
            receiver.wait_events(1)
            insert(lake, 2)
            receiver.wait_events(2)
            lake.webhooks.test(made.webhook.id)
        shown = repr(made) + repr(rotated) + json.dumps(lake.webhooks.describe())
        shown += caplog.text
        for event in lake.journal.query(entity_id=made.webhook.id, limit=100).items:
            shown += json.dumps(event.to_dict())
    secrets = [str(one.secret) for one in (made, rotated)]
    raw = [secret.removeprefix("whsec_").rstrip("=").encode() for secret in secrets]
    assert not any(secret in shown for secret in secrets)
    files = [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    assert any(path.name == "webhooks-key.json" for path in files)
    for path in files:
        data = path.read_bytes()
        assert not any(secret in data for secret in raw), path
    key = tmp_path / "lake" / ".local" / "webhooks-key.json"
    assert key.stat().st_mode & 0o077 == 0


def test_a_key_that_others_may_read_signs_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """As with the log's own key."""
    with opened(tmp_path) as lake:
        made = lake.webhooks.create(receiver.url)
    (tmp_path / "lake" / ".local" / "webhooks-key.json").chmod(0o644)
    with opened(tmp_path) as lake, pytest.raises(Refused, match="others may read"):
        lake.webhooks.test(made.webhook.id)


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


@contextmanager
def up(folder: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A process that serves the lake."""
    given = {
        "LAKECORE_WEBHOOKS__ALLOW_NETWORKS": LOOPBACK,
        "LAKECORE_JOURNAL__SEAL_INTERVAL_S": "0.1",
        **environ,
    }
    command = [sys.executable, "-c", "from lakecore.cli import main; main()"]
    with subprocess.Popen(
        [*command, "--lake", str(folder / "lake"), "up", "--port", "0"],
        stderr=subprocess.DEVNULL,
        env={**os.environ, **given},
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# -- over HTTP and on the command line ---------------------------------------------------


def test_webhooks_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, listed, tested, turned, removed by who has admin over everything, and nobody else."""
    monkeypatch.setenv("LAKECORE_WEBHOOKS__ALLOW_NETWORKS", LOOPBACK)
    with receiving() as receiver, serving(tmp_path) as served:
        client = served.client
        body = {"url": receiver.url, "datasets": ["planes"], "reason": "sync"}
        answer = client.post("/webhooks", json=body)
        made = good(answer, 201)
        assert answer.headers["cache-control"] == "no-store"
        secret, url = made["signing_secret"], f"/webhooks/{made['id']}"
        served.lake.update("planes", set={"seats": 1}, all=True)
        good(client.post("/journal/flush"))
        received = receiver.wait_events(3)
        assert is_signed(received[0], secret)
        for path in ("/webhooks", url, f"{url}/deliveries"):
            assert secret not in client.get(path).text
        assert good(client.get(url))["state"] == "active"
        assert good(client.get(f"{url}/deliveries"))["items"][0]["outcome"] == "delivered"
        assert good(client.post(f"{url}/test"))["delivered"]
        assert good(client.post(f"{url}/rotate", json={}))["signing_secret"] != secret
        assert good(client.post(f"{url}/enable", json={"from_seq": 0}))["disabled_us"] is None
        assert slug(client.post("/webhooks", json={"url": "https://10.0.0.1/"}), 403) == "refused"
        reader = served.as_("reader", "read:*", "write:*", "admin:planes")
        for method, path in (
            ("GET", "/webhooks"),
            ("POST", "/webhooks"),
            ("GET", url),
            ("DELETE", url),
            ("POST", f"{url}/test"),
            ("GET", f"{url}/deliveries"),
        ):
            assert slug(reader.request(method, path), 403) == "refused"
        assert good(client.delete(url))["id"] == made["id"]
        assert slug(client.get(url), 404) == "not-found"
        event = served.lake.journal.query(entity_id=made["id"], action="create").items[0]
        assert event.actor == "ada"
        assert json.loads(event.context)["key_id"]


def test_webhooks_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret alone is on standard output; `test` says whether it arrived."""
    from lakecore.cli._main import root

    monkeypatch.setenv("LAKECORE_WEBHOOKS__ALLOW_NETWORKS", LOOPBACK)
    monkeypatch.setenv("LAKECORE_LAKE", str(tmp_path / "lake"))

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            root.main(["webhooks", *words])
        return int(caught.value.code or 0), capsys.readouterr().out

    opened(tmp_path).close()
    with receiving() as receiver:
        code, out = run("create", receiver.url, "--dataset", "planes")
        assert (code, out.startswith("whsec_"), out.count("\n")) == (0, True, 1)
        (one,) = json.loads(run("list", "--json")[1])
        assert out.strip() not in json.dumps(one)
        assert run("test", one["id"])[0] == 0
        receiver.answering = lambda n: Answer(500)
        code, told = run("test", one["id"])
        assert (code, told.startswith("the receiver does not take it (500)")) == (1, True)
        assert run("rotate", one["id"])[1].startswith("whsec_")
        assert run("enable", one["id"], "--from-seq", "0")[0] == 0
        assert one["id"] in run("show", one["id"])[1]
        assert one["id"] in run("list")[1]
        assert run("remove", one["id"])[0] == 0
        assert run("test", one["id"])[0] == 2


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
