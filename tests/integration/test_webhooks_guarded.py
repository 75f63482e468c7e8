"""Webhooks: where they must not go, whose secrets sign them, who may make them."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.delivering import LOOPBACK, delivering, eventually, insert, make_impatient, opened
from tests.gateways import good, serving, slug
from tests.receivers import Answer, Receiver, is_signed, receiving

from lakecore.app._webhooks import make_deliverer
from lakecore.base import InvalidInput, NotFound, Refused
from lakecore.webhooks import Deliverer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest takes less here."""
    make_impatient(monkeypatch)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes everything."""
    with receiving() as found:
        yield found


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


def test_signing_secrets_are_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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
