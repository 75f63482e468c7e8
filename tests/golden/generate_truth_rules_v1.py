"""Writes truth_rules_v1.json: the body of the document that holds a lake's rules.

Run it after a deliberate change of the format, which is a new version; never to make a test
pass:

    python tests/golden/generate_truth_rules_v1.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lakecore.truth import RuleSet, rules_body

FILE = Path(__file__).with_name("truth_rules_v1.json")

TOML = """\
# Rules for é: every kind of condition, every member of a tier.
name = "fleet"
default = "warn"

[[rule]]
id = "seats"
description = "as certified"
task_class = ["insert", "update"]
action = "deny"
message = "no plane has more than 853 seats"
actions = ["check the type certificate"]
on_error = "require_approval"
missing = "null"
when.all = [
  { field_greater = { path = "after.seats", value = 853 } },
  { not = { field_empty = "before" } },
  { any = [
    { field_equals = { path = 'after.a\\.b', value = 2026-01-01T01:00:00+01:00 } },
    { cel = "principal.name != 'ada'" },
    { always = true },
  ] },
]

[[rule.test]]
name = "an A380 is the largest"
context = { before = { seats = 1 }, after = { seats = 853 } }
expect = "not_fired"

[[tier]]
principal = "agent:*"
kind = "agent"
dataset = "hr.?"
task_class = "update"
auto = { rows = 100, fields = 1000, bytes = 100000, fraction = 0.01 }
dry_run = { rows = 10000 }
sim = {}
approval = { by = "anyone", roles = ["chief"] }

[[tier]]
auto = false
"""


def body() -> dict[str, Any]:
    """The stored form of the rules above."""
    return rules_body(RuleSet.from_toml(TOML), TOML)


if __name__ == "__main__":
    FILE.write_text(json.dumps(body(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
