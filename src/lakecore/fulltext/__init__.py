"""Full text: an index of words in a local folder, ranked by BM25, kept by tantivy.

    rows -> folded -> cut into words -> one commit        text -> tree -> the engine's query -> hits

Words are compared without case, accents and width (`_fold`), in any script. What a person may type:

=====================  ======================================================================
``red apple``          either word; rows with both, with the rarer one, and shorter ones first
``+red apple``         the first word must be there
``red -apple``         the second must not; ``NOT apple`` is the same
``red AND apple``      both; ``OR`` is what stands between words anyway
``"red apple"``        the words after each other, as they are written
``app*``               words that begin so, as they are written
``title:apple``        in that field, where the index has one of that name
``(red blue) AND b*``  parentheses, 16 deep
=====================  ======================================================================

It is safe with text of strangers: 4,096 characters, 256 words, and what is not of the language is
an `InvalidInput`. With ``plain=True`` nothing of a text is an operator. ``AND`` goes before ``OR``.

==============  ====================================================================
`_index`        `TextIndex`: the face
`_fold`         letters as they are compared (pure)
`_parse`        the query language (pure); `_compile`: the engine's queries of it
`_analysis`     how text is cut, and words stemmed
`_highlight`    where in a value the words are
`_rows`         tables, checked (pure); `_columns`: names of fields (pure)
`_engine`       the engine in its folder: commits, snapshots, its errors as ours
`_folder`       what a folder says of its index; `_check`: whether its files are whole
==============  ====================================================================

An index is derived: what is damaged is built anew from its dataset. Numbers are those of the rows
in the files: of rows that were replaced words count for the scores until their segment is merged.

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

from lakecore.fulltext._analysis import LANGUAGES
from lakecore.fulltext._highlight import Span
from lakecore.fulltext._index import TextHit, TextIndex

__all__ = ["LANGUAGES", "Span", "TextHit", "TextIndex"]
