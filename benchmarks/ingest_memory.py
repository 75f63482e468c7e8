"""Peak memory of reading a large CSV: writes one, reads it to its end, prints MiB and MB/s.

    python benchmarks/ingest_memory.py [size in GB, default 1] [--lake]

The generator streams. With `--lake` the file goes into a lake; without, only the source is
read, which is ingest's own share.
"""

from __future__ import annotations

import itertools
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def lines(seed: int = 1) -> Iterator[str]:
    """Records of numbers, texts, dates and nulls; one in 100,000 is ragged."""
    chance = random.Random(seed)
    block = [
        f"{chance.random():.6f},{chance.randrange(10**6)},name {chance.randrange(10**5)},"
        f"2024-0{chance.randrange(1, 10)}-1{chance.randrange(10)},"
        f'"a, quoted {chance.randrange(1000)}",{chance.choice(["NA", "7", "12"])}\n'
        for _ in range(10_000)
    ]
    for number in itertools.count():
        yield f"{number},{block[number % 10_000]}" if number % 100_000 else f"{number}\n"


def write(path: Path, size_bytes: int) -> None:
    written = 0
    with path.open("w") as file:
        file.write("id,x,n,name,day,note,maybe\n")
        stream = lines()
        while written < size_bytes:
            text = "".join(itertools.islice(stream, 10_000))
            written += file.write(text)


def read(path: Path) -> tuple[int, int]:
    from lakecore.ingest import open_source

    source = open_source(path)
    rows = sum(batch.num_rows for batch in source.batches())
    rejected = source.reject_count
    source.close()
    return rows, rejected


def into_lake(path: Path, folder: Path) -> tuple[int, int]:
    import lakecore

    with lakecore.open(str(folder / "lake"), actor="benchmark") as lake:
        result = lake.ingest(path, dataset="large")[0]
    return result.rows, result.rejected


def main() -> None:
    sizes = [float(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    size_bytes = int((sizes[0] if sizes else 1.0) * 1e9)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "large.csv"
        write(path, size_bytes)
        started_s = time.monotonic()
        if "--lake" in sys.argv:
            rows, rejected = into_lake(path, Path(name))
        else:
            rows, rejected = read(path)
        duration_s = time.monotonic() - started_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{size_bytes / 1e9:.1f} GB: {rows:,} rows, {rejected:,} rejected, "
        f"{size_bytes / 1e6 / duration_s:.0f} MB/s, peak {peak_mib:.0f} MiB"
    )


if __name__ == "__main__":
    main()
