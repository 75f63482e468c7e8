"""The rules of a lake: the document that holds them, its versions, and how they are changed."""

from __future__ import annotations

from typing import Final

from lakecore.documents import Document, Documents
from lakecore.truth import DOCUMENT_KIND, DOCUMENT_NAME, RuleSet, rules_from_body

_NONE: Final = RuleSet.from_dict({}, source="no rules")


class Rules:
    """The rule set in force, and its past. Threads and processes may share it.

    Args:
        documents: where the rules are kept, as ``truth/rules``.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._read: tuple[int, RuleSet] | None = None

    def current(self) -> RuleSet:
        """The rules in force now: one listing, so that another process's are seen at once.

        Of a lake without rules an empty rule set, whose `version` is None.
        """
        document = self._documents.get(DOCUMENT_KIND, DOCUMENT_NAME)
        if document is None:
            return _NONE
        known = self._read
        if known is not None and known[0] == document.version:
            return known[1]
        rules = _rules_of(document)
        self._read = (document.version, rules)
        return rules


def _rules_of(document: Document) -> RuleSet:
    if document.body is None:
        return RuleSet.from_dict({}, source=document.path, version=document.version)
    return rules_from_body(document.body, version=document.version, where=document.path)
