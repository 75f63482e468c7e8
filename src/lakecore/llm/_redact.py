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
from functools import partial
from typing import Any, Final

from lakecore.auth import redact as redact_own

_PEM: Final = r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
_END: Final = r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"

_KINDS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "private-key",
        "PRIVATE KEY",
        # Whole, or its head where its end is not in this text.
        rf"{_PEM}(?:(?:[^-]|-(?!----)){{0,32768}}{_END}|[A-Za-z0-9+/=\s\\]*)",
    ),
    ("api-key", "sk-", r"\bsk-(?:ant-|proj-|svcacct-|or-v1-|admin-)?[A-Za-z0-9_-]{20,512}"),
    ("api-key", "gsk_", r"\bgsk_[A-Za-z0-9]{20,256}"),
    ("api-key", "xai-", r"\bxai-[A-Za-z0-9]{20,256}"),
    ("api-key", "pplx-", r"\bpplx-[A-Za-z0-9]{20,256}"),
    ("api-key", "nvapi-", r"\bnvapi-[A-Za-z0-9_-]{20,256}"),
    ("api-key", "AIza", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("api-key", "k_live_", r"\b[rs]k_live_[A-Za-z0-9]{16,256}"),
    ("api-key", "k_test_", r"\b[rs]k_test_[A-Za-z0-9]{16,256}"),
    ("api-key", "SG.", r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}"),
    ("secret", "whsec_", r"\bwhsec_[A-Za-z0-9+/=]{20,128}"),
    ("token", "gh", r"\bgh[pousr]_[A-Za-z0-9]{36,255}"),
    ("token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,255}"),
    ("token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,64}"),
    ("token", "hf_", r"\bhf_[A-Za-z0-9]{30,64}"),
    ("token", "npm_", r"\bnpm_[A-Za-z0-9]{36}"),
    ("token", "pypi-Ag", r"\bpypi-Ag[A-Za-z0-9_-]{40,512}"),
    ("token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,256}"),
    ("token", "ya29.", r"\bya29\.[A-Za-z0-9_-]{20,512}"),
    ("token", "dapi", r"\bdapi[a-f0-9]{32}"),
    ("token", "eyJ", r"\beyJ[\w-]{8,4096}\.[\w-]{8,8192}\.[\w-]{8,2048}"),
    ("aws-key", "A", r"\bA(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}\b"),
)
"""Kind, a text without which it cannot occur, and the whole: by the prefix that the issuer gives
its secrets. The lengths are the issuers' own, or wider."""

_KEPT: Final[tuple[tuple[str, str, str], ...]] = (
    ("password", "://", r"(://[^\s/:@'\"<>]{0,256}:)[^\s/@'\"<>]{1,512}(?=@)"),
    ("token", "bearer", r"(\bbearer\s{1,4})[A-Za-z0-9+/._~=-]{16,8192}"),
    ("token", "basic", r"(\bbasic\s{1,4})[A-Za-z0-9+/=]{16,8192}"),
    *(
        (
            "secret",
            word,
            rf"({word}\\?[\"']?\s{{0,4}}[:=]{{1,2}}\s{{0,4}}\\?[\"'])[^\s\"'\\]{{8,512}}(?=\\?[\"'])"
            rf"|({word}=)[A-Za-z0-9+/._~-]{{16,512}}={{0,2}}",
        )
        for word in (
            *("password", "passwd", "secret", "api_key", "api-key", "apikey", "access_key"),
            *("access-key", "accesskey", "account_key", "accountkey", "auth_token", "token"),
        )
    ),
)
"""Kind, a text in small letters without which it cannot occur, and what stands before the secret
(kept) and the secret. Capitals do not matter."""

_WHOLE: Final = tuple((kind, needed, re.compile(text)) for kind, needed, text in _KINDS)
_AFTER: Final = tuple((kind, needed, re.compile(text, re.I)) for kind, needed, text in _KEPT)
_OWN: Final = "lc_"
_DATA_URL: Final = "data:"
MAX_DEPTH: Final = 64


def redact(text: str) -> tuple[str, int]:
    """The text without its secrets, and how many there were."""
    count = 0
    if _OWN in text:
        shown = redact_own(text)
        count += shown != text
        text = shown
    for kind, needed, pattern in _WHOLE:
        if needed in text:
            text, found = pattern.subn(f"[redacted:{kind}]", text)
            count += found
    small = text.lower()
    for kind, needed, pattern in _AFTER:
        if needed in small:
            text, found = pattern.subn(partial(_kept, kind), text)
            count += found
    return text, count


def _kept(kind: str, match: re.Match[str]) -> str:
    return f"{match[match.lastindex or 0]}[redacted:{kind}]"


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
