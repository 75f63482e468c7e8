"""Addresses, signatures, filters, messages and retries: what needs no network."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput, Refused, UnsupportedFormat
from lakecore.journal import Event
from lakecore.webhooks import Allowed, Webhook, signed_headers
from lakecore.webhooks import _message as message
from lakecore.webhooks._address import check_addresses, check_url
from lakecore.webhooks._retry import LONGEST_S, NO_TROUBLE, Trouble, after_failure, is_over
from lakecore.webhooks._sign import derived, parse_secret, secret_text

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "192.0.2.1",
    "::",
    "::1",
    "fe80::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::7f00:1",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::",
]
OUTSIDE = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
WEBHOOK = Webhook(
    id="wh-0123456789abcdef",
    url="https://crm.example/in?token=x",
    secret="machine:1",
    machine="0" * 16,
    cursor="c",
    created_us=1,
    enabled_us=1,
)


def event(**given: object) -> Event:
    """An event of planes."""
    fields: dict[str, object] = {
        "seq": 7,
        "timestamp": datetime(2026, 1, 31, tzinfo=UTC),
        "entity_type": "plane",
        "entity_id": "N1",
        "action": "update",
        "dataset": "planes",
        "dataset_id": "d1",
        "version": 3,
    }
    return Event(**{**fields, **given})  # type: ignore[arg-type]  # as the test says


# -- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", INSIDE)
@pytest.mark.parametrize("is_plain", [True, False])
def test_addresses_of_the_inside_are_refused(text: str, is_plain: bool) -> None:
    """Also those that IPv6 wraps: mapped, compatible, 6to4, NAT64."""
    with pytest.raises(Refused):
        check_addresses([ipaddress.ip_address(text)], Allowed(), is_plain=is_plain)


@pytest.mark.parametrize("text", OUTSIDE)
def test_addresses_of_the_internet_take_https_alone(text: str) -> None:
    """What happened in a lake does not go there in clear text."""
    address = ipaddress.ip_address(text)
    assert check_addresses([address], Allowed(), is_plain=False) == [address]
    with pytest.raises(Refused, match="http goes to allowed networks alone"):
        check_addresses([address], Allowed.parse("10.0.0.0/8"), is_plain=True)


def test_one_bad_address_spoils_a_name() -> None:
    """A name that points outside and inside is refused whole."""
    both = [ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("127.0.0.1")]
    with pytest.raises(Refused) as caught:
        check_addresses(both, Allowed(), is_plain=False)
    assert "127.0.0.1" not in str(caught.value.to_dict())


def test_a_setting_allows_networks() -> None:
    """Those, by http as well, also when IPv6 wraps them; and no others."""
    allowed = Allowed.parse("10.1.0.0/16,fd00::/8")
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        check_addresses([ipaddress.ip_address(text)], allowed, is_plain=True)
    with pytest.raises(Refused):
        check_addresses([ipaddress.ip_address("10.2.0.1")], allowed, is_plain=False)
    with pytest.raises(InvalidInput, match="not a list of networks"):
        Allowed.parse("10.1.0.0/16; rm")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example",
        "ftp://crm.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:hunter2@crm.example/",
        "https://hunter2@crm.example/",
        "https://crm.example:0/",
        "https://crm.example:99999/",
        "https://crm.example/\r\nx: y",
        "https://crm.example/a b",
        "https://crm.example/#part",
        "https://münchen.example/",
        "https://crm.example/" + "x" * 2_000,
        "https://[::1",
    ],
)
def test_bad_urls(url: str) -> None:
    """Refused, and not quoted: there may be a password in it."""
    with pytest.raises(InvalidInput) as caught:
        check_url(url, Allowed())
    assert "hunter2" not in str(caught.value.to_dict())


@pytest.mark.parametrize(
    "url", ["http://crm.example/", "https://127.0.0.1/", "https://[::1]:8443/x", "https://10.0.0.1"]
)
def test_urls_that_go_where_nothing_may(url: str) -> None:
    """As far as it shows by itself; the rest is seen when it is connected to."""
    with pytest.raises(Refused):
        check_url(url, Allowed())


@given(st.text(max_size=80))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    """Nothing but the two errors comes of it."""
    with suppress(InvalidInput, Refused):
        assert check_url(text, Allowed()).startswith("https://")


# -- signatures --------------------------------------------------------------------------


def test_signatures_are_those_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", where="test")
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret]
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_derived_secret_stays_what_it_is() -> None:
    """Receivers have it: a release that derives another one would lock all of them out."""
    secret = derived(bytes(range(32)), "wh-0123456789abcdef", 1)
    assert secret_text(secret) == "whsec_Bp6lYOzAADs+l77Ffap2+M2nsIb3IE4HNEc/iiG/ISA="
    info = b"lakecore webhook 1\0wh-0123456789abcdef\x001"
    assert secret == HKDFExpand(SHA256(), 32, info).derive(bytes(range(32)))
    others = {derived(bytes(range(32)), "wh-0123456789abcdef", 2), derived(bytes(32), "x", 1)}
    assert secret not in others


@pytest.mark.parametrize("text", ["", "whsec_c2hvcnQ=", "whsec_***", "a" * 400])
def test_what_is_no_secret_is_not_quoted(text: str) -> None:
    """The error says what is expected, not what was found."""
    with pytest.raises(InvalidInput) as caught:
        parse_secret(text, where="file:crm")
    assert not text or text not in str(caught.value.to_dict())


@given(st.binary(min_size=24, max_size=64))
def test_secrets_survive_their_text(secret: bytes) -> None:
    """With and without the prefix."""
    assert parse_secret(secret_text(secret), where="x") == secret
    assert parse_secret(base64.b64encode(secret).decode() + "\n", where="x") == secret


# -- filters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "given", "is_wanted"),
    [
        ({}, {}, True),
        ({}, {"dataset": "system.documents"}, False),
        ({}, {"dataset": "", "dataset_id": "", "version": None}, True),
        ({}, {"workspace_id": "trial", "version": None}, False),
        ({}, {"workspace_id": "trial", "version": 3}, True),
        ({"datasets": ("planes",)}, {}, True),
        ({"datasets": ("plane*",)}, {"dataset": "hr.planes"}, False),
        ({"datasets": ("hr.*",)}, {"dataset": "hr.staff"}, True),
        ({"datasets": ("*",)}, {"dataset": "system.documents"}, True),
        ({"datasets": ("system.documents",)}, {"dataset": "system.documents"}, True),
        ({"datasets": ("s*.*",)}, {"dataset": "system.documents"}, False),
        ({"datasets": ("planes",)}, {"dataset": ""}, False),
        ({"entity_types": ("plane",)}, {}, True),
        ({"entity_types": ("pilot",)}, {}, False),
        ({"actions": ("insert", "update")}, {}, True),
        ({"actions": ("insert",)}, {}, False),
    ],
)
def test_which_events_are_for_it(
    filters: dict[str, object], given: dict[str, object], is_wanted: bool
) -> None:
    """Globs as in scopes; the lake's own tables only where they are spelled."""
    webhook = replace(WEBHOOK, **filters)  # type: ignore[arg-type]  # as the test says
    assert webhook.chooser()(event(**given)) is is_wanted


def test_documents_come_back_whole() -> None:
    """And what is damaged, or newer, is no webhook."""
    from lakecore.documents import Document
    from lakecore.webhooks._webhook import read_webhook

    def stored(body: dict[str, object] | None) -> Document:
        record: object = None
        return Document(
            kind="webhooks",
            name=WEBHOOK.id,
            version=4,
            body=body,
            record=record,  # type: ignore[arg-type]  # not looked at
        )

    full = replace(
        WEBHOOK,
        datasets=("a", "hr.*"),
        previous="env:LAKECORE_WEBHOOK_OLD",
        previous_until_us=9,
        disabled_us=8,
        disabled_why="gone",
        version=4,
    )
    assert read_webhook(stored(json.loads(json.dumps(full.to_body())))) == full
    assert full.origin == "https://crm.example"
    with pytest.raises(UnsupportedFormat):
        read_webhook(stored({**full.to_body(), "format": 2}))
    for name in set(full.to_body()) - {"format"}:
        with pytest.raises(CorruptData):
            read_webhook(stored({k: v for k, v in full.to_body().items() if k != name}))
        with pytest.raises(CorruptData):
            read_webhook(stored({**full.to_body(), name: object()}))


# -- messages ----------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(0, 60_000), max_size=150))
def test_every_event_is_in_one_message(sizes: list[int]) -> None:
    """In order, whatever their sizes; messages are bounded, and the same every time."""
    events = [event(seq=seq, new_value=json.dumps("x" * size)) for seq, size in enumerate(sizes)]
    found = message.messages(WEBHOOK, "lake", events, "behind")
    told = [one for each in found for one in json.loads(each.body)["data"]["events"]]
    assert [one["seq"] for one in told] == list(range(len(events)))
    assert all(each.events <= message.MAX_EVENTS for each in found)
    assert all(len(each.body) < message.MAX_BYTES + 128 * 1_024 for each in found)
    assert found == message.messages(WEBHOOK, "lake", events, "behind")
    assert len({each.id for each in found}) == len(found)
    cursors = [json.loads(each.body)["data"]["cursor"] for each in found]
    assert cursors == [None] * (len(found) - 1) + ["behind"] * bool(found)


def test_long_values_are_told_by_their_hash() -> None:
    """A receiver that needs one asks the lake."""
    long = json.dumps("x" * 20_000)
    (one,) = message.messages(WEBHOOK, "lake", [event(new_value=long, old_value='"y"')], "c")
    (told,) = json.loads(one.body)["data"]["events"]
    assert (told["new_value"], told["old_value"]) == (None, '"y"')
    assert told["left_out"]["new_value"]["bytes"] == len(long)


# -- retries -----------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**13),
            st.floats(0, 1),
            st.none() | st.floats(0, 10**9),
        ),
        max_size=60,
    )
)
def test_waits_are_bounded(attempts: Sequence[tuple[int, float, float | None]]) -> None:
    """Whatever the clock does and the receiver asks for; the first failure is remembered."""
    trouble = NO_TROUBLE
    for now_us, chance, asked_s in attempts:
        trouble = after_failure(trouble, now_us, chance=chance, retry_after_s=asked_s)
        assert 1.0 <= trouble.wait_s(now_us) <= LONGEST_S
        assert 0 <= trouble.wait_s(0) <= LONGEST_S
    assert trouble.attempts == len(attempts)
    assert trouble.since_us == (attempts[0][0] if attempts else None)


def test_waits_grow_and_are_spread() -> None:
    """Twice as long each time, half of it by chance; what a receiver asks for is honoured."""
    trouble, waits = NO_TROUBLE, []
    for _ in range(14):
        trouble = after_failure(trouble, 0, chance=1.0)
        waits.append(trouble.wait_s(0))
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_S
    assert after_failure(NO_TROUBLE, 0, chance=0.0).wait_s(0) == 1.0
    assert after_failure(NO_TROUBLE, 0, chance=0.0, retry_after_s=90).wait_s(0) == 90


def test_it_ends_after_the_declared_time() -> None:
    """Counted from the first failure."""
    trouble = Trouble(attempts=3, since_us=1_000_000, next_us=0)
    assert not is_over(trouble, 60_000_000, give_up_s=60)
    assert is_over(trouble, 61_000_000, give_up_s=60)
    assert not is_over(NO_TROUBLE, 10**15, give_up_s=0)
