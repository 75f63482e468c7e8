"""Claims about dependencies, and about what sort of change it is altogether; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lakecore.auditor._message import Sentence
from lakecore.auditor._model import Action, Claim, Kind
from lakecore.auditor._words import VERBS, speaks_of_itself

_NAME: Final = r"(?:`[^`\s]+`|@?[A-Za-z][\w./@-]*[A-Za-z0-9])"
_VERSION: Final = r"[v^~=<>]*\d+(?:\.\d+)*(?:[-.+]?[A-Za-z]+[\w.]*)?"
_SECTIONS: Final = (
    r"(?:\[[\w.-]+\]|(?:the\s+)?(?:dev(?:elopment)?|build|test|optional|runtime|peer)"
    r"[- ]dependencies|"
    r"dependencies|devDependencies)"
)
_THING: Final = r"(?:dependenc(?:y|ies)|packages?|crates?|requirements?)"

_ADD_OR_REMOVE: Final = re.compile(
    rf"\b(?P<verb>(?i:{VERBS['add']}|{VERBS['remove']}))\s+(?:the\s+|a\s+|an\s+|unused\s+|new\s+)*"
    rf"(?:(?P<name>{_NAME})\s+(?:as\s+(?:a|an)\s+)?(?:new\s+|unused\s+|direct\s+|dev\s+|runtime\s+)?"
    r"dependenc(?:y|ies)|(?:dev\s+|runtime\s+)?dependenc(?:y|ies)(?:\s+on|\s+of|:)?\s+(?:the\s+)?"
    rf"(?P<other>{_NAME}))(?=\s*(?:$|[.,;)])|\s+(?:from|to|in|and|for|which|as|because|since|with)\b)"
)
_BUMP: Final = re.compile(
    rf"\b(?P<verb>(?i:{VERBS['bump']}))\s+(?:the\s+)?(?:{_THING}\s+)?(?P<name>{_NAME})"
    rf"(?:\s+{_THING})?\s+(?:from\s+(?P<old>{_VERSION})\s+to\s+|to\s+(?:version\s+)?)(?P<new>{_VERSION})"
    r"(?=\s*(?:$|[,;:)]|\.(?:\s|$))|\s+(?:in|and|for|which|because|since|with|as)\b)"
)
_MOVE: Final = re.compile(
    rf"\b(?P<verb>(?i:move[sd]?))\s+(?P<name>{_NAME})\s+(?:to|into)\s+(?P<section>{_SECTIONS})"
    rf"|(?P<passive>{_NAME})\s+(?:is\s+|are\s+)?moved\s+(?:to|into)\s+(?P<into>{_SECTIONS})"
)
_NO_NEW: Final = re.compile(
    r"\b(?i:no|without(?:\s+any)?|zero)\s+(?i:new|added|additional|extra)\s+(?i:(?:runtime|external|"
    r"third-party)\s+)?(?i:dependenc(?:y|ies))\b|\b(?i:no\s+dependenc(?:y|ies)\s+(?:are\s+|were\s+)?added)\b"
)
_STOP_NAMES: Final = re.compile(
    r"the|an?|up|down|it|them|all|some|any|new|old|unused|this|that|these|those|our|its|other|more|unneeded|"
    r"development|optional|transitive|direct|dev|runtime|python|rust|version",
    re.I,
)

_BEHAVIOUR: Final = (
    r"\bno\s+(?:functional|behaviou?ral|semantic)\s+changes?\b|\bno\s+behaviou?r\s+changes?\b|"
    r"\bno\s+changes?\s+(?:in|of|to)\s+(?:the\s+)?behaviou?r\b|\bNFC\b|\bpure(?:ly)?\s+(?:a\s+)?refactor(?:ing)?\b|"
    r"\brefactor(?:ing)?\s+only\b|\bonly\s+(?:a\s+)?refactor(?:ing|s)?\b|\bbehaviou?r(?:\s+is|\s+stays|\s+remains)?"
    r"\s+(?:unchanged|the\s+same)\b|\bwithout\s+changing\s+(?:the\s+|any\s+)?behaviou?r\b|"
    r"\bfunctionally\s+(?:equivalent|identical)\b|\bdoes\s+not\s+change\s+(?:the\s+|any\s+)?behaviou?r\b"
)
_SCOPES: Final = (
    ("behaviour", _BEHAVIOUR),
    (
        "whitespace",
        r"\bwhite\s?space[- ]only\b|\bonly\s+white\s?space(?:\s+changes?)?\b|"
        r"\bwhite\s?space\s+changes?\s+only\b",
    ),
    (
        "formatting",
        r"\b(?:re)?format(?:ting)?[- ]only\b|"
        r"\b(?:only|just|purely|pure)\s+(?:re)?format(?:ting|s|ted)?\b"
        r"(?:\s+changes?)?|\bformatting\s+changes?\s+only\b|\bstyle\s+changes?\s+only\b",
    ),
    (
        "comments",
        r"\bcomments?[- ]only\b|\bonly\s+(?:changes\s+|touches\s+)?comments\b|"
        r"\bno\s+code\s+changes?\b|"
        r"\bno\s+changes?\s+to\s+(?:the\s+)?code\b",
    ),
    (
        "docs",
        r"\b(?:docs?|documentation)[- ]only\b|"
        r"\bonly\s+(?:touches\s+|changes\s+|updates\s+|affects\s+)?(?:the\s+)?"
        r"(?:docs|documentation)\b(?!\s*(?:for|of|in|that))",
    ),
    ("tests", r"\btests?[- ]only\b|\bonly\s+(?:touches\s+|changes\s+)(?:the\s+)?tests\b"),
)
_SCOPE_PATTERNS: Final = tuple((name, re.compile(text, re.I)) for name, text in _SCOPES)
_TYPO: Final = re.compile(
    r"^(?:\[[^\]]{1,40}\]\s+)?(?:[\w./*,() -]{1,40}!?:\s+)?(?:fix(?:es|ed)?|correct(?:s|ed)?)\s+"
    r"(?:(?:a|an|the|some|several|two|few|more|minor|small|tiny|another|one|simple|silly)\s+)*(?:typos?|spelling|misspellings?)\b",
    re.I,
)
_NEGATED: Final = re.compile(
    r"\b(?:not|isn't|aren't|wasn't|no\s+longer|more\s+than|beyond|besides|than|should|would|could|might|"
    r"may|almost|mostly|nearly|if|unless|previous|was|were|been|intended\s+as|supposed|claim(?:s|ed)?|"
    r"says|said|called|e\.g)\b|n't\b|\?|[\"“']\s*$",
    re.I,
)
_PARTIAL: Final = re.compile(
    r"^\s*(?:,\s*)?(?:in|for|when|where|unless|except|on|of|apart|besides|other|by|yet|here|until|if|as\s+"
    r"long|to|with(?:\s+the)?\s+(?:default|exception)|but|beyond|than|outside|inside|at)\b|^\s*[\"”'?]",
    re.I,
)


def find_dependencies(sentence: Sentence) -> Iterator[Claim]:
    """``add X as a dependency``, ``bump X from 1.2 to 1.3``, ``no new dependencies``."""
    text = sentence.text
    for match in _BUMP.finditer(text):
        if _STOP_NAMES.fullmatch(match["name"]):
            continue
        if speaks_of_itself(text, match.start(), first=sentence.first) and (
            "." in match["new"] or match["old"] or "`" not in match["name"]
        ):
            yield _claim(
                sentence,
                match,
                Action.BUMP,
                match["name"],
                old=match["old"] or "",
                new=match["new"],
            )
    for match in _ADD_OR_REMOVE.finditer(text):
        name = match["name"] or match["other"]
        if _STOP_NAMES.fullmatch(name):
            continue
        if speaks_of_itself(text, match.start(), first=sentence.first):
            added = re.fullmatch(VERBS["add"], match["verb"], re.I)
            yield _claim(sentence, match, Action.ADD if added else Action.REMOVE, name)
    for match in _MOVE.finditer(text):
        if speaks_of_itself(text, match.start(), first=sentence.first):
            name = match["name"] or match["passive"]
            section = match["section"] or match["into"]
            yield _claim(sentence, match, Action.MOVE, name, other=section)
    for match in _NO_NEW.finditer(text):
        partial = bool(_PARTIAL.match(text[match.end() :]))
        yield _claim(sentence, match, Action.KEEP, "", scoped=partial)


def _claim(
    sentence: Sentence,
    match: re.Match[str],
    action: Action,
    name: str,
    *,
    old: str = "",
    new: str = "",
    other: str = "",
    scoped: bool = False,
) -> Claim:
    return Claim(
        Kind.DEPENDENCY,
        sentence.start + match.start(),
        sentence.start + match.end(),
        action,
        name.strip("`"),
        old=old,
        new=new,
        other=other,
        quoted=name.startswith("`"),
        scoped=scoped,
    )


def find_scopes(sentence: Sentence) -> Iterator[Claim]:
    """``no functional change``, ``formatting only``, ``docs only``, ``fix typo``."""
    text = sentence.text
    for name, pattern in _SCOPE_PATTERNS:
        for match in pattern.finditer(text):
            left = re.split(r"[;:]|\s[—–]\s", text[: match.start()])[-1]
            if _NEGATED.search(left):
                continue
            rest = text[match.end() :]
            yield Claim(
                Kind.SCOPE,
                sentence.start + match.start(),
                sentence.start + match.end(),
                Action.KEEP,
                name,
                scoped=bool(_PARTIAL.match(rest)),
            )
    typo = _TYPO.match(text)
    if typo and sentence.subject:
        rest = text[typo.end() :]
        alone = not re.search(r",|;|\band\b|\+|&", rest)
        yield Claim(
            Kind.SCOPE,
            sentence.start,
            sentence.start + typo.end(),
            Action.CHANGE,
            "typo",
            scoped=not alone,
        )
