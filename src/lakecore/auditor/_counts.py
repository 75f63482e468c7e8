"""Claims with numbers: tests, files, values from one to another; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lakecore.auditor._message import Sentence
from lakecore.auditor._model import Action, Bound, Claim, Kind
from lakecore.auditor._words import (
    BOUND,
    NUMBER,
    TARGET,
    VERBS,
    is_path,
    is_symbol,
    make_target,
    speaks_of_itself,
    to_number,
)

_QUALITIES: Final = (
    r"(?:(?:new|more|additional|further|unit|regression|integration|property|property-based|"
    r"end-to-end|e2e|failing|passing|missing|small|quick|doc|smoke|fuzz|python|rust|go|typescript|"
    r"basic|simple|behaviou?ral?|golden)\s+)*"
)
_VALUE: Final = r"-?\d[\d_]*(?:,\d{3})*(?:\.\d+)?"
_UNIT: Final = (
    r"(?:\s?(?:ms|µs|us|ns|s|sec|seconds?|min|minutes?|h|hours?|days?|[KMGT]i?B|bytes?|%|x))?"
)
_ARROW: Final = r"\s*(?:→|->|=>|⇒)\s*"

_ADDED_TESTS: Final = re.compile(
    rf"\b(?P<verb>(?i:add(?:s|ed)?|with|plus|including|includes?|bring(?:s)?))\s+{BOUND}"
    rf"(?P<count>(?i:{NUMBER}))\s+(?i:{_QUALITIES})tests?\b(?!\s+(?:files?|suites?|helpers?|classes|modules))"
)
_NEW_TESTS: Final = re.compile(
    rf"(?<![\w.]){BOUND}(?P<count>(?i:{NUMBER}))\s+(?i:(?:new|more|additional)\s+{_QUALITIES})tests?\b"
    r"(?!\s+(?:files?|suites?|helpers?|classes|modules))"
)
_COUNTED_TESTS: Final = re.compile(
    rf"(?<![\w.]){BOUND}(?P<count>(?i:{NUMBER}))\s+(?i:{_QUALITIES})tests?\s+"
    r"(?i:(?:were|are|is|was|have\s+been|has\s+been)\s+)?(?P<verb>(?i:added|removed|deleted|dropped))\b"
)
_REMOVED_TESTS: Final = re.compile(
    rf"\b(?P<verb>(?i:remove[sd]?|delete[sd]?|drop(?:s|ped)?))\s+{BOUND}(?P<count>(?i:{NUMBER}))\s+"
    rf"(?i:(?:{_QUALITIES}(?:(?:flaky|obsolete|redundant|old|duplicate)\s+)?))tests?\b"
    r"(?!\s+(?:files?|suites?|helpers?|classes|modules))"
)
_TESTS_FROM_TO: Final = re.compile(
    rf"\b(?i:tests?)\s*[:=]?\s*(?:(?i:go|went|grow|grew|rise|rose)\s+)?(?:(?i:from)\s+(?P<a>\d+)\s+"
    rf"(?i:to)\s+(?P<b>\d+)|(?P<c>\d+){_ARROW}(?P<d>\d+))"
    rf"|(?i:\bfrom)\s+(?P<e>\d+)\s+(?i:to)\s+(?P<f>\d+)\s+(?i:tests)\b|(?<![\w.])(?P<g>\d+){_ARROW}(?P<h>\d+)\s+(?i:tests)\b"
)
_TESTS: Final = re.compile(
    rf"\b(?P<verb>(?i:add(?:s|ed)?))\s+(?i:(?:a|an|the|some|more|its|their|also)\s+)*(?i:{_QUALITIES})"
    r"(?i:tests?|test\s+cases?|coverage)(?=\s*(?:$|[.,;)])|\s+(?:for|which|that|so|and|covering|of)\b)"
    rf"|\b(?i:with)\s+(?i:(?:some|its|their)\s+)?(?i:{_QUALITIES})(?i:tests)(?=\s*(?:$|[.,;)])|\s+(?:for|and)\b)"
    r"|\b(?i:tests?)\s+(?i:(?:are|is|were|have\s+been)\s+)?(?i:added|included)(?=\s*(?:$|[.,;)])|\s+(?:for|and)\b)"
)
_FILES: Final = re.compile(
    r"\b(?P<verb>(?i:touch|chang|modif|edit|updat|add|creat|delet|remov|renam))(?i:e|es|ed|s|d|y|ies|ied)?\s+"
    rf"{BOUND}(?P<count>(?i:{NUMBER}))\s+(?P<quality>(?i:(?:new|python|rust|go|typescript|test|source|"
    r"markdown|more|whole)\s+)*)files?(?=\s*(?:$|[.,;:)])|\s+(?:and|in\s+total|with|at\s+once|altogether)\b)"
)
_FILES_PASSIVE: Final = re.compile(
    rf"(?<![\w.]){BOUND}(?P<count>(?i:{NUMBER}))\s+(?P<quality>(?i:(?:new|python|rust|go|typescript|test|"
    r"source|markdown)\s+)*)files?\s+(?i:(?:are|were|have\s+been)\s+)?"
    r"(?P<verb>(?i:touched|changed|modified|edited|updated|added|created|deleted|removed|renamed))\b"
    r"(?=\s*(?:$|[.,;:)])|\s+(?:and|in\s+total)\b)"
)
_CODE: Final = rf"(?:{TARGET})"
_FROM_TO: Final = re.compile(
    rf"(?P<target>{_CODE})(?P<between>\s*[:=]?\s*(?:(?:is|was|limit|default|value|now|goes|went|raised|"
    rf"lowered|increased|decreased|reduced|bumped|changed|set)\s+){{0,3}})"
    rf"(?:from\s+(?P<a>{_VALUE})(?P<ua>{_UNIT})\s+(?:up\s+|down\s+)?to\s+(?P<b>{_VALUE})(?P<ub>{_UNIT})"
    rf"|\(?(?P<c>{_VALUE})(?P<uc>{_UNIT}){_ARROW}(?P<d>{_VALUE})(?P<ud>{_UNIT}))(?![\w.]*[\w])"
)
_SET_TO: Final = re.compile(
    rf"\b(?P<verb>(?i:{VERBS['set']}))\s+(?:the\s+)?(?P<target>{_CODE})\s+(?:limit\s+|default\s+|value\s+)?"
    rf"to\s+(?P<b>{_VALUE})(?P<ub>{_UNIT})(?![\w.]*[\w])"
)
_PLAIN_FROM_TO: Final = re.compile(
    rf"(?<![\w.])(?:from\s+(?P<a>{_VALUE})(?P<ua>{_UNIT})\s+to\s+(?P<b>{_VALUE})(?P<ub>{_UNIT})"
    rf"|(?P<c>{_VALUE})(?P<uc>{_UNIT}){_ARROW}(?P<d>{_VALUE})(?P<ud>{_UNIT}))(?![\w.]*\w)"
)
_LEAST: Final = ("over", "more than", "at least", ">", "≥", "another")
_MOST: Final = ("up to", "at most", "fewer than", "less than", "<", "≤")
_EXACT: Final = ("", "exactly", "only", "just")


def _bound(text: str | None) -> Bound:
    word = " ".join((text or "").lower().split())
    if word in _EXACT:
        return Bound.EXACT
    if word in _LEAST:
        return Bound.AT_LEAST
    return Bound.AT_MOST if word in _MOST else Bound.ABOUT


def _is_scoped(rest: str) -> bool:
    """Whether the words behind say that it is about a part only."""
    return bool(
        re.match(r"\s*(?:cases?)?\s+(?:for|of|in|to|on|that|which|covering|about|per)\b", rest)
    )


def find_tests(sentence: Sentence) -> Iterator[Claim]:
    """``adds 3 tests``, ``tests 14 → 24``, ``10 new tests``, ``with tests``."""
    text = sentence.text
    for match in _TESTS_FROM_TO.finditer(text):
        old, new = [group for group in match.groups() if group is not None]
        begin, stop = sentence.start + match.start(), sentence.start + match.end()
        yield Claim(
            Kind.TESTS, begin, stop, Action.CHANGE, "tests", old=old, new=new,
            count=int(new) - int(old), unit="tests",
        )  # fmt: skip
    for pattern, action in (
        (_ADDED_TESTS, Action.ADD),
        (_REMOVED_TESTS, Action.REMOVE),
        (_COUNTED_TESTS, None),
        (_NEW_TESTS, Action.ADD),
    ):
        for match in pattern.finditer(text):
            if not _counts(text, match, sentence):
                continue
            verb = match.groupdict().get("verb") or ""
            done = action or (Action.ADD if verb.lower() == "added" else Action.REMOVE)
            yield _counted(sentence, match, Kind.TESTS, done, "tests")
    for match in _TESTS.finditer(text):
        if match["verb"] is None or speaks_of_itself(text, match.start(), first=sentence.first):
            if match["verb"] is None and not _stands_free(text, match.start()):
                continue
            begin, stop = sentence.start + match.start(), sentence.start + match.end()
            yield Claim(Kind.TESTS, begin, stop, Action.ADD, "tests", unit="tests")


def _counts(text: str, match: re.Match[str], sentence: Sentence) -> bool:
    verb = (match.groupdict().get("verb") or "").lower()
    if verb.startswith(("add", "remove", "delete", "drop", "bring")) and not match[
        0
    ].lower().endswith(verb):
        return speaks_of_itself(text, match.start(), first=sentence.first)
    return _stands_free(text, match.start())


_VAGUE: Final = re.compile(
    r"\b(?:will|would|should|could|may|might|todo|plan|planned|later|if|unless|until|instead|not|"
    r"never|no|previously|formerly|before|was|had|used\s+to|of\s+the|out\s+of|e\.g|example)\b|n't\b|\?",
    re.I,
)


def _stands_free(text: str, position: int) -> bool:
    """Whether nothing before it in its part of the sentence makes it vague."""
    part = re.split(r"[;:]|\s[—–]\s", text[:position])[-1]
    return not _VAGUE.search(part) and not re.search(r"\b(?:later|follow[- ]?up|next)\b", text)


def _counted(
    sentence: Sentence, match: re.Match[str], kind: Kind, action: Action, unit: str
) -> Claim:
    return Claim(
        kind,
        sentence.start + match.start(),
        sentence.start + match.end(),
        action,
        unit,
        count=to_number(match["count"]),
        bound=_bound(match["bound"]),
        unit=unit,
        scoped=_is_scoped(sentence.text[match.end() :]),
    )


_FILE_ACTIONS: Final = {
    "add": Action.ADD,
    "cre": Action.ADD,
    "del": Action.REMOVE,
    "rem": Action.REMOVE,
    "ren": Action.RENAME,
}


def find_files(sentence: Sentence) -> Iterator[Claim]:
    """``touches 3 files``, ``2 files removed``."""
    for pattern in (_FILES, _FILES_PASSIVE):
        for match in pattern.finditer(sentence.text):
            if pattern is _FILES:
                itself = speaks_of_itself(sentence.text, match.start(), first=sentence.first)
            else:
                itself = _stands_free(sentence.text, match.start())
            quality = " ".join(match["quality"].lower().split())
            words = [word for word in quality.split() if word not in ("new", "more", "whole")]
            if not itself or len(words) > 1 or (pattern is _FILES and "more" in quality):
                continue
            action = _FILE_ACTIONS.get(match["verb"].lower()[:3], Action.CHANGE)
            if "new" in quality.split():
                action = Action.ADD
            yield _counted(sentence, match, Kind.FILES, action, words[0] if words else "files")


def find_counts(sentence: Sentence) -> Iterator[Claim]:
    """```limit` from 3 to 5``, ``timeout_s: 10 → 30``, and values without a name."""
    text = sentence.text
    taken: list[tuple[int, int]] = []
    for match in _FROM_TO.finditer(text):
        target = make_target(match["target"], match.start("target"))
        if (
            not is_symbol(target.text)
            or is_path(target.text)
            or not _stands_free(text, match.start())
        ):
            continue
        if " was " in f" {match['between']} ":
            continue
        taken.append(match.span())
        yield _from_to(sentence, match, target.text, quoted=target.quoted)
    for match in _SET_TO.finditer(text):
        target = make_target(match["target"], match.start("target"))
        if is_symbol(target.text) and speaks_of_itself(text, match.start(), first=sentence.first):
            taken.append(match.span())
            begin, stop = sentence.start + match.start(), sentence.start + match.end()
            yield Claim(
                Kind.COUNT, begin, stop, Action.CHANGE, target.text, new=match["b"],
                unit=match["ub"].strip(), quoted=target.quoted,
            )  # fmt: skip
    for match in _PLAIN_FROM_TO.finditer(text):
        if not any(match.start() < end and start < match.end() for start, end in taken):
            yield _from_to(sentence, match, "", quoted=False)


def _from_to(sentence: Sentence, match: re.Match[str], target: str, *, quoted: bool) -> Claim:
    first = match["a"] is not None
    old, new = (match["a"], match["b"]) if first else (match["c"], match["d"])
    units = (match["ua"], match["ub"]) if first else (match["uc"], match["ud"])
    return Claim(
        Kind.COUNT,
        sentence.start + match.start(),
        sentence.start + match.end(),
        Action.CHANGE,
        target,
        old=old,
        new=new,
        unit=(units[1] or units[0] or "").strip(),
        quoted=quoted,
    )
