"""A planted fault: a reviewer that does not find it is asleep. Pure.

One line of a copy is changed so that it says the opposite or leaves something out. Whether a
review found it is decided by place: a finding whose quote overlaps the line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from lakecore.review._finding import Finding

_COMMENT: Final = re.compile(r"^\s*(#|//|/?\*|\"\"\"|''')")
_SWAPS: Final[tuple[tuple[str, str, str], ...]] = (
    (r"(?<![<>=!\-])==(?!=)", "!=", "compares the other way round"),
    (r"!=(?!=)", "==", "compares the other way round"),
    (r"(?<![<>=\-])<=(?!=)", ">", "compares the other way round"),
    (r"(?<![<>=\-])>=(?!=)", "<", "compares the other way round"),
    (r"\bis not None\b", "is None", "asks for the opposite"),
    (r"\bif not ", "if ", "asks for the opposite"),
    (r"\bif (?!not |let |err |\(?!)(?=[\w(].*:\s*$)", "if not ", "asks for the opposite"),
    (r"\breturn True\b", "return False", "answers the opposite"),
    (r"\breturn False\b", "return True", "answers the opposite"),
    (r"\btrue\b", "false", "answers the opposite"),
    (r"\bfalse\b", "true", "answers the opposite"),
    (r" && ", " || ", "asks for either, not both"),
    (r" \|\| ", " && ", "asks for both, not either"),
    (r"\band\b", "or", "asks for either, not both"),
    (r" \+ 1\b", "", "is off by one"),
    (r" - 1\b", "", "is off by one"),
)


@dataclass(frozen=True, slots=True)
class Control:
    """A text with one fault in it.

    Attributes:
        line: where the fault is, from 1.
        before, after: the line as it was, and as it is in `text`.
    """

    text: str
    line: int
    before: str
    after: str
    what: str


def plant(
    text: str,
    seed: str,
    *,
    avoid: Container[int] = (),
) -> Control | None:
    """A copy with one fault; None where the text has no line to put one.

    Args:
        seed: the same text and seed give the same fault.
        avoid: lines that it must not touch: those of findings under review.
    """
    lines = text.splitlines(keepends=True)
    places = [
        (number, match.span(), new, what)
        for number, line in enumerate(lines, 1)
        if number not in avoid
        if not _COMMENT.match(line)
        for old, new, what in _SWAPS
        if (match := re.search(old, line)) and not _is_in_text(line, match.start())
    ]
    if not places:
        return None
    chosen = int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode(errors="replace")).digest())
    number, (start, stop), new, what = places[chosen % len(places)]
    before = lines[number - 1]
    after = before[:start] + new + before[stop:]
    changed = [*lines[: number - 1], after, *lines[number:]]
    return Control("".join(changed), number, before.strip(), after.strip(), what)


def is_found(control: Control, findings: Iterable[Finding]) -> bool:
    """Whether one of the findings is about the planted fault."""
    return any(one.line <= control.line <= one.end_line for one in findings)


def _is_in_text(line: str, at: int) -> bool:
    """Whether a place of a line is within quotation marks or a comment, as far as it shows."""
    before = line[:at]
    return (
        before.count('"') % 2 == 1
        or before.count("'") % 2 == 1
        or "//" in before
        or re.search(r"(^|\s)#", before) is not None
    )
