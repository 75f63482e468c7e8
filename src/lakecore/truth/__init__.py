'''The rules that decide whether a change may happen.

A rule set is read from TOML (`RuleSet.from_toml`) or its JSON form, and is asked about one
context (`evaluate`) or about every row of an Arrow table (`evaluate_rows`). `check` only says
what could apply: it looks at no condition. The answer is a `Decision`: for every rule whether
it fired and why; the strongest action demanded decides; a rule that cannot be evaluated counts
as a denial unless it says otherwise. Nothing here does I/O.

- `_parse`, `_parse_tier`, `_reading`: how a rule set is read
- `_rule`, `_condition`, `_path`: what it is made of
- `_row`, `_values`, `_cel`: one context; the reference
- `_batch`, `_vector`, `_vector_cel`, `_columns`, `_verdict`: many, with the same answers
- `_lint`, `_schema`, `_testing`: what is wrong with rules before they are used
- `_tier`, `_resolution`, `_explain`: how far a change may go by its size; all that was said of it
- `_needs`: what has to be known of a change
- `_change`: the contexts of changes

>>> from lakecore.truth import RuleSet, explain
>>> rules = RuleSet.from_toml("""
... [[rule]]
... id = "seats"
... task_class = "update"
... when = { field_greater = { path = "after.seats", value = 853 } }
... action = "deny"
... message = "no plane has more than 853 seats"
... """)
>>> decision = rules.evaluate("update", {"after": {"seats": 1200}})
>>> decision.action.value, decision.allowed
('deny', False)
>>> print(explain(decision))  # doctest: +ELLIPSIS
update: denied by the rules (...)
  deny: no plane has more than 853 seats [seats, error]
    after.seats = 1200: is > 853
  0 of 1 rules did not fire
'''

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.truth._decision import Check, Decision, Outcome
from lakecore.truth._document import (
    DOCUMENT_KIND,
    DOCUMENT_NAME,
    rules_body,
    rules_from_body,
    rules_hash,
    rules_text,
)
from lakecore.truth._explain import explain
from lakecore.truth._needs import Needs
from lakecore.truth._path import MISSING, Path
from lakecore.truth._resolution import Reason, Resolution, decide, decide_change, is_change
from lakecore.truth._rule import (
    ACTIONS,
    Action,
    Expectation,
    Missing,
    OnError,
    Rule,
    RuleTest,
    Severity,
)
from lakecore.truth._ruleset import Applicable, Difference, RuleSet
from lakecore.truth._testing import TestResult
from lakecore.truth._tier import OPERATIONS, TIERS, Approval, By, Tier, TierEntry, TierResult

if TYPE_CHECKING:
    from lakecore.truth._batch import BatchDecision, RuleCount
    from lakecore.truth._change import ChangeContext, Principal, Size, change_rows
    from lakecore.truth._finding import Finding

# These stand on pyarrow, which takes its time to import.
__getattr__ = lazy_exports(
    __name__,
    {
        "BatchDecision": "_batch",
        "RuleCount": "_batch",
        "ChangeContext": "_change",
        "Principal": "_change",
        "Size": "_change",
        "change_rows": "_change",
        "Finding": "_finding",
    },
)

__all__ = [
    "ACTIONS",
    "DOCUMENT_KIND",
    "DOCUMENT_NAME",
    "MISSING",
    "OPERATIONS",
    "TIERS",
    "Action",
    "Applicable",
    "Approval",
    "BatchDecision",
    "By",
    "ChangeContext",
    "Check",
    "Decision",
    "Difference",
    "Expectation",
    "Finding",
    "Missing",
    "Needs",
    "OnError",
    "Outcome",
    "Path",
    "Principal",
    "Reason",
    "Resolution",
    "Rule",
    "RuleCount",
    "RuleSet",
    "RuleTest",
    "Severity",
    "Size",
    "TestResult",
    "Tier",
    "TierEntry",
    "TierResult",
    "change_rows",
    "decide",
    "decide_change",
    "explain",
    "is_change",
    "rules_body",
    "rules_from_body",
    "rules_hash",
    "rules_text",
]
