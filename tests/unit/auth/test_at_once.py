"""A key that is known is let in without a wait; whatever else comes is asked about."""

from __future__ import annotations

import pytest
from tests.fakes.seconds import Seconds
from tests.unit.auth.test_keys import make

from lakecore.auth import Keys
from lakecore.auth._known import REFRESH_S
from lakecore.auth._last_used import INTERVAL_S
from lakecore.base import Unauthenticated
from lakecore.journal import Author

OWNER = Author(actor="ada", source="test", reason="")


def test_a_known_key_is_let_in_at_once(keys: Keys, seconds: Seconds) -> None:
    """After it was asked about once, while what is known is fresh."""
    made = make(keys)
    assert keys.at_once(made.text) is None
    assert keys.authenticate(made.text) == made.key.principal
    assert keys.at_once(made.text) == made.key.principal
    seconds.now_s += REFRESH_S
    assert keys.at_once(made.text) is None
    keys.authenticate(made.text)
    assert keys.at_once(made.text) == made.key.principal


def test_a_use_that_is_to_be_noted_is_asked_about(keys: Keys, seconds: Seconds) -> None:
    """Once a minute: that goes to the disk."""
    made = make(keys)
    keys.authenticate(made.text)
    for _ in range(2):
        seconds.now_s += INTERVAL_S
        keys._known.look()
        assert keys.at_once(made.text) is None
        keys.authenticate(made.text)


@pytest.mark.parametrize("what", ["none", "text", "other", "revoked"])
def test_what_opens_nothing_is_never_let_in_at_once(keys: Keys, what: str) -> None:
    """`authenticate` says so, and counts it."""
    made, other = make(keys), make(keys)
    keys.authenticate(made.text)
    text: str | None = {"none": None, "text": "lc_x", "other": other.text[:-1] + "!"}.get(what)
    if what == "revoked":
        keys.revoke(made.key.id, author=OWNER)
        text = made.text
    assert keys.at_once(text) is None
    with pytest.raises(Unauthenticated):
        keys.authenticate(text)
