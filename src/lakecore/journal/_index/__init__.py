"""Line blocks and postings beside the segments: where an entity's events are, and their lines.

Everything here is derived and may be lost at any time: `journal/index/` can be deleted
whole, and is built again. No answer depends on it. What is not covered, damaged or of
other events is read from the segments.

==========  ========================================================================
`layout`    the bytes of both files, as they are read
`arrays`    the same as arrays: what building and merging compute with
`names`     what they are called, and which of them answer for a range
`files`     open files, on a disk or a remote store; bounded
`index`     questions: positions of an entity, lines and leaves of positions
`indexer`   building beside sealing, merging small files, filling gaps
`merge`     merged postings, streamed
==========  ========================================================================

Sealing a segment leaves one ``<first>-<end>.lines``. Sixteen small neighbours become one,
and one file covers each complete range of 2^16 events. Sixteen of those give postings for
2^20 events, and sixteen of those for 2^24, so that the number of places where an entity is
looked for hardly grows with the journal. What a larger file replaces is deleted once that
one is durable; a reader that loses a file under its hands looks again.
"""

from lakecore.journal._index.index import Found, Index, roots_of
from lakecore.journal._index.indexer import CATCH_UP_EVENTS, Indexer

__all__ = ["CATCH_UP_EVENTS", "Found", "Index", "Indexer", "roots_of"]
