"""Which names and pages a console answers to: the table of who is let near."""

from __future__ import annotations

import pytest

from lakecore.base import InvalidInput
from lakecore.console import ConsoleSettings, Origins

HERE = "127.0.0.1:3950"


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:3950", True),
        ("localhost:3950", True),
        ("LOCALHOST:3950", True),
        ("[::1]:3950", True),
        ("localhost", False),
        ("localhost:3951", False),
        ("127.0.0.1:3100", False),
        ("127.0.0.1.lake.example:3950", False),
        ("lake.example:3950", False),
        ("localhost:3950@lake.example", False),
        ("localhost:3950, lake.example", False),
        ("0.0.0.0:3950", False),
        ("", False),
    ],
)
def test_on_loopback_only_names_of_this_machine_are_ours(host: str, ours: bool) -> None:
    """A name that was pointed at it (DNS rebinding) is not."""
    assert Origins(ConsoleSettings(), port=3950).is_host(host) is ours


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("10.1.2.3:3950", True),
        ("[2001:db8::1]:3950", True),
        ("10.1.2.3", False),
        ("10.1.2.3:80", False),
        ("lake.example", True),
        ("lake.example:443", False),
        ("other.example", False),
        ("other.example:3950", False),
    ],
)
def test_in_a_network_addresses_and_its_own_name_are_ours(host: str, ours: bool) -> None:
    """Nobody can point an address elsewhere; a name has to be set."""
    settings = ConsoleSettings(host="0.0.0.0", url="https://lake.example")
    assert Origins(settings, port=3950).is_host(host) is ours


@pytest.mark.parametrize(
    ("method", "origin", "site", "let_in"),
    [
        ("GET", None, None, True),
        ("GET", None, "same-origin", True),
        ("GET", None, "none", True),
        ("GET", None, "same-site", False),
        ("GET", None, "cross-site", False),
        ("GET", "http://127.0.0.1:3950", "same-origin", True),
        ("GET", "http://127.0.0.1:8080", None, False),
        ("POST", "http://127.0.0.1:3950", "same-origin", True),
        ("POST", "http://127.0.0.1:3950", None, True),
        ("POST", None, "same-origin", True),
        ("POST", None, None, False),
        ("POST", None, "none", False),
        ("POST", "null", None, False),
        ("POST", "", None, False),
        ("POST", "http://localhost:3950", "same-site", False),
        ("POST", "https://127.0.0.1:3950", "same-origin", False),
        ("POST", "http://lake.example", "cross-site", False),
        ("DELETE", "http://127.0.0.1:3950", "cross-site", False),
    ],
)
def test_only_our_own_pages_ask_for_data(
    method: str, origin: str | None, site: str | None, let_in: bool
) -> None:
    """The cookie comes with requests of other ports of this machine, too: it is not enough."""
    found = Origins(ConsoleSettings(), port=3950).refusal(method, HERE, origin, site)
    assert (found is None) is let_in


def test_behind_a_proxy_its_origin_is_ours() -> None:
    """And the cookie is for https alone."""
    origins = Origins(ConsoleSettings(url="https://lake.example/"), port=3950)
    assert origins.is_secure
    assert origins.is_host("lake.example")
    assert origins.refusal("POST", "lake.example", "https://lake.example", None) is None
    assert origins.refusal("POST", "lake.example", "https://lake.example:8443", None)
    assert not Origins(ConsoleSettings(), port=3950).is_secure


@pytest.mark.parametrize("url", ["lake.example", "ftp://lake.example", "https://", "https://a/b"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    """Before anything listens."""
    with pytest.raises(InvalidInput, match=r"console.*url"):
        Origins(ConsoleSettings(url=url), port=3950)
