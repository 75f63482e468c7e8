"""Writes index files of format 1, as they are found in lakes.

Every later release reads them, or says that it does not. Run it after a deliberate change
of the format, which is a new format number and new files; never to make a test pass:

    python -m tests.golden.generate_index_v1
"""

from __future__ import annotations

from pathlib import Path

from tests.golden.generate_journal_v1 import FIRST_SEQ, table

from lakecore.journal._events.leaf import leaf_lines
from lakecore.journal._index import arrays, merge
from lakecore.journal._index.files import OpenFiles
from lakecore.journal._index.names import Name
from lakecore.storage import Store, open_store

LINES = Path(__file__).with_name("journal_index_v1.lines")
POSTINGS = Path(__file__).with_name("journal_index_v1.postings")
ROOT = bytes(range(32))


def lines_name() -> Name:
    return Name(FIRST_SEQ, FIRST_SEQ + table().num_rows, True)


def postings_name() -> Name:
    """Postings over the one file of lines: of no range that a lake has, of the same bytes."""
    name = lines_name()
    return Name(name.first, name.end, False)


def lines_bytes() -> bytes:
    """The lines of the golden events."""
    rows = table()
    postings = arrays.postings_of(rows.column("entity_id"))
    return arrays.encode_lines(lines_name(), [leaf_lines(rows)], postings, ROOT)


def postings_bytes() -> bytes:
    store = open_store("memory://")
    store.put(lines_name().path, LINES.read_bytes())
    source = opened(store).get(lines_name())
    merge.merge_postings(store, postings_name(), [source], ROOT)
    return store.get(postings_name().path)


def opened(store: Store) -> OpenFiles:
    return OpenFiles(store, lambda size: ROOT)


if __name__ == "__main__":
    LINES.write_bytes(lines_bytes())
    POSTINGS.write_bytes(postings_bytes())
