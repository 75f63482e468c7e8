"""What trust in models decides: in which order they are asked. Pure.

Of a model that little is known of nothing follows: it keeps its place, and the others change
places among themselves (`TrustProfile.is_known` says of how much).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from lakecore.review._trust import TrustProfile

_T = TypeVar("_T")


def known_trust(profiles: Iterable[TrustProfile]) -> Mapping[str, float]:
    """By model, how far it is trusted; without those that little is known of."""
    return {one.model: one.trust for one in profiles if one.is_known}


def in_order(
    rungs: Sequence[_T], trust: Mapping[str, float], model_of: Callable[[_T], str]
) -> list[_T]:
    """The rungs, those of known models by trust on the places that they have together.

    Equals, and rungs of one model, stay in the order that they are given in.
    """
    places = [at for at, rung in enumerate(rungs) if model_of(rung) in trust]
    best = sorted((rungs[at] for at in places), key=lambda rung: -trust[model_of(rung)])
    ordered = list(rungs)
    for at, rung in zip(places, best, strict=True):
        ordered[at] = rung
    return ordered
