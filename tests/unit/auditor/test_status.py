"""Commit statuses sent to a real server on loopback: what is asked, and what is never shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.projects import Step, write_history

from lakecore.auditor import Status, StatusTarget, Tally, Verdict, make_status, send_status
from lakecore.base import InvalidInput, LakecoreError, NotFound, Refused, Unavailable

TOKEN = "secret-token-0123456789"
SHA = "0123456789abcdef0123456789abcdef01234567"


class Forge:
    """A server that answers with the codes it is given and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        forge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                forge.asked.append((self.path, headers, json.loads(body)))
                code, more = forge.answers.pop(0) if forge.answers else (201, {})
                self.send_response(code)
                for name, value in more.items():
                    self.send_header(name, value)
                answer = b'{"message": "you sent ' + TOKEN.encode() + b'"}'
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A forge on loopback."""
    server = Forge()
    yield server
    server.close()


def test_github(forge: Forge) -> None:
    """Path, headers and body as GitHub's API has them."""
    target = StatusTarget(url=f"{forge.url}/repos/o/n/", token=TOKEN, link="https://ci/1")
    send_status(target, Status(SHA, "failure", "2 of 3 commits contradicted"))
    ((path, headers, body),) = forge.asked
    assert path == f"/repos/o/n/statuses/{SHA}"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["content-type"] == "application/json"
    assert body == {
        "state": "failure",
        "description": "2 of 3 commits contradicted",
        "context": "lakecore/auditor",
        "target_url": "https://ci/1",
    }


def test_gitea(forge: Forge) -> None:
    """The same to Gitea, known by its address, with its way to send a token."""
    target = StatusTarget(url=f"{forge.url}/api/v1/repos/o/n", token=TOKEN, context="x")
    send_status(target, Status(SHA, "success", "fine"))
    ((path, headers, body),) = forge.asked
    assert path == f"/api/v1/repos/o/n/statuses/{SHA}"
    assert headers["authorization"] == f"token {TOKEN}"
    assert body == {"state": "success", "description": "fine", "context": "x"}


def test_what_is_worth_it_is_tried_again(forge: Forge) -> None:
    """429 and 5xx, with the wait that is asked for, bounded; then it is sent."""
    forge.answers = [(503, {}), (429, {"Retry-After": "7"}), (500, {"Retry-After": "9999"})]
    waits: list[float] = []
    target = StatusTarget(url=f"{forge.url}/repos/o/n", token=TOKEN)
    send_status(target, Status(SHA, "success", ""), sleep=waits.append)
    assert (len(forge.asked), waits) == (4, [0.5, 7.0, 10.0])


def test_retries_end(forge: Forge) -> None:
    """Four times, then it is unavailable; the same where nobody listens."""
    forge.answers = [(502, {})] * 9
    target = StatusTarget(url=f"{forge.url}/repos/o/n", token=TOKEN)
    with pytest.raises(Unavailable, match="HTTP 502"):
        send_status(target, Status(SHA, "success", ""), sleep=lambda _: None)
    assert len(forge.asked) == 4
    forge.close()
    waits: list[float] = []
    with pytest.raises(Unavailable, match="ConnectError"):
        send_status(target, Status(SHA, "success", ""), sleep=waits.append)
    assert waits == [0.5, 1.0, 2.0]
    forge.__init__()  # type: ignore[misc]  # the fixture closes a server again


@pytest.mark.parametrize(
    ("code", "error"),
    [(401, Refused), (403, Refused), (404, NotFound), (422, InvalidInput), (302, InvalidInput)],
)
def test_a_refusal_is_final_and_says_no_secret(
    forge: Forge, code: int, error: type[LakecoreError]
) -> None:
    """Tried once; neither the error nor a repr has the token, not even if the server says it."""
    forge.answers = [(code, {"Location": f"{forge.url}/elsewhere"})]
    target = StatusTarget(url=f"{forge.url}/repos/o/n", token=TOKEN)
    with pytest.raises(error) as caught:
        send_status(target, Status(SHA, "success", ""))
    assert len(forge.asked) == 1
    assert TOKEN not in f"{caught.value} {caught.value.to_dict()} {target!r} {target}"


@pytest.mark.parametrize(
    ("url", "token", "kind"),
    [
        ("http://forge.example/repos/o/n", TOKEN, ""),
        ("ftp://127.0.0.1/x", TOKEN, ""),
        ("https://user:pass@host/x", TOKEN, ""),
        ("https://host/x?token=1", TOKEN, ""),
        ("nonsense", TOKEN, ""),
        ("https://host/x", "", ""),
        ("https://host/x", "two\nlines", ""),
        ("https://host/x", TOKEN, "other"),
    ],
)
def test_bad_targets_are_refused_before_anything_is_sent(url: str, token: str, kind: str) -> None:
    """In the clear to another machine, no address, no token: never sent."""
    with pytest.raises(InvalidInput) as caught:
        send_status(StatusTarget(url=url, token=token, kind=kind), Status(SHA, "success", ""))
    assert "pass" not in str(caught.value)


def test_states() -> None:
    """Contradicted is a failure, inconclusive an error, everything else a success."""
    states = {v: make_status(SHA, v, Tally()).state for v in Verdict}
    assert states == {
        Verdict.BACKED: "success",
        Verdict.UNVERIFIABLE: "success",
        Verdict.CONTRADICTED: "failure",
        Verdict.INCONCLUSIVE: "error",
    }


def test_command_sends_the_newest_commit_its_status(
    forge: Forge,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The token comes from the variable that is named, and is printed nowhere."""
    from lakecore.cli import root

    steps = [
        Step({"a.md": "1"}, "one"),
        Step({"a.md": "2"}, "Add tests", (0,), whole=False),
    ]
    steps.append(Step({"a.md": "3"}, "three", (1,), whole=False))
    shas = write_history(tmp_path / "r", steps)
    arguments = ["audit", f"{shas[0]}..{shas[2]}", "--repo", str(tmp_path / "r")]
    arguments += ["--status", f"{forge.url}/repos/o/n", "--status-token-env", "FORGE_TOKEN"]
    with pytest.raises(SystemExit) as caught:
        root.main(arguments)
    assert caught.value.code == 2
    assert "environment variable FORGE_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    with pytest.raises(SystemExit) as caught:
        root.main([*arguments, "--status-context", "mine"])
    output = capsys.readouterr()
    assert caught.value.code == 1
    ((path, _, body),) = forge.asked
    assert path.endswith(f"/statuses/{shas[2]}")
    assert (body["state"], body["context"]) == ("failure", "mine")
    assert body["description"] == "1 of 2 commits contradicted"
    assert TOKEN not in output.out + output.err
