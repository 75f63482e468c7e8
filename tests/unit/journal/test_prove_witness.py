"""Witnesses over HTTP: a little real one that checks what it cosigns, and bad ones."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fakes.journals import MANUAL, sample

from lakecore.base import (
    Conflict,
    CorruptData,
    InvalidInput,
    LakecoreError,
    Refused,
    Unavailable,
)
from lakecore.journal import Journal, Witness
from lakecore.journal._prove.witness import WitnessClient
from lakecore.storage import Store, open_store
from lakecore.tlog import (
    EMPTY_ROOT,
    AddCheckpoint,
    Checkpoint,
    Cosigner,
    NoteSignature,
    VerifierKey,
    verify_consistency,
)

ORIGIN = "example.com/log"
COSIGNER = Cosigner("witness.example/w1", bytes([7]) * 32)
Answer = tuple[int, bytes]


class WitnessServer:
    """c2sp.org/tlog-witness for the logs whose keys it knows, on a port of this machine."""

    def __init__(self) -> None:
        self.keys: dict[str, list[VerifierKey]] = {}
        self.heads: dict[str, Checkpoint] = {}
        self.requests: list[AddCheckpoint] = []
        self.answer: Callable[[bytes], Answer] = self.add_checkpoint
        self.url = ""

    def add_checkpoint(self, body: bytes) -> Answer:
        """The witness's rules, in the specification's order."""
        try:
            request = AddCheckpoint.parse(body)
            new = Checkpoint.of(request.note)
        except InvalidInput:
            return 400, b""
        self.requests.append(request)
        if new.origin not in self.keys:
            return 404, b""
        try:
            request.note.verify(self.keys[new.origin])
        except CorruptData:
            return 403, b""
        old = self.heads.get(new.origin, Checkpoint(new.origin, 0, EMPTY_ROOT))
        if request.old_size > new.size:
            return 400, b""
        if request.old_size != old.size:
            return 409, b"%d\n" % old.size
        path = request.path
        if not verify_consistency(old.size, new.size, path, old.root, new.root):
            return 422, b""
        self.heads[new.origin] = new
        return 200, COSIGNER.sign(request.note.text, int(time.time())).line.encode()


@contextmanager
def serving(server: WitnessServer) -> Iterator[WitnessServer]:
    """The server, answering on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = self.path == "/witness/add-checkpoint"
            status, answer = server.answer(body) if is_known else (404, b"")
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/witness"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[WitnessServer]:
    with serving(WitnessServer()) as server:
        yield server


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def journal(store: Store, tmp_path: Path, server: WitnessServer) -> Journal:
    """A journal with 300 signed events, whose key the witness knows."""
    journal = Journal.open(store, tmp_path / "state", settings=MANUAL, origin=ORIGIN)
    grow(journal, "a", 300)
    server.keys[ORIGIN] = [journal.prover.keys().current.key]  # type: ignore[union-attr]  # it has keys
    return journal


def grow(journal: Journal, prefix: str, count: int) -> None:
    journal.record_batch(sample(prefix, count))
    journal.seal()
    journal.checkpoint()


def witness(server: WitnessServer) -> Witness:
    return Witness(COSIGNER.name, COSIGNER.vkey, server.url)


def cosign(journal: Journal, server: WitnessServer) -> NoteSignature | LakecoreError:
    """The one witness's answer."""
    return journal.cosign([witness(server)])[COSIGNER.name]


def test_a_witness_cosigns_and_the_proof_shows_it(
    store: Store, journal: Journal, server: WitnessServer
) -> None:
    """The line is stored beside the checkpoint, and is in every proof from then on."""
    signature = cosign(journal, server)
    assert isinstance(signature, NoteSignature)
    path = f"journal/checkpoints/{300:020d}.witness/{signature.key_id.hex()}"
    assert store.get(path).decode() == signature.line
    proof = journal.prove(7)
    proof.proof.verify(
        proof.leaf_hash,
        ORIGIN,
        server.keys[ORIGIN],
        witnesses=[COSIGNER.key],
        quorum=1,
    )
    assert journal.prover.latest().size == 300  # type: ignore[union-attr]  # there is one
    assert isinstance(cosign(journal, server), NoteSignature)
    assert store.get(path).decode() == signature.line


def test_consistency_is_proved_from_what_the_witness_knows(
    journal: Journal, server: WitnessServer, store: Store, tmp_path: Path
) -> None:
    """Each size follows the one before; who knows nothing is told where to go on."""
    cosign(journal, server)
    grow(journal, "b", 70_000)
    cosign(journal, server)
    assert [request.old_size for request in server.requests] == [0, 300]
    with Journal.open(store, tmp_path / "state", settings=MANUAL, origin=ORIGIN) as again:
        grow(again, "c", 9)
        assert isinstance(cosign(again, server), NoteSignature)
    assert [request.old_size for request in server.requests] == [0, 300, 0, 70_300]
    assert server.heads[ORIGIN].size == 70_309


def test_a_fork_is_not_cosigned(journal: Journal, server: WitnessServer, tmp_path: Path) -> None:
    """Another history with the same key: the witness's refusal is corrupt data here."""
    cosign(journal, server)
    state = tmp_path / "fork"
    state.mkdir()
    key = (tmp_path / "state" / "signing-key.json").read_bytes()
    (state / "signing-key.json").write_bytes(key)
    (state / "signing-key.json").chmod(0o600)
    with Journal.open(open_store("memory://"), state, settings=MANUAL, origin=ORIGIN) as fork:
        grow(fork, "x", 400)
        assert isinstance(cosign(fork, server), CorruptData)
    assert server.heads[ORIGIN].size == 300


def test_a_smaller_log_is_a_conflict(journal: Journal, server: WitnessServer) -> None:
    """A witness that has seen more than there is cannot be satisfied."""
    server.heads[ORIGIN] = Checkpoint(ORIGIN, 1_000, bytes(32))
    assert isinstance(cosign(journal, server), Conflict)


def test_unknown_logs_and_keys_are_refused(journal: Journal, server: WitnessServer) -> None:
    """404 and 403 are for the operators to settle."""
    keys = server.keys.pop(ORIGIN)
    assert isinstance(cosign(journal, server), Refused)
    server.keys[ORIGIN] = [COSIGNER.key]
    assert isinstance(cosign(journal, server), Refused)
    server.keys[ORIGIN] = keys
    assert isinstance(cosign(journal, server), NoteSignature)


def forged(_: bytes) -> Answer:
    return 200, COSIGNER.sign("another text\n", 1).line.encode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (forged, CorruptData),
        (lambda _: (200, b"thank you\n"), InvalidInput),
        (lambda _: (200, b"x" * 2_000_000), InvalidInput),
        (lambda _: (409, b"many\n"), InvalidInput),
        (lambda _: (409, b"0\n"), Conflict),
        (lambda _: (302, b""), Unavailable),
        (lambda _: (500, b"oops"), Unavailable),
    ],
)
def test_bad_answers_store_nothing(
    store: Store,
    journal: Journal,
    server: WitnessServer,
    answer: Callable[[bytes], Answer],
    error: type[LakecoreError],
) -> None:
    """Every answer that is no cosignature of this checkpoint is an error of its own."""
    server.answer = answer
    assert isinstance(cosign(journal, server), error)
    assert not list(store.list_objects(f"journal/checkpoints/{300:020d}.witness/"))


def test_a_witness_that_changes_its_mind(journal: Journal, server: WitnessServer) -> None:
    """It names another size each time: the tries are bounded."""
    sizes = iter(range(1, 100))
    server.answer = lambda _: (409, b"%d\n" % next(sizes))
    assert isinstance(cosign(journal, server), Conflict)
    assert next(sizes) == 4


def test_a_witness_that_is_silent(journal: Journal) -> None:
    """Nobody listens, or listens and says nothing, or drips: an error within the bound."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = WitnessClient(Witness(COSIGNER.name, COSIGNER.vkey, url), timeout_s=0.2)
        head = journal.prover.latest()
        assert head is not None
        started = time.monotonic()
        with pytest.raises(Unavailable):
            client.submit(head.note, head.size, lambda _: [])

        def drip() -> None:
            connection, _ = listener.accept()
            connection, _ = listener.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                for _ in range(20):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Unavailable):
            client.submit(head.note, head.size, lambda _: [])
        thread.join()
        assert time.monotonic() - started < 5
    with pytest.raises(Unavailable):
        client.submit(head.note, head.size, lambda _: [])


def test_one_bad_witness_keeps_nobody_from_the_others(
    journal: Journal, server: WitnessServer
) -> None:
    """Each has its own result."""
    bad = Witness(
        "nobody.example/w", Cosigner("nobody.example/w", bytes(32)).vkey, "http://[::1]:9"
    )
    results = journal.cosign([bad, witness(server)])
    assert isinstance(results[bad.name], Unavailable)
    assert isinstance(results[COSIGNER.name], NoteSignature)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "witness.example",
        "http://witness.example/",
        "http://127.0.0.1.example/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://user:secret@witness.example/",
        "https://witness.example/?q=1",
        "https://witness.example:99999/",
        "http://[::1/",
        "https:///path",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    """https, or http to this machine; the error shows no password."""
    with pytest.raises(InvalidInput) as caught:
        WitnessClient(Witness(COSIGNER.name, COSIGNER.vkey, url))
    assert "secret" not in str(caught.value)


def test_the_key_must_be_the_witness_s() -> None:
    """A log's key, or another witness's, is a mistake in the settings."""
    from lakecore.tlog import Signer

    for vkey in (Signer(COSIGNER.name, bytes(32)).vkey, Cosigner("other", bytes(32)).vkey, "x"):
        with pytest.raises(InvalidInput):
            WitnessClient(Witness(COSIGNER.name, vkey, "https://witness.example/"))
