"""A commit message as sentences, each with its place in the message; pure.

What is no statement of the author about this commit is blanked out, character by character,
so that places stay: fenced and indented code, quoted lines, trailers, addresses, the subject
of a commit that is reverted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_AUDITED_CHARS: Final = 64 * 1024
MAX_SENTENCE_CHARS: Final = 600

_FENCE: Final = re.compile(r"^\s*(?:```|~~~)")
_BULLET: Final = re.compile(
    r"^\s*(?:[-*+•◦]|\d{1,3}[.)]|\(\d{1,3}\)|[A-Z]{1,4}\d*-\d+\s*[—–:-])\s+"
)
_TRAILER: Final = re.compile(
    r"^(?:[A-Z][A-Za-z]*(?:-[A-Za-z]+)+|Fixes|Closes|Refs?|Link|Bug|Issue|Cc|Signed-off-by"
    r"|git-svn-id|BREAKING CHANGE)\s*:\s+\S"
)
_CHERRY: Final = re.compile(r"^\(cherry picked from commit [0-9a-f]+\)$")
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s`<>)\]]+|\b[\w.+-]+@[\w-]+\.[\w.-]+")
_LONG_WORD: Final = re.compile(r"\S{120,}+")
_TERMINAL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_REVERTED: Final = re.compile(r"^(?:Revert|Reapply|Reland)\s+[\"'“].*$", re.M)
_MERGE: Final = re.compile(
    r"^Merge (?:branch|pull request|remote|tag|commit|[\w/-]+ into)\b.*$", re.M
)
_PREFIX: Final = re.compile(r"^(?:fixup|squash|amend)! ")
_RULE: Final = re.compile(r"^[\s=─━_~*-]{3,}$")
_DIFF_LINE: Final = re.compile(r"^(?:diff --git|index [0-9a-f]+\.\.|@@ |\+\+\+ |--- [ab]/)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, on one line, and where it begins in the message.

    `first` says that a line of the message, a list item or a paragraph begins with it.
    """

    text: str
    start: int
    first: bool
    subject: bool = False


def sentences(message: str) -> tuple[Sentence, ...]:
    """The sentences of a message, at most its first 64 Ki characters.

    >>> [s.text for s in sentences("Add `a`. Drop b.\\n\\n- keep\\nc\\n\\nFixes: #1")]
    ['Add `a`.', 'Drop b.', 'keep c']
    """
    flat = _blanked(message[:MAX_AUDITED_CHARS])
    return tuple(_split(flat))


def squashed_from(message: str) -> int:
    """Where the messages of single commits begin that a merge put together; else its end.

    What one of them did another may have undone, so that the sum of them is no lie.
    """
    subject, _, body = message.partition("\n")
    lines = [line for line in body.split("\n") if line.strip() and not _TRAILER.match(line)]
    starred = len(re.findall(r"^\* ", body, re.M))
    apart = len(re.findall(r"\n\s*\n\* ", f"\n{body}"))
    several = starred > 1 or bool(re.search(r"\(#\d+\)\s*$", subject))
    if lines and lines[0].startswith("* ") and apart == starred and several:
        return len(subject)
    if re.match(r"(?:Squashed commit|This is a combination of)", body.strip()):
        return len(subject)
    return len(message) + 1


def _blanked(message: str) -> str:
    """The message with what is no statement replaced by spaces; line ends stay."""
    kept = []
    fenced = False
    previous_blank = False
    for number, line in enumerate(message.split("\n")):
        drop = fenced
        if _FENCE.match(line):
            fenced = not fenced
            drop = True
        indented = line.startswith(("    ", "\t")) and not _BULLET.match(line)
        stripped = line.strip()
        drop = drop or stripped.startswith(">") or bool(_CHERRY.match(stripped))
        drop = drop or bool(_RULE.match(line)) or bool(_DIFF_LINE.match(line))
        drop = drop or (number > 0 and bool(_TRAILER.match(line)))
        drop = drop or (number == 0 and bool(_REVERTED.match(line) or _MERGE.match(line)))
        drop = drop or (indented and previous_blank)
        # Further lines of an indented block are part of it.
        previous_blank = not stripped or (drop and indented)
        kept.append(" " * len(line) if drop else line)
    text = "\n".join(kept)
    for pattern in (_TERMINAL, _LONG_WORD, _URL, _PREFIX):
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return text


def _split(flat: str) -> Iterator[Sentence]:
    """Blocks are separated by blank lines, the subject and the beginnings of list items."""
    position = 0
    blocks: list[tuple[int, int]] = []
    current: tuple[int, int] | None = None
    for number, line in enumerate(flat.split("\n")):
        end = position + len(line)
        bullet = _BULLET.match(line)
        if not line.strip():
            current = None
        elif current is None or bullet or number == 0:
            start = position + (bullet.end() if bullet else 0)
            current = (start, end)
            blocks.append(current)
        else:
            current = (current[0], end)
            blocks[-1] = current
        if number == 0:
            current = None
        position = end + 1
    for index, (start, end) in enumerate(blocks):
        text = flat[start:end].replace("\n", " ")
        subject = index == 0 and "\n" not in flat[:start].strip(" ")
        yield from _sentences_of(text, start, subject)


def _sentences_of(text: str, offset: int, subject: bool) -> Iterator[Sentence]:
    begin = 0
    first = True
    for end in [*(match.start() for match in _SENTENCE_END.finditer(text)), len(text)]:
        part = text[begin:end]
        stripped = part.strip()
        if stripped:
            start = offset + begin + len(part) - len(part.lstrip())
            # No sentence of a person is longer; what is would only cost time.
            if len(stripped) <= MAX_SENTENCE_CHARS:
                yield Sentence(_one_line(stripped), start, first, subject)
            first = False
        begin = end


def _one_line(text: str) -> str:
    """White space stays as wide as it is: places in a sentence are places in the message."""
    return re.sub(r"[\t\r]", " ", text)
