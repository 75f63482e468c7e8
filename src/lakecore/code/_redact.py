"""Secrets taken out of a text before it is sent or kept; pure."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "[redacted]"

_PATTERNS: Final = tuple(
    re.compile(pattern, re.S if "PRIVATE" in pattern else 0)
    for pattern in (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}\b|\bgithub_pat_\w{20,}\b|\bglpat-[\w-]{20,}",
        r"\bsk-[A-Za-z0-9_-]{20,}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[\w-]{35}\b",
        r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}\b",
    )
)
_NAMED: Final = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|access_?key|client_?secret|private_?key)"
    r"[\"']?\s*(?::=|[:=])\s*[\"'])([^\"'\s]{8,})([\"'])"
)
_IN_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+@")


def redacted(text: str) -> str:
    """The text with what looks like a secret replaced.

    >>> redacted('token = "0123456789abcdef"')
    'token = "[redacted]"'
    """
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    text = _NAMED.sub(rf"\1{MASK}\3", text)
    return _IN_URL.sub(rf"\1{MASK}@", text)
