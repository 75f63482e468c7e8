"""Secrets blotted out of text before it is sent to a model, and before it is kept. No I/O.

Only what looks like a secret by its own form is found: a password in plain words is not. The
scanners that there are (detect-secrets, trufflehog) report places in files and judge by entropy;
here a text goes on, the same but for its secrets, so false alarms would spoil prompts.

>>> redact("use sk-proj-" + "A1b2" * 10 + " for it")[0]
'use [redacted:api-key] for it'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lakecore.auth import redact as redact_own

_KINDS: Final[tuple[tuple[str, str], ...]] = (
    (
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,32768}?"
        r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----",
    ),
    # The head of a key whose end is not in this text.
    ("private-key", r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\]*"),
    ("api-key", r"\bsk-(?:ant-|proj-|svcacct-|or-v1-|admin-)?[A-Za-z0-9_-]{20,512}"),
    ("api-key", r"\b(?:gsk|xai|pplx|r8|fw|tgp|nvapi|csk)[-_][A-Za-z0-9_-]{20,256}"),
    ("api-key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}"),
    ("token", r"\bgithub_pat_[A-Za-z0-9_]{22,255}"),
    ("token", r"\bglpat-[A-Za-z0-9_-]{20,64}"),
    ("token", r"\bhf_[A-Za-z0-9]{30,64}"),
    ("token", r"\bnpm_[A-Za-z0-9]{36}"),
    ("token", r"\bpypi-Ag[A-Za-z0-9_-]{40,512}"),
    ("token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,256}"),
    ("token", r"\bya29\.[A-Za-z0-9_-]{20,512}"),
    ("token", r"\bdapi[a-f0-9]{32}"),
    ("api-key", r"\b[rsw]k_(?:live|test)_[A-Za-z0-9]{16,256}|\bwhsec_[A-Za-z0-9+/=]{20,128}"),
    ("api-key", r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}"),
    ("aws-key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    ("token", r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}"),
)
"""By the prefix that the issuer gives them; the lengths are the issuers' own, or wider."""

_KEPT: Final[tuple[tuple[str, str], ...]] = (
    (
        "password",
        r"(?P<url>[a-z][a-z0-9+.-]{0,31}://[^\s/:@'\"<>]{0,256}:)[^\s/@'\"<>]{1,512}(?=@)",
    ),
    ("token", r"(?P<bearer>\b(?i:bearer|basic)\s{1,4})[A-Za-z0-9+/._~=-]{16,8192}"),
    (
        "secret",
        r"(?P<named>\b(?i:[a-z0-9_-]{0,48}(?:password|passwd|secret|api[_-]?key|access[_-]?key"
        r"|account[_-]?key|auth[_-]?token|access[_-]?token))\\?[\"']?\s{0,4}[:=]{1,2}\s{0,4}\\?[\"'])"
        r"[^\s\"'\\]{8,512}(?=\\?[\"'])",
    ),
    (
        "secret",
        r"(?P<plain>\b(?i:[a-z0-9_]{0,48}(?:PASSWORD|SECRET|API_?KEY|ACCESS_?KEY|ACCOUNTKEY"
        r"|TOKEN))=)[A-Za-z0-9+/._~=-]{16,512}",
    ),
)
"""By what stands before them, which is kept."""

_NAMES: Final = [kind for kind, _ in _KINDS]
_WHOLE: Final = re.compile("|".join(f"(?P<k{at}>{text})" for at, (_, text) in enumerate(_KINDS)))
_AFTER: Final = tuple((kind, re.compile(text)) for kind, text in _KEPT)
_OWN: Final = "lc_"
_DATA_URL: Final = "data:"
MAX_DEPTH: Final = 64


def redact(text: str) -> tuple[str, int]:
    """The text without its secrets, and how many there were."""
    count = 0

    def whole(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"[redacted:{_NAMES[int((match.lastgroup or 'k0')[1:])]}]"

    if _OWN in text:
        shown = redact_own(text)
        count += shown != text
        text = shown
    text = _WHOLE.sub(whole, text)
    for kind, pattern in _AFTER:
        text, found = pattern.subn(rf"\1[redacted:{kind}]", text)
        count += found
    return text, count


def redact_json(value: Any, *, depth: int = 0) -> tuple[Any, int]:
    """The same of every text in a JSON value, names included; images and sounds stay.

    What is nested deeper than `MAX_DEPTH` is left out: it cannot be looked through.
    """
    if isinstance(value, str):
        return (value, 0) if value.startswith(_DATA_URL) else redact(value)
    if depth >= MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        return None, 1
    if isinstance(value, Mapping):
        count = 0
        found: dict[str, Any] = {}
        for name, inner in value.items():
            shown_name, in_name = redact(str(name))
            found[shown_name], in_value = redact_json(inner, depth=depth + 1)
            count += in_name + in_value
        return found, count
    if isinstance(value, (list, tuple)):
        pairs = [redact_json(inner, depth=depth + 1) for inner in value]
        return [inner for inner, _ in pairs], sum(count for _, count in pairs)
    return value, 0
