"""From the tree of a query to the engine's queries: words cut and folded as the index has them.

A query of the engine is an object of its own; None is one without a word in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from lakecore.base import InvalidInput
from lakecore.fulltext._analysis import Analysis, load_tantivy
from lakecore.fulltext._columns import Columns
from lakecore.fulltext._parse import Group, Node, Occur, Phrase, Prefix, Word

MAX_SCORED_PREFIX_WORDS: Final = 64
"""Words that a prefix stands for; of more, all are found still, but all count the same."""


class Compiler:
    """Queries for one snapshot of one index."""

    def __init__(
        self,
        analysis: Analysis,
        columns: Columns,
        schema: Any,
        searcher: Any,
    ) -> None:
        engine = load_tantivy()
        self._query: Any = engine.Query
        self._occur = {
            Occur.SHOULD: engine.Occur.Should,
            Occur.MUST: engine.Occur.Must,
            Occur.NOT: engine.Occur.MustNot,
        }
        self._analysis = analysis
        self._columns = columns
        self._schema = schema
        self._searcher = searcher

    def compile(self, tree: Group, fields: Sequence[str]) -> Any:
        """The engine's query over `fields`.

        Raises:
            InvalidInput: there is no word in it, or it says only what not to find.
        """
        query = self._group(tree, fields)
        if query is None:
            raise InvalidInput(
                "there is nothing to search for",
                expected="a word at least",
                hint="signs alone are no words, nor is what is longer than 255 bytes",
            )
        return query

    def restrict(self, query: Any, keys: Sequence[str]) -> Any:
        """`query`, but only what has one of `keys`; the scores stay."""
        among = self._query.term_set_query(self._schema, "key", list(keys))
        must = self._occur[Occur.MUST]
        return self._query.boolean_query(
            [(must, query), (must, self._query.const_score_query(among, 0.0))]
        )

    def _node(self, node: Node, fields: Sequence[str]) -> Any:
        if isinstance(node, Group):
            return self._group(node, fields)
        chosen = fields if node.field is None else [node.field]
        return _any(self._query, self._occur, self._leaves(node, chosen))

    def _group(self, group: Group, fields: Sequence[str]) -> Any:
        chosen = fields if group.field is None else [group.field]
        clauses: list[tuple[Any, Any]] = []
        found = False
        for occur, node in group.clauses:
            if occur is Occur.SHOULD and not isinstance(node, Group):
                # Side by side, not nested: the engine skips what cannot be among the best.
                within = chosen if node.field is None else [node.field]
                queries = self._leaves(node, within)
            else:
                query = self._node(node, chosen)
                queries = [] if query is None else [query]
            clauses += [(self._occur[occur], query) for query in queries]
            found = found or (bool(queries) and occur is not Occur.NOT)
        if not clauses:
            return None
        if not found:
            raise InvalidInput(
                "the search text says only what not to find", expected="a word to find, too"
            )
        if len(clauses) == 1:
            return clauses[0][1]
        return self._query.boolean_query(clauses)

    def _leaves(self, node: Word | Prefix | Phrase, fields: Sequence[str]) -> list[Any]:
        """One query a field, and of a prefix one a word; none where there is no word in it."""
        stemmed = isinstance(node, Word)
        words = self._analysis.words(node.text, stemmed=stemmed)
        if not words:
            return []
        queries: list[Any] = []
        for field in fields:
            column = self._columns.column(field, stemmed=stemmed)
            if isinstance(node, Prefix):
                queries += self._prefix(column, words)
            elif len(words) == 1:
                queries.append(self._query.term_query(self._schema, column, words[0]))
            else:
                queries.append(self._query.phrase_query(self._schema, column, words))
        return queries

    def _prefix(self, column: str, words: list[str]) -> list[Any]:
        if len(words) > 1:
            return [self._query.phrase_prefix_query(self._schema, column, words)]
        most = MAX_SCORED_PREFIX_WORDS + 1
        found = self._searcher.terms_with_prefix(column, words[0], limit=most)
        if len(found) < most:
            return [self._query.term_query(self._schema, column, word) for word, _ in found] or [
                self._query.term_query(self._schema, column, words[0])
            ]
        return [self._query.regex_query(self._schema, column, re.escape(words[0]) + ".*")]


def _any(query: Any, occur: Any, queries: list[Any]) -> Any:
    if len(queries) < 2:
        return queries[0] if queries else None
    return query.boolean_query([(occur[Occur.SHOULD], one) for one in queries])
