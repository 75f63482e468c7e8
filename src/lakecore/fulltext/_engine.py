"""The engine in its folder: one writer at a time, readers on snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lakecore.base import CorruptData
from lakecore.fulltext._analysis import EXACT, STEMMED, Analysis, load_tantivy
from lakecore.fulltext._columns import KEY
from lakecore.fulltext._folder import ENGINE, About, sync
from lakecore.fulltext._rows import Row


class Engine:
    """tantivy over one folder."""

    def __init__(self, folder: Path, about: About, analysis: Analysis) -> None:
        self._folder = folder / ENGINE
        self._about = about
        engine = load_tantivy()
        self._tantivy = engine
        builder = engine.SchemaBuilder().add_text_field(
            KEY, stored=True, tokenizer_name="raw", index_option="basic"
        )
        columns = about.columns
        for field in about.fields:
            builder = builder.add_text_field(
                columns.column(field, stemmed=False), tokenizer_name=EXACT
            )
            if columns.has_stems:
                builder = builder.add_text_field(
                    columns.column(field, stemmed=True), tokenizer_name=STEMMED
                )
        self.schema = builder.build()
        try:
            self._index = engine.Index(self.schema, path=str(self._folder))
        except ValueError as error:
            raise CorruptData("a text index cannot be opened", where=folder) from error
        analysis.register(self._index)
        self._index.config_reader("manual")

    def searcher(self) -> Any:
        """The newest snapshot."""
        self._index.reload()
        return self._index.searcher()

    def find(self, searcher: Any, query: Any, limit: int) -> Iterator[tuple[str, float]]:
        """Keys and scores."""
        for score, address in searcher.search(query, limit, count=False).hits:
            yield searcher.doc(address)[KEY][0], score

    def write(self, rows: Iterable[Row], deletes: Sequence[str], *, heap_bytes: int) -> None:
        """One commit."""
        columns = self._about.columns
        names = [columns.column(field, stemmed=False) for field in self._about.fields]
        stems = [columns.column(field, stemmed=True) for field in self._about.fields]
        writer = self._index.writer(heap_bytes, 1)
        try:
            for key in deletes:
                writer.delete_documents_by_term(KEY, key)
            for key, texts in rows:
                writer.delete_documents_by_term(KEY, key)
                document = self._tantivy.Document()
                document.add_text(KEY, key)
                for name, stem, text in zip(names, stems, texts, strict=True):
                    if text is not None:
                        document.add_text(name, text)
                        if columns.has_stems:
                            document.add_text(stem, text)
                writer.add_document(document)
            writer.commit()
        finally:
            writer.wait_merging_threads()
        sync(self._folder)
        self._index.reload()

    def close(self) -> None:
        """Let go of the files."""
        del self._index
