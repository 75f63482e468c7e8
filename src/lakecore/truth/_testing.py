"""The tests that rules carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakecore.truth._decision import Outcome
from lakecore.truth._rule import Expectation

if TYPE_CHECKING:
    from lakecore.truth._ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of one rule."""

    rule_id: str
    name: str
    expected: Expectation
    outcome: Outcome

    @property
    def found(self) -> Expectation:
        """What the rule did."""
        if self.outcome.error is not None:
            return Expectation.ERROR
        return Expectation.FIRED if self.outcome.fired else Expectation.NOT_FIRED

    @property
    def passed(self) -> bool:
        """Whether that is what was expected."""
        return self.found is self.expected

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule_id,
            "test": self.name,
            "passed": self.passed,
            "expected": self.expected.value,
            "found": self.found.value,
            "outcome": self.outcome.to_dict(),
        }


def run_tests(rules: RuleSet) -> tuple[TestResult, ...]:
    """Run each rule's tests against that rule alone, in the rule set's order."""
    results = []
    for rule in rules.rules:
        for test in rule.tests:
            decision = rules.evaluate(rule.task_classes[0], test.context)
            outcome = next(found for found in decision.outcomes if found.rule is rule)
            results.append(TestResult(rule.id, test.name, test.expect, outcome))
    return tuple(results)
