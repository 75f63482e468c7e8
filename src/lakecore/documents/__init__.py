"""Small versioned documents (catalog entries, rules, keys) under the one commit protocol.

A document is a JSON object with a kind and a name. Every change creates its next
version, `documents/<kind>/<name>/<version, 20 digits>.json`, create-only; the creation
is the commit, and the object carries the commit record that ties it to its events in
the journal. Nothing is overwritten, so two processes that change one document at a time
never lose a change: one of them creates version n + 1, the other reads it and plans again.

    change -> diff against the version read -> stage events -> create n + 1 -> acknowledge

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Author, Journal
>>> from lakecore.storage import open_store
>>> store = open_store("memory://")
>>> documents = Documents(store, Journal.open(store, Path(mkdtemp())))
>>> author = Author(actor="ada", reason="first")
>>> documents.change("notes", "a", lambda now: {"text": "x"}, author=author).version
0
>>> documents.change("notes", "a", lambda now: {**now.body, "text": "y"}, author=author).version
1
>>> documents.get("notes", "a").body
{'text': 'y'}
"""

from lakecore.documents._document import (
    Document,
    body_of,
    body_sha256,
    parse_document,
    split_path,
)
from lakecore.documents._documents import Documents

__all__ = ["Document", "Documents", "body_of", "body_sha256", "parse_document", "split_path"]
