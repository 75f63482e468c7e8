"""Whether a piece of code changed, or only how it is written. Pure.

White space and comments are no change, and neither is another name for something that the
file itself defines, all the way through: a fix has to change what the tokens say. A name that
comes from elsewhere is another thing when it changes: `open` is not `safe_open`.
"""

from __future__ import annotations

import re
from typing import Final

_HASH_COMMENTS: Final = frozenset(("python", "ruby", "shell", "toml", "yaml"))
_SLASH_COMMENTS: Final = frozenset(("rust", "typescript", "tsx", "javascript", "go", "c", "java"))
_TOKEN: Final = re.compile(
    r"""
    (?P<string>[rbuf]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?''')
       |[rbuf]{0,2}"(?:\\.|[^"\\\n])*" | [rbuf]{0,2}'(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`)
  | (?P<number>\d[\w.]*)
  | (?P<name>[^\W\d]\w*)
  | (?P<hash>\#[^\n]*)
  | (?P<line>//[^\n]*)
  | (?P<block>/\*.*?\*/)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
    and as async await break case class const continue def default del do elif else enum except
    export extends False finally fn for from func function go if impl import in interface is
    lambda let loop match mod mut new None nonlocal nil not null or pass pub raise ref return
    self Self static struct super switch this throw trait true false True try type undefined
    unsafe use var where while with yield
    """,
    )
)
_DEFINITION: Final = (
    r"\b(?:def|class|fn|func|function|let|let mut|const|var|static|struct|enum|type|trait|mod|for)"
    r"\s+{name}\b|^\s*{name}\s*(?::[^=\n]+)?:?=(?!=)"
)


def tokens(text: str, language: str = "") -> list[tuple[str, str]]:
    """(kind, token) without white space and comments; kinds: string, number, name, other.

    A text that begins within a string or a comment is read as if it did not.
    """
    found: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            continue
        if kind == "hash":
            if language in _HASH_COMMENTS or not language:
                continue
            kind = "other"
        if kind in ("line", "block"):
            if language in _SLASH_COMMENTS or not language:
                continue
            kind = "other"
        token = match.group()
        if kind == "name" and token in _KEYWORDS:
            kind = "other"
        found.append((kind, token))
    return found


def is_changed(
    old: str, new: str, language: str = "", *, old_file: str = "", new_file: str = ""
) -> bool:
    """Whether `new` says something else than `old`: not spacing, comments, or renamed names.

    Args:
        old_file, new_file: the whole texts; a name may differ where its definition, in them,
            went from the one name to the other.
    """
    mine, theirs = tokens(old, language), tokens(new, language)
    if len(mine) != len(theirs):
        return True
    renamed: dict[str, str] = {}
    for (kind, token), (other_kind, other) in zip(mine, theirs, strict=True):
        if kind != other_kind or (kind != "name" and token != other):
            return True
        if kind == "name" and renamed.setdefault(token, other) != other:
            return True
    return any(
        token != other and not _is_renamed(token, other, old_file, new_file)
        for token, other in renamed.items()
    )


def contains(text: str, quote: str, language: str = "") -> bool:
    """Whether the quote's tokens are in the text, in order and without a gap."""
    wanted = [token for _, token in tokens(quote, language)]
    have = [token for _, token in tokens(text, language)]
    if not wanted:
        return False
    # As one text: names and numbers cannot run into each other over the separator.
    return "\0" + "\0".join(wanted) + "\0" in "\0" + "\0".join(have) + "\0"


def _is_renamed(token: str, other: str, old_file: str, new_file: str) -> bool:
    """Whether something that was defined as `token` is now defined as `other`, and only so."""
    return (
        _defines(old_file, token)
        and _defines(new_file, other)
        and not _has_name(new_file, token)
        and not _has_name(old_file, other)
    )


def _defines(text: str, name: str) -> bool:
    found = re.search(_DEFINITION.format(name=re.escape(name)), text, re.MULTILINE)
    return found is not None


def _has_name(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
