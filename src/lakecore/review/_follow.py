"""From one review of a file to the next: which findings are which, and what became of them. Pure.

A finding that no review has again is looked for in the text: while its code is there, said in
whatever spacing, comments or names, it is not fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from lakecore.review._finding import Finding
from lakecore.review._identity import line_map, match
from lakecore.review._memory import FileMemory, Tracked
from lakecore.review._state import Sign, State, next_state
from lakecore.review._tokens import contains, is_changed, tokens


@dataclass(frozen=True, slots=True)
class Followed:
    """What one review says of a file's findings.

    Attributes:
        signed: (finding as it is now, its sign) of each that has one.
        found: identities of what the review has.
        touched: identities whose code is another than before.
        is_changed: the text says something else than at the last review.
    """

    signed: tuple[tuple[Tracked, Sign], ...]
    found: tuple[str, ...]
    touched: tuple[str, ...]
    is_changed: bool


def follow(
    known: FileMemory,
    findings: Sequence[Finding],
    *,
    before: str | None,
    after: str,
    language: str,
    model: str,
    family: str,
    is_elsewhere: Callable[[str], bool] = lambda quote: False,
) -> Followed:
    """Hold a review against what is known.

    Args:
        before: the text of the last review; None: there was none, or it is not to be had.
        is_elsewhere: whether a quote is now in another file: code that was moved.
    """
    old = list(known.tracked.values())
    line_of = line_map(before, after) if before is not None else (lambda line: None)
    paired = match([one.finding for one in old], findings, line_of=line_of, new_path=known.path)
    signed: list[tuple[Tracked, Sign]] = []
    found: list[str] = []
    touched: list[str] = []
    code = _Code(before, after, language, line_of)
    for row, column in paired.pairs:
        now = replace(old[row], finding=findings[column])
        found.append(now.id)
        if code.is_touched(old[row].finding):
            touched.append(now.id)
        signed.append((_moved(now, Sign.OBSERVED), Sign.OBSERVED))
    for row in paired.lost:
        if code.is_touched(old[row].finding):
            touched.append(old[row].id)
        sign = code.sign_of(old[row].finding, is_elsewhere)
        now = _moved(replace(old[row], finding=code.placed(old[row].finding)), sign)
        if now != old[row]:
            signed.append((now, sign))
    taken = {one.id for one in old}
    for column in paired.fresh:
        one = findings[column]
        id_ = _unused(one.fingerprint, taken)
        taken.add(id_)
        found.append(id_)
        signed.append((Tracked(id_, one, State.NEW, model, family), Sign.OBSERVED))
    return Followed(tuple(signed), tuple(sorted(found)), tuple(sorted(touched)), code.is_changed)


def gone(known: FileMemory) -> list[tuple[Tracked, Sign]]:
    """What becomes of the findings of a file that is not there any more."""
    moved = [(_moved(one, Sign.GONE), one) for one in known.tracked.values()]
    return [(now, Sign.GONE) for now, one in moved if now != one]


class _Code:
    """Two texts of a file."""

    def __init__(
        self,
        before: str | None,
        after: str,
        language: str,
        line_of: Callable[[int], int | None],
    ) -> None:
        self._before = before or ""
        self._after = after
        self._old_lines = self._before.splitlines()
        self._lines = after.splitlines()
        self._language = language
        self._line_of = line_of
        self._has_before = before is not None
        self.is_changed = before is None or tokens(before, language) != tokens(after, language)

    def is_touched(self, finding: Finding) -> bool:
        """Whether the edit between the two texts overlaps the finding's lines."""
        if not self._has_before:
            return False
        here = self._now(finding)
        return here is None or tokens(self._then(finding), self._language) != tokens(
            here, self._language
        )

    def sign_of(self, finding: Finding, is_elsewhere: Callable[[str], bool]) -> Sign:
        """What the text says of a finding that the review does not have."""
        if contains(self._after, finding.quote, self._language):
            return Sign.SAME
        here = self._now(finding) if self._has_before else None
        if here is not None and contains(self._then(finding), finding.quote, self._language):
            renamed = not is_changed(
                self._then(finding),
                here,
                self._language,
                old_file=self._before,
                new_file=self._after,
            )
            if renamed:
                return Sign.SAME
        return Sign.GONE if is_elsewhere(finding.quote) else Sign.CHANGED

    def placed(self, finding: Finding) -> Finding:
        """The finding at the lines where its code is now, as far as that can be told."""
        first, last = self._line_of(finding.line), self._line_of(finding.end_line)
        if first is None or last is None or last < first:
            return finding
        return replace(finding, line=first, end_line=last)

    def _then(self, finding: Finding) -> str:
        return "\n".join(self._old_lines[finding.line - 1 : finding.end_line])

    def _now(self, finding: Finding) -> str | None:
        """The lines that the finding's lines became."""
        first, last = self._line_of(finding.line), self._line_of(finding.end_line)
        if first is None or last is None or last < first:
            return None
        return "\n".join(self._lines[first - 1 : last])


def _moved(one: Tracked, sign: Sign) -> Tracked:
    return replace(one, state=next_state(one.state, sign))


def _unused(fingerprint: str, taken: Collection[str]) -> str:
    id_, number = fingerprint, 1
    while id_ in taken:
        number += 1
        id_ = f"{fingerprint}-{number}"
    return id_
