"""From a message to its claims; pure. Each finder knows one way of saying something."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from lakecore.auditor._counts import find_counts, find_files, find_tests
from lakecore.auditor._message import Sentence, sentences
from lakecore.auditor._model import Action, Claim, Kind
from lakecore.auditor._named import find_dependencies, find_scopes
from lakecore.auditor._words import (
    PARTS,
    PATH,
    TARGET,
    Phrase,
    Target,
    active,
    is_path,
    is_symbol,
    make_target,
    passive,
    speaks_of_itself,
)

MAX_CLAIMS: Final = 200
_REFERENCES: Final = re.compile(
    rf"\b(?P<verb>(?i:remove[sd]?|drop(?:s|ped)?|delete[sd]?))\s+(?i:(?:the\s+)?(?:all|every|last|remaining)"
    rf"\s+(?:remaining\s+)?)(?i:uses?|usages?|callers?|calls?|references?|imports?)\s+(?:of|to)\s+"
    rf"(?P<target>{TARGET})"
)
_GONE: Final = re.compile(
    rf"(?P<target>{TARGET})\s+(?:(?i:is|are)\s+)?(?i:(?:now\s+)?gone|no\s+longer\s+(?:used|referenced"
    r"|imported|called)\s+anywhere)(?=\s*(?:$|[.,;)]))"
)
_RENAME: Final = re.compile(
    rf"\b(?P<verb>(?i:rename[sd]?|move[sd]?))\s+(?i:(?:the\s+)?(?:\w+\s+){{0,2}}?)"
    rf"(?P<old>{TARGET})\s*(?i:\s+to|\s+as|\s+into|→|->|=>)\s*(?P<new>{TARGET})"
)
_RENAMED: Final = re.compile(
    rf"(?P<old>{TARGET})\s+(?i:(?:(?:is|are|has\s+been)\s+)?(?:now\s+)?renamed\s+(?:to|as|into))\s+"
    rf"(?P<new>{TARGET})"
)
_REVERTS: Final = re.compile(r"\bThis reverts commit (?P<sha>[0-9a-f]{7,64})\b")
_UNTOUCHED: Final = re.compile(
    rf"\b(?i:does\s+not|doesn't|do\s+not|without)\s+(?i:touch|chang|modify|edit)(?:e|es|ing)?\s+"
    rf"(?:the\s+)?(?P<a>`[^`]+`|{PATH})(?=\s*(?:$|[.,;)]))"
    rf"|(?P<b>`[^`]+`|{PATH})\s+(?i:(?:is|are|stays?|remains?|left)\s+)?(?i:unchanged|untouched)"
    rf"(?=\s*(?:$|[.,;)]))"
    rf"|\b(?i:no\s+changes?\s+(?:to|in))\s+(?:the\s+)?(?P<c>`[^`]+`|{PATH})(?=\s*(?:$|[.,;)]))"
)
_HEADED: Final = re.compile(
    rf"^(?P<target>`[^`]+`|{PATH})\s*(?:\([^)]{{1,80}}\)\s*)?(?::|\s[—–-])\s+"
    r"(?i:add|fix|remov|delet|drop|updat|chang|renam|mov|us|handl|replac|split|extract|rewrit|mak|"
    r"new|import|call|pass|return|document|test|wir|register|simplif|clean|adapt|adjust|bump)"
    r"(?i:e|es|ed|s|ied|ies|ify|y|ing)?\b"
)


def find_claims(message: str) -> tuple[Claim, ...]:
    """The claims of a message in its order, at most 200; no words are claimed twice.

    >>> [(c.kind.value, c.target) for c in find_claims("cli: add `audit`, remove `lint_all()`")]
    [('symbol', 'audit'), ('removed', 'lint_all()')]
    """
    found: list[Claim] = []
    for sentence in sentences(message):
        for finder in _FINDERS:
            for claim in finder(sentence):
                if not any(_same_words(claim, other) for other in found):
                    found.append(claim)
        if len(found) >= MAX_CLAIMS:
            break
    return tuple(sorted(found[:MAX_CLAIMS], key=lambda claim: (claim.start, claim.end)))


def _same_words(claim: Claim, other: Claim) -> bool:
    """Whether the words of `claim` are in `other` already."""
    overlap = claim.start < other.end and other.start < claim.end
    return overlap and (claim.target == other.target or not claim.target)


def _placed(sentence: Sentence, start: int, end: int) -> tuple[int, int]:
    return sentence.start + start, sentence.start + end


def _of_target(
    sentence: Sentence, phrase: Phrase, target: Target, kind: Kind, action: Action, **more: object
) -> Claim:
    """A claim whose words run from the verb to this target, or from the first target on."""
    start = min(phrase.start, target.start)
    end = max(target.end, phrase.end if target is phrase.targets[-1] else target.end)
    begin, stop = _placed(sentence, start, end)
    return Claim(
        kind,
        begin,
        stop,
        action=action,
        target=target.text,
        quoted=target.quoted,
        **more,  # type: ignore[arg-type]  # fields of Claim
    )


def _find_added(sentence: Sentence) -> Iterator[Claim]:
    phrases = [
        *active(sentence.text, "add", first=sentence.first),
        *passive(sentence.text, "added|introduced|created", first=sentence.first),
    ]
    for phrase in phrases:
        for target in phrase.targets:
            if is_path(target.text):
                # "Add history.md entry" is about what is in the file.
                if PARTS.match(phrase.noun):
                    continue
                yield _of_target(
                    sentence, phrase, target, Kind.PATH, Action.ADD, scoped=_goes_on(phrase)
                )
            elif _is_name(target):
                yield _of_target(
                    sentence, phrase, target, Kind.SYMBOL, Action.ADD, unit=phrase.noun
                )


def _goes_on(phrase: Phrase) -> bool:
    """Whether it is said where to, or where from: then another file is meant than the target."""
    return bool(re.match(r"\s+(?:to|from|in|into|of|under|inside|through|via)\b", phrase.rest))


def _is_name(target: Target) -> bool:
    """A name that is worth looking up: a product's name without quotes is none."""
    text = target.text
    if text.startswith("--"):
        return bool(re.fullmatch(r"--[a-z][\w-]+", text))
    if not is_symbol(text):
        return False
    return target.quoted or "_" in text.strip("_") or text.endswith("()")


def _find_removed(sentence: Sentence) -> Iterator[Claim]:
    for match in [*_REFERENCES.finditer(sentence.text), *_GONE.finditer(sentence.text)]:
        if speaks_of_itself(sentence.text, match.start(), first=sentence.first):
            target = make_target(match["target"], match.start("target"))
            if _is_name(target):
                begin, stop = _placed(sentence, match.start(), match.end())
                yield Claim(
                    Kind.REMOVED, begin, stop, Action.REMOVE, target.text,
                    unit="all references", quoted=target.quoted,
                )  # fmt: skip
    phrases = [
        *active(sentence.text, "remove", first=sentence.first),
        *passive(sentence.text, "removed|deleted|dropped", first=sentence.first),
    ]
    for phrase in phrases:
        for target in phrase.targets:
            scoped = bool(re.match(r"\s+(?:from|in|of)\b", phrase.rest))
            if is_path(target.text) and PARTS.match(phrase.noun):
                continue
            if is_path(target.text) or _is_name(target):
                kind = Kind.PATH if is_path(target.text) else Kind.REMOVED
                yield _of_target(
                    sentence, phrase, target, kind, Action.REMOVE, unit=phrase.noun, scoped=scoped
                )


def _find_renamed(sentence: Sentence) -> Iterator[Claim]:
    for match in [*_RENAME.finditer(sentence.text), *_RENAMED.finditer(sentence.text)]:
        if not speaks_of_itself(sentence.text, match.start(), first=sentence.first):
            continue
        old = make_target(match["old"], match.start("old"))
        new = make_target(match["new"], match.start("new"))
        paths = is_path(old.text) and is_path(new.text)
        moved = match.groupdict().get("verb", "").lower().startswith("move")
        if not paths and (moved or not (is_symbol(old.text) and is_symbol(new.text))):
            continue
        begin, stop = _placed(sentence, match.start(), match.end())
        yield Claim(
            Kind.RENAMED, begin, stop, Action.RENAME, old.text, other=new.text,
            unit="path" if paths else "", quoted=old.quoted and new.quoted,
        )  # fmt: skip


def _find_wired(sentence: Sentence) -> Iterator[Claim]:
    phrases = [
        *active(sentence.text, "wire", first=sentence.first),
        *passive(
            sentence.text,
            r"wired(?:\s+(?:up|in))?|hooked\s+up|registered|plugged\s+in|(?:now\s+)called|(?:now\s+)used",
            first=sentence.first,
        ),
    ]
    for phrase in phrases:
        for target in phrase.targets:
            if _is_name(target):
                yield _of_target(sentence, phrase, target, Kind.WIRED, Action.WIRE)


def _find_changed(sentence: Sentence) -> Iterator[Claim]:
    for phrase in active(sentence.text, "change", first=sentence.first):
        for target in phrase.targets:
            if is_path(target.text):
                yield _of_target(sentence, phrase, target, Kind.PATH, Action.CHANGE)
    match = _HEADED.match(sentence.text)
    if match and sentence.first and not sentence.subject:
        target = make_target(match["target"], match.start("target"))
        if is_path(target.text):
            begin, stop = _placed(sentence, match.start(), match.end("target"))
            yield Claim(Kind.PATH, begin, stop, Action.CHANGE, target.text, quoted=target.quoted)


def _find_unchanged(sentence: Sentence) -> Iterator[Claim]:
    for match in _UNTOUCHED.finditer(sentence.text):
        target = next(group for group in match.groups() if group).strip("`")
        if is_path(target):
            begin, stop = _placed(sentence, match.start(), match.end())
            yield Claim(Kind.UNCHANGED, begin, stop, Action.KEEP, target)


def _find_reverts(sentence: Sentence) -> Iterator[Claim]:
    for match in _REVERTS.finditer(sentence.text):
        begin, stop = _placed(sentence, match.start(), match.end())
        yield Claim(Kind.REVERT, begin, stop, Action.REMOVE, match["sha"])


_FINDERS: Final[tuple[Callable[[Sentence], Iterator[Claim]], ...]] = (
    find_dependencies,
    find_tests,
    find_files,
    find_counts,
    _find_renamed,
    _find_removed,
    _find_added,
    _find_wired,
    _find_unchanged,
    _find_changed,
    find_scopes,
    _find_reverts,
)
