"""The stored form of a rule set: the body of its document. No I/O.

======================  ==============================================================
member                  what it is
======================  ==============================================================
`format`                1
`toml`                  the text as somebody wrote it, with its comments
`canonical`             `RuleSet.to_dict` of it, by the Lakecore that stored it
======================  ==============================================================

The text is what is read. The canonical form is for programs and for the journal, where it
shows what a change meant; that both say the same is checked when they are read, so that
nobody can show people one rule set and apply another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from lakecore.base import CorruptData, InvalidInput, UnsupportedFormat
from lakecore.truth._ruleset import RuleSet, canonical_bytes

DOCUMENT_KIND: Final = "truth"
DOCUMENT_NAME: Final = "rules"
FORMAT: Final = 1


def rules_body(rules: RuleSet, toml: str) -> dict[str, Any]:
    """The body of the document that holds `rules`, which were read from `toml`."""
    return {"format": FORMAT, "toml": toml, "canonical": rules.to_dict()}


def rules_text(body: Mapping[str, Any], *, where: str) -> str:
    """The TOML in a document's body. `CorruptData` where there is none."""
    version = body.get("format")
    if version != FORMAT:
        raise UnsupportedFormat(
            "the stored rules are of a format that is not known",
            expected=FORMAT,
            found=version,
            where=where,
            hint="read this lake with the Lakecore that wrote it, or a newer one",
        )
    text = body.get("toml")
    if not isinstance(text, str):
        raise CorruptData("the stored rules have no text", where=where)
    return text


def rules_from_body(body: Mapping[str, Any], *, version: int, where: str) -> RuleSet:
    """The rule set in a document's body.

    Raises:
        CorruptData: it does not read, or its two forms differ.
        UnsupportedFormat: a newer Lakecore wrote it.
    """
    text = rules_text(body, where=where)
    try:
        rules = RuleSet.from_toml(text, source=where, version=version)
        canonical = RuleSet.from_dict(body.get("canonical") or {}, source=where)
    except InvalidInput as error:
        raise CorruptData("the stored rules do not read", where=where, found=error) from error
    if canonical != rules:
        raise CorruptData(
            "the stored rules' text and canonical form differ",
            where=where,
            expected=rules.hash,
            found=canonical.hash,
        )
    return rules


def rules_hash(canonical: Mapping[str, Any]) -> str:
    """The hash of a stored canonical form, as the Lakecore that stored it had it."""
    return hashlib.sha256(canonical_bytes(canonical)).hexdigest()
