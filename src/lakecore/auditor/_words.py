"""The words that claims are made of: targets, verbs, numbers, and what makes a sentence vague.

Precision comes first. A verb counts only where the author speaks of this commit: at the
beginning of a sentence or of its part, not behind "should", "if", "used to" or "instead of",
and its object has to stand right behind it. What is said in any other way is no claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

_EXTENSIONS: Final = (
    "py|pyi|rs|ts|tsx|js|jsx|mjs|cjs|go|md|rst|toml|ya?ml|json|txt|sh|sql|css|html|cfg|ini|lock|"
    "proto|c|h|cc|cpp|hpp|java|kt|rb|php|cs|swift|csv|xml|svg|png|parquet|conf|mod|sum|tf"
)
_FILE: Final = rf"(?:[\w@+-][\w.@+-]*|\.[\w@+-]+)\.(?:{_EXTENSIONS})\b"
_NAMED_FILE: Final = r"(?:Makefile|Dockerfile|Jenkinsfile|LICENSE|CODEOWNERS)\b"
PATH: Final = rf"(?:\.?/)?(?:[\w@.+-]+/)*(?:{_FILE}|{_NAMED_FILE})"
_FOLDER: Final = r"(?:[\w@.+-]+/)+(?![\w])"
_SNAKE: Final = r"(?:[A-Za-z_]\w*(?:::|\.|#))*(?:[A-Za-z]\w*_\w+|_[A-Za-z]\w*)(?:\(\))?"
_CALL: Final = r"(?:[A-Za-z_]\w*(?:::|\.|#))*[A-Za-z_]\w*\(\)"
_CAMEL: Final = r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+(?:\(\))?"
_LOWER_CAMEL: Final = r"[a-z][a-z0-9]*+(?:[A-Z][a-z0-9]+)+(?:\(\))?"
_OPTION: Final = r"--[a-z][\w-]+"
_QUOTED: Final = r"`[^`]{1,200}`"
TARGET: Final = (
    rf"(?:{_QUOTED}|(?<![\w./@-])(?:{PATH}|{_OPTION}|{_CALL}|{_SNAKE}|{_CAMEL}|{_LOWER_CAMEL}))"
)
_TARGET_LIST: Final = rf"{TARGET}(?:(?:\s*,\s*(?:and\s+)?|\s+(?:and|&|\+)\s+)(?:the\s+)?{TARGET})*"

_FILLER: Final = (
    r"(?:(?:the|a|an|all|any|every|our|its|two|three|new|unused|old|obsolete|deprecated|dead|"
    r"stale|legacy|private|public|internal|helper|function|functions|method|methods|class|classes|"
    r"constant|constants|field|fields|module|modules|file|files|option|options|flag|flags|struct|"
    r"enum|trait|interface|type|types|macro|variable|parameter|setting|settings|command|test|"
    r"tests|fixture|script|small|missing|separate|own|now|redundant|temporary|last|remaining|"
    r"duplicate|superfluous|unneeded|unreachable|former|stub)\s+)*"
)
NOUN: Final = (
    r"(?:functions?|methods?|class(?:es)?|constants?|modules?|files?|struct|enum|trait|interface|"
    r"types?|macro|variables?|helpers?|fixtures?|scripts?|folder|directory|package|tests?|stub|"
    r"exception|decorator|protocol|dataclass)"
)
PART_NOUN: Final = (
    r"(?:arguments?|parameters?|fields?|attributes?|options?|flags?|settings?|imports?|calls?|"
    r"usages?|uses|references?|keyword|propert(?:y|ies)|branch|case|column|key|member|entry|commands?)"
)
PARTS: Final = re.compile(PART_NOUN)
_AFTER: Final = (
    r"(?=\s*(?:$|[.,;:!?)\]—–+])|\s+(?:to|in|into|from|for|with|without|and|as|so|which|that|"
    r"because|by|since|too|via|where|under|inside|of|using|used|plus|but|now|again|beside|besides|"
    r"through|at)\b|\s+[-—–(+/&→])"
)
# "Delete `x` when …" tells what the program does from now on, not what the commit does.
_AFTER_REMOVED: Final = (
    r"(?=\s*(?:$|[.,;:!?)\]—–+])|\s+(?:from|in favou?r|and|as|since|because|too|now|which|but|"
    r"with|entirely|completely|altogether)\b|\s+[-—–(+&])"
)

VERBS: Final = {
    "add": r"add(?:s|ed)?|introduce[sd]?|create[sd]?",
    "remove": r"remove[sd]?|delete[sd]?|drop(?:s|ped)?",
    "change": r"update[sd]?|edit(?:s|ed)?|modif(?:y|ies|ied)|rewrites?|rewrote|touch(?:es|ed)?",
    "rename": r"rename[sd]?|move[sd]?",
    "wire": r"wire[sd]?(?:\s+(?:up|in))?|hook(?:s|ed)?\s+up|register(?:s|ed)?|plug(?:s|ged)?\s+in",
    "bump": r"bump(?:s|ed)?|upgrade[sd]?|downgrade[sd]?|update[sd]?|pin(?:s|ned)?",
    "set": (
        r"set(?:s)?|raise[sd]?|lower(?:s|ed)?|increase[sd]?|decrease[sd]?|reduce[sd]?|"
        r"bump(?:s|ed)?|change[sd]?|double[sd]?|halve[sd]?|cut(?:s)?"
    ),
}
_ANY_VERB: Final = (
    r"(?:" + "|".join(VERBS.values()) + r"|fix(?:es|ed)?|refactor(?:s|ed)?|improve[sd]?|use[sd]?|"
    r"make[s]?|made|replace[sd]?|split(?:s)?|extract(?:s|ed)?|clean(?:s|ed)?|simplif(?:y|ies|ied)|"
    r"handle[sd]?|support(?:s|ed)?|document(?:s|ed)?|test(?:s|ed)?|allow(?:s|ed)?|implement(?:s|ed)?|"
    r"bring(?:s)?|give(?:s)?|teach(?:es)?|keep(?:s)?|put(?:s)?|extend(?:s|ed)?|adapt(?:s|ed)?|"
    r"adjust(?:s|ed)?|merge[sd]?|switch(?:es|ed)?|cover(?:s|ed)?)"
)
_HEDGE: Final = re.compile(
    r"\b(?:will|would|should|could|can|cannot|may|might|must|shall|todo|plans?|planned|if|when|"
    r"whenever|unless|until|before|after|once|previously|formerly|earlier|originally|used\s+to|"
    r"instead\s+of|rather\s+than|not|never|no|without|nor|tried|try|tries|attempt|wants?|wanted|"
    r"needs?|lets?|allows?|able|going\s+to|e\.g|example|was|were|had|why|how|whether)\b|n't\b|\?",
    re.I,
)
_LATER: Final = re.compile(
    r"\b(?:later|follow[- ]?up|next\s+(?:commit|change|step|pr|release)|not\s+yet|eventually|"
    r"in\s+the\s+future|todo|to\s+come|another\s+(?:commit|pr|change)|separate\s+(?:commit|pr|change)|"
    r"previous\s+(?:commit|change|pr)|earlier\s+(?:commit|change|pr)|last\s+(?:commit|change|pr))\b",
    re.I,
)
_AREA: Final = re.compile(
    r"^(?:\[[^\]]{1,40}\]:?\s+|:[a-z_]+:\s*|[A-Z]{2,}-\d+:?\s+|#\d+:?\s+)*"
    r"(?:[\w./@*+,&() -]{1,80}?!?:\s+)?"
)
_SPEAKER: Final = re.compile(
    r"^(?:(?:also|then|finally|now|additionally|furthermore|first|second|secondly|lastly|plus|and|"
    r"we|i|we\s+also|this\s+(?:commit|change|patch|pr|mr)(?:\s+also)?|(?:the\s+)?(?:commit|patch))\s*,?\s*)*$",
    re.I,
)
_SEPARATOR: Final = re.compile(
    r"\s*(;|:|\s[—–-]+\s|,|\(|\s\+\s|\s&\s|\band\b|\bthen\b|\bplus\b)\s*"
)
_BEGINS: Final = re.compile(rf"^(?:(?:also|now|we|this\s+\w+)\s+)?{_ANY_VERB}\b", re.I)

_WORDS: Final = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
WORD_NUMBERS: Final = {word: number for number, word in enumerate(_WORDS.split("|"), start=1)}
NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+|\d+|" + _WORDS + r")"
BOUND: Final = (
    r"(?P<bound>(?:exactly|only|just|about|around|roughly|approximately|nearly|almost|some|over|"
    r"more\s+than|at\s+least|up\s+to|at\s+most|fewer\s+than|less\s+than|another|~|≈|≥|≤|>|<)\s*)?"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A path, symbol or phrase in a sentence, with its place there."""

    text: str
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True, slots=True)
class Phrase:
    """A verb with its objects: `noun` is the word behind them, `rest` what follows."""

    verb: str
    targets: tuple[Target, ...]
    start: int
    end: int
    noun: str
    rest: str


def speaks_of_itself(text: str, position: int, *, first: bool = True) -> bool:
    """Whether a verb at `position` is said of this commit, by what stands before it.

    >>> speaks_of_itself("cli: add `x`", 5), speaks_of_itself("It should add `x`", 10)
    (True, False)
    """
    left = text[:position]
    if first:
        area = _AREA.match(left)
        left = left[area.end() :] if area else left
    if _LATER.search(text):
        return False
    if _SPEAKER.match(left.strip() + " " if left.strip() else ""):
        return True
    *_, last = _SEPARATOR.finditer(left) if _SEPARATOR.search(left) else (None,)
    if last is None:
        return False
    head, tail = left[: last.start()], left[last.end() :]
    if not _SPEAKER.match(tail) or _HEDGE.search(_part(head)):
        return False
    if last[1].strip() in (";", ":", "—", "–", "-"):
        return True
    return bool(_BEGINS.match(_part(head).strip())) or bool(re.match(rf"^\s*{TARGET}", _part(head)))


def _part(head: str) -> str:
    """What stands behind the last semicolon or dash."""
    return re.split(r";|\s[—–]\s", head)[-1]


def active(text: str, verb: str, *, first: bool) -> Iterator[Phrase]:
    """``add `a` and `b``` and its like, where the author says it of this commit."""
    for match in _active_pattern(verb).finditer(text):
        if speaks_of_itself(text, match.start(), first=first):
            yield _phrase(text, match)


@cache
def _active_pattern(verb: str) -> re.Pattern[str]:
    after = _AFTER_REMOVED if verb == "remove" else _AFTER
    return re.compile(
        rf"\b(?P<verb>(?i:{VERBS[verb]}))\s+(?i:{_FILLER})(?P<targets>{_TARGET_LIST})"
        rf"(?:\s+(?P<noun>(?i:{NOUN}|{PART_NOUN})))?{after}"
    )


def passive(text: str, participle: str, *, first: bool) -> Iterator[Phrase]:
    """```a` is now wired`` and its like."""
    for match in _passive_pattern(participle).finditer(text):
        if speaks_of_itself(text, match.start(), first=first):
            yield _phrase(text, match)


@cache
def _passive_pattern(participle: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?P<targets>{_TARGET_LIST})(?:\s+(?P<noun>(?i:{NOUN}|{PART_NOUN})))?\s+"
        rf"(?:(?:is|are|has\s+been|have\s+been|now|gets|get)\s+)*(?P<verb>(?i:{participle}))\b"
        rf"{_AFTER_REMOVED[:-1]}|\s+(?:into|in|to|up|via|by|through|with)\b)"
    )


def _phrase(text: str, match: re.Match[str]) -> Phrase:
    targets = tuple(
        make_target(found[0], match.start("targets") + found.start())
        for found in re.finditer(TARGET, match["targets"])
    )
    return Phrase(
        verb=match["verb"],
        targets=targets,
        start=match.start(),
        end=match.end(),
        noun=(match["noun"] or "").lower(),
        rest=text[match.end() :],
    )


def make_target(text: str, start: int) -> Target:
    quoted = text.startswith("`")
    return Target(text.strip("`").strip(), start, start + len(text), quoted)


def to_number(text: str) -> int:
    """A whole number in digits or words.

    >>> to_number("1,024"), to_number("three")
    (1024, 3)
    """
    plain = text.strip().lower().replace(",", "")
    return WORD_NUMBERS[plain] if plain in WORD_NUMBERS else int(plain)


def is_path(text: str) -> bool:
    """Whether a target is written as the path of a file or folder."""
    return bool(re.fullmatch(rf"{PATH}(?::\d+)?|{_FOLDER}", text))


_IDENTIFIER: Final = re.compile(r"(?:[A-Za-z_]\w*(?:::|\.|#|->))*[A-Za-z_]\w*(?:\(\))?!?")


def is_symbol(text: str) -> bool:
    """Whether a target is a name as programs have them, qualified or not."""
    return bool(_IDENTIFIER.fullmatch(text)) and not is_path(text)


def last_name(text: str) -> str:
    """The name at the end of a qualified one.

    >>> last_name("Store.close()"), last_name("std::mem::swap")
    ('close', 'swap')
    """
    return re.split(r"::|\.|#|->", text.rstrip("!").removesuffix("()"))[-1]
