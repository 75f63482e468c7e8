"""Full text: an index of words in a local folder, ranked by BM25.

>>> from tempfile import mkdtemp
>>> import pyarrow as pa
>>> from lakecore.fulltext import TextIndex
>>> index = TextIndex.create(mkdtemp(), ["title", "body"])
>>> rows = {"key": ["1", "2"], "title": ["Crème brûlée", "Bread"], "body": ["Sugar, cream", None]}
>>> index.update(pa.table(rows))
>>> [hit.key for hit in index.search("creme -bread")], index.count
(['1'], 2)
>>> index.highlight("creme", "Crème brûlée")
[Span(start=0, end=5)]
>>> index.update(deletes=["1"])
>>> index.search("cream")
[]
"""

from lakecore.fulltext._highlight import Span
from lakecore.fulltext._index import TextHit, TextIndex

__all__ = ["Span", "TextHit", "TextIndex"]
