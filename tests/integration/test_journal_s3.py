"""`system.journal` in a bucket: what a question costs in requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes.journals import open_journal, sample
from tests.servers import BUCKET, s3_options

from lakecore.app._journal_table import journal_table
from lakecore.journal import JournalSettings
from lakecore.query import QueryEngine
from lakecore.storage import open_store

SEGMENTS = 12


class Counting:
    """A store that counts its requests by kind."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.counts: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("get_range", "head", "get", "open", "list_objects"):
            return found

        def counted(*args: Any, **options: Any) -> Any:
            self.counts[name] = self.counts.get(name, 0) + 1
            return found(*args, **options)

        return counted


@pytest.mark.parametrize(
    ("condition", "rows", "reads"),
    [
        ("seq between 450 and 459", 10, 4),
        ("seq >= 0 and actor = 'ada'", SEGMENTS * 100, 3 * SEGMENTS),
        ("timestamp < '2000-01-01T00:00:00Z'", 0, 0),
    ],
)
def test_requests_of_a_question(
    s3_endpoint: str, tmp_path: Path, condition: str, rows: int, reads: int
) -> None:
    """A listing before and one after; then only of files that can match, a few ranges each."""
    uri = f"s3://{BUCKET}/journal-{reads}"
    store = open_store(uri, options=s3_options(s3_endpoint))
    settings = JournalSettings(background=False, direct="hot")
    with open_journal(store, tmp_path / "state", settings=settings) as journal:
        for number in range(SEGMENTS):
            journal.record_batch(sample(f"s{number}", 100))
            journal.seal()
        counting = Counting(store)

        class Source:
            """`system.journal` alone."""

            def schemas(self) -> list[str]:
                return ["system"]

            def tables(self, schema: str) -> list[str]:
                return ["journal"]

            def table(self, schema: str, name: str, **_: Any) -> Any:
                return journal_table(counting, journal)

        with QueryEngine(Source()) as engine:
            query = f"select count(entity_id) n from system.journal where {condition}"
            assert engine.sql(query).to_pylist() == [{"n": rows}]
        assert counting.counts.pop("list_objects") == 2
        assert counting.counts.pop("get_range", 0) <= reads
        assert counting.counts == {}
    store.close()
