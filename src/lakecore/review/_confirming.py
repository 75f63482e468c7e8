"""Blind looks at claimed fixes: as many as the noise asks for, each with a planted fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.review._confirm import BlindReview, Confirmation, FixTest, confirm
from lakecore.review._control import is_found, plant
from lakecore.review._examine import Examined, Text, examine
from lakecore.review._finding import Finding
from lakecore.review._identity import match
from lakecore.review._memory import Tracked
from lakecore.review._noise import Noise
from lakecore.review._ports import Models
from lakecore.review._prompt import Bar

SPARE_LOOKS: Final = 2
"""Looks for each one that is needed, before it is left open: some are asleep or not answered."""


@dataclass(frozen=True, slots=True)
class Look:
    """One blind review, with what was planted in it."""

    examined: Examined
    control_found: bool | None
    found: frozenset[str]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What came of the claims of one file: by finding, and the looks that it rests on."""

    verdicts: Mapping[str, Confirmation]
    looks: tuple[Look, ...]


def confirm_claims(
    claims: Sequence[Tracked],
    text: Text,
    bar: Bar,
    models: Models,
    noise: Noise | None,
    *,
    call_id: str,
    max_tokens: int,
    tests: Mapping[str, FixTest] | None = None,
    min_families: int = 2,
) -> Confirmed:
    """Look at a file until every claim is confirmed, refuted, or left open.

    The finding's code is taken to be changed: that is what makes it a claim.

    Args:
        text: the file as it is now. What reviewers see is a copy with a fault in it.
        tests: by finding, what its test said of the code before and after.
    """
    needed = None if noise is None else noise.blind_reviews
    looks: list[Look] = []
    verdicts = _verdicts(claims, looks, noise, tests or {}, min_families)
    most = 0 if needed is None else SPARE_LOOKS * max(needed, min_families)
    while len(looks) < most and any(one.missing for one in verdicts.values()):
        seen = frozenset(look.examined.reply.family for look in looks if look.control_found)
        # Another family's look is worth more as long as one is missing.
        avoid = seen if len(seen) < min_families else frozenset()
        look = _look(claims, text, bar, models, f"{call_id}:{len(looks)}", max_tokens, avoid)
        looks.append(look)
        if look.examined.outcome in _ENDED:
            break
        verdicts = _verdicts(claims, looks, noise, tests or {}, min_families)
    return Confirmed(verdicts, tuple(looks))


_ENDED: Final = ("budget", "no_rung", "stopped")


def _look(
    claims: Sequence[Tracked],
    text: Text,
    bar: Bar,
    models: Models,
    call_id: str,
    max_tokens: int,
    avoid: frozenset[str],
) -> Look:
    lines = {line for one in claims for line in _lines(one.finding)}
    control = plant(text.text, call_id, avoid=lines)
    shown = text if control is None else text.with_line_changed(control.text)
    examined = examine(
        shown, bar, models, call_id=call_id, max_tokens=max_tokens, avoid_families=avoid
    )
    if examined.outcome != "ok":
        return Look(examined, None, frozenset())
    # The planted fault is nobody's finding, however near to one it is, and however alike in words.
    said = [
        one
        for one in examined.findings
        if control is None or not is_found(control, [one]) or lines & _lines(one)
    ]
    findings = [one.finding for one in claims]
    paired = match(findings, said, line_of=lambda line: line, new_path=text.path)
    again = frozenset(claims[row].id for row, _ in paired.pairs)
    # Without a place for a fault nobody can be shown to be awake.
    awake = control is not None and is_found(control, examined.findings)
    return Look(examined, awake, again)


def _lines(finding: Finding) -> set[int]:
    return set(range(finding.line, finding.end_line + 1))


def _verdicts(
    claims: Sequence[Tracked],
    looks: Sequence[Look],
    noise: Noise | None,
    tests: Mapping[str, FixTest],
    min_families: int,
) -> dict[str, Confirmation]:
    return {
        claim.id: confirm(
            code_changed=True,
            reviews=[
                BlindReview(
                    look.examined.reply.family,
                    claim.id in look.found,
                    bool(look.control_found),
                    is_whole=look.examined.outcome == "ok" and not look.examined.is_clipped,
                )
                for look in looks
            ],
            noise=noise,
            test=tests.get(claim.id),
            min_families=min_families,
        )
        for claim in claims
    }
