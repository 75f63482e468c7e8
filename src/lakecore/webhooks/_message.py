"""Events as messages: which ones go together, and the bytes that are signed. No I/O.

A stretch of the log between two cursors is cut into messages of at most so many events and
bytes. The cut depends on nothing but the events and the subscription, so that an attempt
after a crash sends the same messages under the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.base import uuid8
from lakecore.base.limits import KIB

if TYPE_CHECKING:
    from lakecore.journal import Event
    from lakecore.webhooks._webhook import Webhook

TYPE: Final = "journal.events"
TEST_TYPE: Final = "webhook.test"
MAX_EVENTS: Final = 100
MAX_BYTES: Final = 256 * KIB
MAX_VALUE_BYTES: Final = 16 * KIB
"""Longer values are told by their length and SHA-256: whoever needs them asks the lake."""

_VALUES: Final = ("old_value", "new_value", "context")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one request carries.

    Attributes:
        id: the same whenever these events are sent to this subscription.
        events: how many are in it.
        is_last: of its stretch.
    """

    id: str
    body: bytes
    events: int
    is_last: bool = True


def messages(webhook: Webhook, lake_id: str, events: Sequence[Event], cursor: str) -> list[Message]:
    """A stretch of the log, all of whose events are for a subscription, as messages in order.

    Args:
        cursor: behind the stretch; it is told with the last message.
    """
    groups = list(_groups(events))
    return [
        _message(webhook, lake_id, group, cursor if index + 1 == len(groups) else None)
        for index, group in enumerate(groups)
    ]


def trial(webhook: Webhook, lake_id: str, at: str) -> Message:
    """A message that is about nothing, to see whether one arrives."""
    data = {"lake": lake_id, "webhook": webhook.id}
    body = msgspec.json.encode({"type": TEST_TYPE, "timestamp": at, "data": data})
    return Message(id=f"msg_{uuid8('webhook test', webhook.id, at)}", body=body, events=0)


def _groups(events: Sequence[Event]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size_bytes = 0
    for event in events:
        told = _told(event)
        length = len(msgspec.json.encode(told))
        if group and (len(group) >= MAX_EVENTS or size_bytes + length > MAX_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append(told)
        size_bytes += length
    if group:
        yield group


def _message(
    webhook: Webhook, lake_id: str, events: list[dict[str, Any]], cursor: str | None
) -> Message:
    first, last = events[0]["seq"], events[-1]["seq"]
    document = {
        "type": TYPE,
        "timestamp": events[-1]["timestamp"],
        "data": {
            "lake": lake_id,
            "webhook": webhook.id,
            "first_seq": first,
            "last_seq": last,
            "cursor": cursor,
            "events": events,
        },
    }
    # Filters that changed make other messages of the same stretch: hence the hash.
    body = msgspec.json.encode(document)
    digest = hashlib.sha256(body).hexdigest()
    name = uuid8("webhook", webhook.id, lake_id, str(first), str(last), digest)
    return Message(id=f"msg_{name}", body=body, events=len(events), is_last=cursor is not None)


def _told(event: Event) -> dict[str, Any]:
    """An event as `/journal/events` has it, long values left out."""
    row = event.to_dict()
    left_out = {}
    for name in _VALUES:
        value = row[name]
        if isinstance(value, str) and len(value) * 4 > MAX_VALUE_BYTES:
            data = value.encode()
            if len(data) > MAX_VALUE_BYTES:
                left_out[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                row[name] = None
    return {**row, "left_out": left_out} if left_out else row
