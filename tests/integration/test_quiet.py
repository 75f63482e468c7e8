"""Standard output belongs to results: no library writes there, however long it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHILD = '''
import sys
import duckdb

class Watched:
    """A connection that refuses to run a query while DuckDB's progress bar is on."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def _run(self, name, text, *rest):
        bar = "select current_setting('enable_progress_bar')"
        if not text.startswith("set ") and self._connection.execute(bar).fetchall()[0][0]:
            raise SystemExit(f"with a progress bar on stdout: {text[:80]}")
        return getattr(self._connection, name)(text, *rest)

    def sql(self, text, *rest):
        return self._run("sql", text, *rest)

    def execute(self, text, *rest):
        return self._run("execute", text, *rest)

connect, watched = duckdb.connect, []
def watching(*arguments, **options):
    watched.append(Watched(connect(*arguments, **options)))
    return watched[-1]
duckdb.connect = watching

import lakecore
from lakecore.tables import TableSettings
import lakecore.tables._tables as tables
tables.TableSettings = lambda: TableSettings(keys_in_memory=10)

csv, json, lake = sys.argv[1:]
with lakecore.open(lake, actor="ada") as opened:
    opened.ingest(csv, dataset="a", key=["id"])
    opened.ingest(json, dataset="b")
    opened.ingest(csv, dataset="a", key=["id"], mode="upsert",
                  options=lakecore.IngestOptions(again=True))
    opened.sql("select count(*) from a").to_arrow()
    opened.verify()
assert len(watched) >= 3, "the readers go through DuckDB"
'''


def test_an_ingest_writes_nothing_to_standard_output(tmp_path: Path) -> None:
    """Neither DuckDB's progress bar nor anything else."""
    rows = 300_000
    csv, json = tmp_path / "a.csv", tmp_path / "b.json"
    csv.write_text("id,n\n" + "".join(f"k{n},{n}\n" for n in range(rows)))
    json.write_text("[" + ",".join(f'{{"n": {n}}}' for n in range(20_000)) + "]")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(csv), str(json), str(tmp_path / "lake")],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""
