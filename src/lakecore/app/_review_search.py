"""The search over reviews: the index in the state directory, brought up to the lake's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from lakecore.app._lake import Lake
    from lakecore.review import Hit

FILE_NAME: Final = "review-index.sqlite"
MAX_LIMIT: Final = 200
_COLUMNS: Final = {
    "reviews": "time, repository, bar, run_id, path, purpose, outcome, verdict, answer",
    "findings": "time, repository, bar, finding_id, path, symbol, severity, state, claim, quote, "
    "line",
}


def search_reviews(
    lake: Lake,
    term: str,
    *,
    repository: str | None = None,
    kind: str | None = None,
    limit: int = 20,
) -> list[Hit]:
    """What a symbol or term is in, the best first.

    Who may not read `system.reviews` and `system.findings` is refused: they are asked each time.

    Raises:
        InvalidInput: nothing to look for, no such kind, or a bad limit.
    """
    from lakecore.review import SEARCHED, ReviewIndex, term_words

    if not term_words(term):
        raise InvalidInput("nothing to look for", expected="a name or a word", found=term[:80])
    if kind is not None and kind not in SEARCHED:
        raise InvalidInput("no such kind", expected=", ".join(SEARCHED), found=kind[:80])
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput("not a limit", expected=f"1 to {MAX_LIMIT}", found=limit)
    index = ReviewIndex(lake._parts.state_dir / FILE_NAME)

    def count(name: str, until: datetime | None) -> tuple[int, datetime | None]:
        query = f"select count(*) as n, max(time) as newest from system.{name} "
        query += "where $until is null or time <= $until"
        with lake.sql(query, {"until": until}, engine="datafusion") as result:
            [row] = result.to_pylist()
        return row["n"], row["newest"]

    def read(name: str, since: datetime | None) -> Iterable[Mapping[str, Any]]:
        query = f"select {_COLUMNS[name]} from system.{name} "
        query += "where $since is null or time > $since order by time"
        with lake.sql(query, {"since": since}, engine="datafusion") as result:
            for batch in result.batches():
                yield from batch.to_pylist()

    index.sync(count, read)
    return index.search(term, repository=repository, kind=kind, limit=limit)
