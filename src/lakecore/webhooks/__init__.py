"""Webhooks: sealed events of the journal, posted to whoever asked for them.

    document (who, which events) -> tail of the journal, from a cursor -> messages, signed
                                                                             |
    machine's state: cursor, what failed <- delivered, or tried again later <- one at a time

Each subscription gets its events in order and at least once, also across a kill: see `_deliver`
for the life of a message. Messages and signatures are those of Standard Webhooks.

==============  ======================================================================
`_webhook`      a subscription: its document, and which events are for it (pure)
`_webhooks`     making, rotating, enabling, removing; journaled
`_machine`      this machine's key; secrets by their references
`_sign`         secrets and signatures (pure)
`_address`      which URLs and addresses may be sent to (pure)
`_message`      events as messages (pure)
`_retry`        when it is tried again, and when no more (pure)
`_send`         one request, bounded, to a checked address
`_state`        how far each was delivered by this machine
`_deliver`      the thread that delivers
==============  ======================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.base import SystemClock
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Author, Journal
>>> from lakecore.storage import open_store
>>> from lakecore.webhooks import Allowed, Machine, Webhooks
>>> store = open_store("memory://"); state = Path(mkdtemp()); ada = Author(actor="ada")
>>> journal = Journal.open(store, state, origin="lake.example/1")
>>> webhooks = Webhooks(
...     Documents(store, journal), journal, SystemClock(), Machine(state), allowed=Allowed())
>>> made = webhooks.create("https://crm.example/in", datasets=["planes"], author=ada)
>>> made.webhook.secret, made.secret.startswith("whsec_")
('machine:1', True)
>>> webhooks.create("https://169.254.169.254/", author=ada)  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
lakecore.base.errors.Refused: the target is not on the public internet
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.webhooks._address import Allowed
from lakecore.webhooks._machine import Machine
from lakecore.webhooks._message import trial
from lakecore.webhooks._sign import signed_headers
from lakecore.webhooks._state import DeliveryState
from lakecore.webhooks._webhook import Webhook
from lakecore.webhooks._webhooks import NewSecret, Webhooks

if TYPE_CHECKING:
    from lakecore.webhooks._deliver import Deliverer, DeliverySettings
    from lakecore.webhooks._send import Outcome, Sender

_HOME = {
    "Deliverer": "_deliver",
    "DeliverySettings": "_deliver",
    "Outcome": "_send",
    "Sender": "_send",
}

__all__ = [
    "Allowed",
    "Deliverer",
    "DeliverySettings",
    "DeliveryState",
    "Machine",
    "NewSecret",
    "Outcome",
    "Sender",
    "Webhook",
    "Webhooks",
    "signed_headers",
    "trial",
]

# asyncio and the HTTP client are imported by who delivers.
__getattr__ = lazy_exports(__name__, _HOME)
