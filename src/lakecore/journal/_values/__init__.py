"""JSON text of values (`values`, `text`, `columns`); hashes of rows (`row_hash`, `multiset`)."""
