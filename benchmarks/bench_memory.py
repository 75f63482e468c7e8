"""Peak resident memory of ingesting a generated large CSV, with that of the largest child."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.data import large_csv
from benchmarks.pairs import Result, line

_CHILD = """
import json, resource, sys, time
import lakecore
csv, lake, key = sys.argv[1], sys.argv[2], sys.argv[3:]
start = time.perf_counter()
with lakecore.open(lake, actor="bench") as open_lake:
    result = open_lake.ingest(csv, dataset="large", key=key)[0]
own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
child_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # 0 where there was none
print(json.dumps({"peak_gib": (own_kib + child_kib) / 2**20,
                  "seconds": time.perf_counter() - start, "rows": result.inserted}))
"""


def run(folder: Path) -> list[Result]:
    size_gb = float(os.environ.get("LAKECORE_BENCH_GB", "1"))
    results = []
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        csv = large_csv(Path(temp) / "large.csv", int(size_gb * 1e9))
        for name, key, reach_gib in (("unkeyed", [], 1.0), ("keyed", ["id"], 1.5)):
            done = subprocess.run(
                [sys.executable, "-c", _CHILD, str(csv), str(Path(temp) / name), *key],
                check=True,
                capture_output=True,
                text=True,
            )
            figures = json.loads(done.stdout.splitlines()[-1])
            result = Result(
                name=f"peak GiB, ingest of {size_gb:g} GB CSV, {name}",
                ours_s=figures["peak_gib"],
                peer_s=None,
                ratio=None,
                reach=reach_gib,
                runs=1,
                note=f"GiB, not seconds; {figures['rows']:,} rows in {figures['seconds']:.0f} s",
            )
            print(line(result), flush=True)
            results.append(result)
    return results
