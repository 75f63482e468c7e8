"""A lake with something of everything, for tests that look at it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lakecore.app import Lake
from lakecore.base import Refused

IS_FOR_PICTURES = bool(os.environ.get("LAKECORE_SCREENS"))
HOSTILE = "EMBRAER EMB-145" if IS_FOR_PICTURES else "<img src=x onerror=alert(1)>"
"""A value that would run where it was taken for markup; in pictures, one for people."""

RULES = """
name = "fleet"

[[rule]]
id = "seats-within-reason"
task_class = ["insert", "update"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "no plane has more than 853 seats"

[[rule]]
id = "large-planes-are-looked-at"
task_class = ["insert", "update"]
when = { field_greater = { path = "after.seats", value = 400 } }
action = "require_approval"
message = "more than 400 seats: somebody looks at it"
"""


def fill(lake: Lake, folder: Path) -> None:
    """Rules, changes by several people, refusals, what waits, a file with bad rows."""
    lake.truth.apply(RULES, actor="ada")
    lake.alter("planes", description=HOSTILE, actor="mallory")
    lake.update("planes", keys=["N10156"], set={"seats": 60}, actor="ada", reason="counted again")
    lake.update(
        "planes",
        keys=["N10156"],
        set={"seats": 50},
        actor="agent:tidy",
        reason=f"as {HOSTILE} says",
    )
    lake.insert("planes", [{"tailnum": HOSTILE, "seats": 7}], actor="mallory", reason="why not")
    with suppress(Refused):
        lake.update("planes", keys=["N102UW"], set={"seats": 9_000}, actor="bob", reason="larger")
    lake.update(
        "planes", keys=["N102UW", "N103US"], set={"seats": 450}, actor="bob", reason="a new deck"
    )
    file = folder / "airports.csv"
    file.write_text(
        "faa,name,lat\nEWR,Newark,40.69\nJFK,John F Kennedy,40.63\nLGA,La Guardia,40.77,x\n"
    )
    lake.ingest(file, dataset="airports", key=["faa"], actor="carol", reason="first load")
    lake.journal.seal()
    lake.journal.checkpoint()
