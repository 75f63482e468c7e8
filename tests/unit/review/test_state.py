"""The table of a finding's life, held against its rules."""

from __future__ import annotations

import itertools

import pytest

from lakecore.base import Bug
from lakecore.review import OPEN, Sign, State, confirmed_score, next_state
from lakecore.review._state import can

SIGNS = (Sign.OBSERVED, Sign.SAME, Sign.CHANGED, Sign.GONE)


def test_every_state_takes_every_sign_of_a_review() -> None:
    """The table has no hole for what reviews say."""
    for state, sign in itertools.product(State, SIGNS):
        assert can(state, sign), (state, sign)


def test_only_a_confirmation_confirms_and_only_a_claim() -> None:
    """There is one way to confirmed_fixed."""
    ways = [
        (state, sign)
        for state, sign in itertools.product(State, Sign)
        if can(state, sign)
        and next_state(state, sign) is State.CONFIRMED_FIXED
        and state is not State.CONFIRMED_FIXED
    ]
    assert ways == [(State.CLAIMED_FIXED, Sign.CONFIRMED)]


def test_what_is_not_seen_again_is_not_fixed() -> None:
    """An open finding whose code is as it was stays open."""
    for state in OPEN:
        assert next_state(state, Sign.SAME) is State.NOT_REOBSERVED


@pytest.mark.parametrize("sign", [Sign.OBSERVED, Sign.SAME])
def test_a_fix_that_is_gone_is_reopened(sign: Sign) -> None:
    """Seen again, or its code back: reopened."""
    assert next_state(State.CONFIRMED_FIXED, sign) is State.REOPENED


def test_what_cannot_be_is_a_bug() -> None:
    """A sign that has no place in a state is a bug."""
    with pytest.raises(Bug):
        next_state(State.NEW, Sign.CONFIRMED)


def test_the_score_moves_by_confirmed_fixes_alone() -> None:
    """Of all states only one earns points."""
    for states in itertools.product(State, repeat=3):
        score = confirmed_score(3, [(state, "major") for state in states])
        assert score == 3 + states.count(State.CONFIRMED_FIXED)
    assert confirmed_score(9.5, [(State.CONFIRMED_FIXED, "critical")]) == 10
