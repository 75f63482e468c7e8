"""One mutation undone row by row, from its events: the inverse of each, where it still holds.

What somebody changed since is left alone: it is a conflict, by row and field. So of a
commit that several mutations share only the rows of the one are touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lakecore.tables._attempt import Attempt
from lakecore.tables._conflicts import Conflicts, Later
from lakecore.tables._inverse import Inverse
from lakecore.tables._keys import candidate_files, key_frame
from lakecore.tables._merge import match_keys
from lakecore.tables._mutation_events import MutationEvents
from lakecore.tables._operations import tables_of
from lakecore.tables._rewrite import Rewriter, journal_inserts


class RevertRows:
    """Rows that came go, rows that went come back, fields get their old values.

    Args:
        skip_conflicts: undo the rest where something was changed since.
        later: names the mutation that a conflict is with.
    """

    name = "REVERT"
    removes = True

    def __init__(
        self,
        events: MutationEvents,
        mutation_id: str,
        *,
        skip_conflicts: bool,
        later: Later | None,
    ) -> None:
        self._whole = events.whole()
        self._cells = events.cells()
        self._mutation_id = mutation_id
        self._skip_conflicts = skip_conflicts
        self._later = later

    def parameters(self) -> dict[str, str]:
        return {"mutation": self._mutation_id}

    def discard(self) -> None:
        """Attempts own everything."""

    def plan(self, attempt: Attempt) -> None:
        conflicts = Conflicts()
        key = attempt.dataset.key
        wanted = Inverse(self._whole, self._cells, attempt.schema, key, conflicts)
        found = np.zeros(wanted.count, dtype=np.bool_)
        keys = key_frame(wanted.keys, key)
        with Rewriter(attempt) as rewriter:
            for file in candidate_files(attempt.base, key, keys):
                positions, sources = match_keys(attempt, file, keys)
                found[sources] = True
                if len(positions):
                    rewriter.rewrite(file, wanted.toucher(positions, sources))
        for source in np.flatnonzero(~found & ~wanted.absent & ~wanted.hopeless).tolist():
            conflicts.add((wanted.ids[source], "*"), "the row", None)
        self._bring_back(attempt, wanted, ~found & wanted.absent & ~wanted.hopeless)
        attempt.conflicts = conflicts.count
        if conflicts.count and not self._skip_conflicts:
            raise conflicts.error(attempt.dataset.name, self._later)

    def _bring_back(self, attempt: Attempt, wanted: Inverse, which: Any) -> None:
        rows = wanted.old.filter(pa.array(which))
        if not rows.num_rows:
            return
        attempt.inserted += rows.num_rows
        writer = attempt.rolling_writer()
        try:
            reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
            for part in tables_of(reader, attempt.settings):
                journal_inserts(attempt, part)
                if not attempt.dry_run:
                    writer.write(part)
            files = writer.finish()
        except BaseException as error:
            writer.abort(error)
            raise
        finally:
            attempt.own_files.extend(writer.files)
        attempt.adds.extend(files)
