"""Verdicts as the judges give them: with a reason, and the evidence for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lakecore.auditor._facts import MAX_EVIDENCE
from lakecore.auditor._model import Bound, Evidence, Verdict

Judgement = tuple[Verdict, str, tuple[Evidence, ...]]

_ABOUT_SHARE: Final = 0.34


def backed(reason: str, evidence: Iterable[Evidence] = ()) -> Judgement:
    return Verdict.BACKED, reason, tuple(evidence)[:MAX_EVIDENCE]


def contradicted(reason: str, evidence: Iterable[Evidence] = ()) -> Judgement:
    return Verdict.CONTRADICTED, reason, tuple(evidence)[:MAX_EVIDENCE]


def unverifiable(reason: str, evidence: Iterable[Evidence] = ()) -> Judgement:
    return Verdict.UNVERIFIABLE, reason, tuple(evidence)[:MAX_EVIDENCE]


def fits(bound: Bound, said: int, found: int) -> bool:
    """Whether a number that was found is what was said.

    >>> fits(Bound.AT_LEAST, 3, 5), fits(Bound.ABOUT, 10, 12), fits(Bound.EXACT, 3, 5)
    (True, True, False)
    """
    if bound is Bound.AT_LEAST:
        return found >= said
    if bound is Bound.AT_MOST:
        return found <= said
    if bound is Bound.ABOUT:
        return abs(found - said) <= max(1, said * _ABOUT_SHARE)
    return found == said
