"""What a gateway that has just begun to serve enforces: each line is what a probe found."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lakecore.base import LakecoreError

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.gateway import GatewaySettings

_TIMEOUT_S: Final = 10.0
_ATTEMPTS: Final = 4
_PAUSE_S: Final = 0.25
_LATER: Final = (429, 503)
_STRANGER: Final = "lake.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforced:
    """One probe.

    Attributes:
        name: of the probe: ``keys``, ``limits``, ``store``, ``signing``, ``sealing``, ``rules``,
            ``webhooks``, ``traces``.
        ok: whether it holds; False is worth an operator's look.
        text: what was found, one sentence.
        is_fatal: nobody should be served while this does not hold.
    """

    name: str
    ok: bool
    text: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class Answering:
    """How a gateway is asked over its own socket."""

    url: str

    def status(self, method: str, path: str, headers: dict[str, str] | None = None) -> int:
        """The status that somebody without a key gets."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_TIMEOUT_S
        )
        try:
            connection.putrequest(method, path, skip_host=True)
            sent = {"Host": f"localhost:{address.port}", **(headers or {})}
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()


def probe_all(
    parts: Components, asked: Answering, settings: GatewaySettings, *, asks_for_keys: bool
) -> Iterator[Enforced]:
    """Every probe, one after the other."""
    probes: list[tuple[str, Callable[[], Enforced | None]]] = [
        ("keys", lambda: _keys(asked, asks_for_keys=asks_for_keys)),
        ("limits", lambda: _limits(asked, settings)),
        ("store", lambda: _store(parts)),
        ("signing", lambda: _signing(parts)),
        ("sealing", lambda: _sealing(parts)),
        ("rules", lambda: _rules(parts)),
        ("webhooks", lambda: _webhooks(parts)),
        ("traces", lambda: _traces(parts)),
    ]
    for name, probe in probes:
        try:
            found = probe()
        except Exception as error:  # whatever it is, it is no pass, and the others are tried
            told = error.message if isinstance(error, LakecoreError) else type(error).__name__
            # What cannot be asked may be open.
            fatal = name == "keys" and asks_for_keys
            text = f"could not be probed: {told}"
            found = Enforced(name=name, ok=False, text=text, is_fatal=fatal)
        if found is not None:
            yield found


def _keys(asked: Answering, *, asks_for_keys: bool) -> Enforced:
    status = _patiently(asked)
    if asks_for_keys:
        if status in _LATER:
            # Nobody was let in: it has too much to do to say so.
            text = f"could not be probed: the answer is {status}"
            return Enforced(name="keys", ok=False, text=text)
        if status == 401:
            text = "API keys are asked for: without one the answer is 401"
            return Enforced(name="keys", ok=True, text=text)
        text = f"THE GATEWAY LETS IN WHO HAS NO KEY: expected 401, found {status}"
        return Enforced(name="keys", ok=False, text=text, is_fatal=True)
    stranger = asked.status("GET", "/ready", {"Host": _STRANGER})
    if stranger not in (403, *_LATER):
        text = f"A PAGE OF ANOTHER SITE WOULD BE LET IN: expected 403, found {stranger}"
        return Enforced(name="keys", ok=False, text=text, is_fatal=True)
    text = (
        "NO KEY IS ASKED FOR: everybody on this machine may do everything; "
        "[auth] enabled = true asks (other names for it are refused: 403)"
    )
    return Enforced(name="keys", ok=True, text=text)


def _patiently(asked: Answering) -> int:
    """What somebody without a key gets, of a gateway that may be busy from its first moment."""
    for attempt in range(_ATTEMPTS):
        is_last = attempt + 1 == _ATTEMPTS
        try:
            status = asked.status("GET", "/ready")
            if status not in _LATER or is_last:
                return status
        except (OSError, http.client.HTTPException):
            if is_last:
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError


def _limits(asked: Answering, settings: GatewaySettings) -> Enforced:
    too_long = {"Content-Length": str(settings.max_body_bytes + 1)}
    status = asked.status("POST", "/journal/events", too_long)
    limit = f"{settings.max_body_bytes:,} bytes"
    if status == 413:
        return Enforced(name="limits", ok=True, text=f"bodies beyond {limit} are refused: 413")
    text = f"BODIES BEYOND {limit} ARE NOT REFUSED: expected 413, found {status}"
    return Enforced(name="limits", ok=False, text=text)


def _store(parts: Components) -> Enforced | None:
    if parts.store.local_path("journal/log") is not None:
        # Names are made by the file system's own link, which tests hold; no disk is probed.
        return None
    from lakecore.storage import probe_create_only

    found = probe_create_only(parts.store)
    if found.is_create_only:
        text = f"the store makes an object only once: {found.winners} of 8 writers at once won"
        return Enforced(name="store", ok=True, text=text)
    text = (
        f"THE STORE MAKES AN OBJECT TWICE ({found.winners} of 8 won): one process alone may write"
    )
    return Enforced(name="store", ok=False, text=text)


def _signing(parts: Components) -> Enforced:
    if not parts.settings.journal.checkpoint:
        text = "NOTHING IS SIGNED HERE: [journal] checkpoint = false"
        return Enforced(name="signing", ok=False, text=text)
    if not parts.journal.ensure_key():
        text = "NOTHING IS SIGNED HERE: this machine has no key of the lake's log"
        return Enforced(name="signing", ok=False, text=text)
    key = parts.journal.signing_keys()[-1]["key_id"]
    return Enforced(name="signing", ok=True, text=f"what is sealed is signed, by the key {key}")


def _sealing(parts: Components) -> Enforced:
    stats = parts.journal.stats()
    unreadable = stats["pending"]["unreadable"]
    if unreadable or stats["last_seal_error"] is not None:
        told = stats["last_seal_error"] or unreadable[0]
        return Enforced(name="sealing", ok=False, text=f"SEALING FAILS: {told}")
    text = f"{stats['tree_size']:,} events are sealed, {stats['buffer_events']:,} wait"
    return Enforced(name="sealing", ok=True, text=text)


def _rules(parts: Components) -> Enforced:
    rules = parts.rules.current()
    if not rules.rules:
        text = "NO RULES ARE IN FORCE: whoever may write may write anything"
        return Enforced(name="rules", ok=True, text=text)
    tests = rules.run_tests()
    failed = [test.name for test in tests if not test.passed]
    named = f"version {rules.version}, {len(rules.rules)} rules"
    if failed:
        text = f"A TEST OF THE RULES FAILS ({named}): {failed[0]}"
        return Enforced(name="rules", ok=False, text=text)
    text = f"rules are in force: {named}; their {len(tests)} tests pass"
    return Enforced(name="rules", ok=True, text=text)


def _webhooks(parts: Components) -> Enforced | None:
    webhooks = parts.webhooks.list_webhooks()
    if not webhooks:
        return None
    mine = parts.webhooks.machine.fingerprint()
    here = [webhook for webhook in webhooks if webhook.machine == mine and webhook.is_enabled]
    without = [webhook.id for webhook in here if not _has_secret(parts, webhook)]
    counted = f"{len(here)} of {len(webhooks)} webhooks are delivered from here"
    if parts.deliverer is None:
        text = "webhooks are not delivered from here: [webhooks] deliver = false"
        return Enforced(name="webhooks", ok=True, text=text)
    if without:
        text = f"{counted}; WITHOUT A SECRET, AND SO NOT: {', '.join(without)}"
        return Enforced(name="webhooks", ok=False, text=text)
    return Enforced(name="webhooks", ok=True, text=counted)


def _has_secret(parts: Components, webhook: Any) -> bool:
    try:
        return bool(parts.webhooks.machine.signing(webhook, parts.clock.now_us()))
    except LakecoreError:
        return False


def _traces(parts: Components) -> Enforced | None:
    if not parts.traces.is_on:
        return None
    found = parts.traces.probe()
    host = urlsplit(parts.settings.gateway.otlp_endpoint).hostname
    if found == "ok":
        return Enforced(name="traces", ok=True, text=f"traces are taken by {host}")
    return Enforced(name="traces", ok=False, text=f"TRACES ARE LOST: {host}: {found}")
