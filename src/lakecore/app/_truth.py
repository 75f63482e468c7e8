"""`Lake.truth`: the rules of a lake, asked, tested, put in force; and `system.truth_rules`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lakecore.journal import Author

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.catalog import Catalog
    from lakecore.changes import Applied, Rules, RulesReport, RulesVersion
    from lakecore.tables import Tables
    from lakecore.truth import (
        Applicable,
        BatchDecision,
        Decision,
        Difference,
        Resolution,
        Rule,
        RuleSet,
        TestResult,
    )


class Truth:
    """The rules that decide whether a change may happen; see docs/truth.md.

    Every question is answered by the rules that are in force when it is asked.
    """

    def __init__(self, rules: Rules, author: Callable[[str | None, str, str], Author]) -> None:
        self._rules = rules
        self._author = author

    # -- asking -----------------------------------------------------------------------

    def current(self) -> RuleSet:
        """The rules in force; of a lake without rules an empty rule set of version None."""
        return self._rules.current()

    def list(self) -> tuple[Rule, ...]:
        """The rules in force, in their order."""
        return self.current().rules

    def check(
        self, task_class: str, context: Mapping[str, Any] | None = None
    ) -> tuple[Applicable, ...]:
        """What could apply to tasks of a class. It decides nothing: see `evaluate`.

        Args:
            context: taken so that both are called alike; no condition is looked at.
        """
        return self.current().check(task_class)

    def evaluate(self, task_class: str, context: Mapping[str, Any]) -> Decision:
        """Ask every rule that concerns a class of tasks about a context."""
        return self.current().evaluate(task_class, context)

    def decide(
        self, task_class: str, context: Mapping[str, Any], requested: str = "auto"
    ) -> Resolution:
        """What would happen to a change: the rules, the gradient and the request together.

        Args:
            context: of a change, with ``dataset``, ``principal`` (``name`` and what else is
                known) and ``size`` (``rows``, ``fields``, ``bytes``, ``fraction``).
            requested: auto, dry_run or sim.
        """
        from lakecore.truth import decide_change

        return decide_change(self.current(), task_class, context, requested)

    def explain(self, decision: Decision | BatchDecision | Resolution) -> str:
        """A decision for people: the verdict, then everything that spoke, and why."""
        from lakecore.truth import explain

        return explain(decision)

    def test(self, toml: str | None = None) -> tuple[TestResult, ...]:
        """Run the tests that the rules carry: those in force, or those of a TOML text."""
        from lakecore.truth import RuleSet

        rules = self.current() if toml is None else RuleSet.from_toml(toml)
        return rules.run_tests()

    # -- changing ---------------------------------------------------------------------

    def inspect(self, toml: str, *, file: str = "rules.toml") -> RulesReport:
        """All that `apply` looks at, without putting anything in force."""
        return self._rules.inspect(toml, source=file)

    def apply(
        self,
        toml: str,
        *,
        file: str = "rules.toml",
        force: bool = False,
        based_on: RuleSet | None = None,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Applied:
        """Put rules in force, as a new version; journaled like every change.

        Args:
            file: what errors call the text.
            force: in spite of findings, even that the rules deny everything.
            based_on: the rules that were in force when this was decided; others by now are
                a `Conflict`.

        Raises:
            InvalidInput: the text does not read.
            RulesRefused: the rules' tests fail, or something is wrong with them.
        """
        author = self._author(actor, source, reason)
        return self._rules.apply(toml, author=author, source=file, force=force, based_on=based_on)

    def rollback(
        self,
        version: int,
        *,
        force: bool = False,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Applied:
        """Put the rules of an older version in force again, as a new version."""
        author = self._author(actor, source, reason)
        return self._rules.rollback(version, author=author, force=force)

    # -- the past ---------------------------------------------------------------------

    def versions(self, limit: int = 100) -> Sequence[RulesVersion]:
        """Who put which rules in force and when, the newest first."""
        return self._rules.versions(limit)

    def version(self, version: int) -> RuleSet:
        """The rules of one version."""
        return self._rules.version(version)

    def text(self, version: int | None = None) -> str:
        """The TOML of one version, default that in force, as it was given to `apply`."""
        return self._rules.text(version)

    def diff(self, old: int, new: int | None = None) -> Difference:
        """What is different in version `new`, default that in force, coming from `old`."""
        return self._rules.diff(old, new)


class TruthFace:
    """What `Lake` has of the rules."""

    _parts: Components
    _author: Callable[[str | None, str, str], Author]

    @cached_property
    def truth(self) -> Truth:
        """The rules: check, evaluate, test, apply, versions."""
        return Truth(self._parts.rules, self._author)


def schemas_of(catalog: Catalog, tables: Callable[[], Tables]) -> dict[str, pa.Schema | None]:
    """The datasets and their columns as of now; None of one that nothing was written to."""
    found: dict[str, pa.Schema | None] = {}
    for dataset in catalog.list_datasets():
        if dataset.schema_name != "system":
            view = tables().open(dataset)
            found[dataset.name] = view.schema if view is not None else None
    return found


def rules_table(rules: RuleSet) -> pa.Table:
    """`system.truth_rules`: one row a rule in force, in their order."""
    import pyarrow as pa

    return pa.Table.from_pylist(
        [
            {
                "position": position,
                "rule": rule.id,
                "task_class": list(rule.task_classes),
                "action": rule.action.value,
                "severity": rule.severity.value,
                "message": rule.message,
                "description": rule.description,
                "condition": json.dumps(rule.when.to_dict(), ensure_ascii=False),
                "on_error": rule.on_error.value,
                "missing": rule.missing.value,
                "actions": list(rule.actions),
                "tests": len(rule.tests),
                "rule_set": rules.name,
                "version": rules.version,
                "hash": rules.hash,
            }
            for position, rule in enumerate(rules.rules, start=1)
        ],
        schema=pa.schema(
            [
                ("position", pa.int64()),
                ("rule", pa.string()),
                ("task_class", pa.list_(pa.string())),
                ("action", pa.string()),
                ("severity", pa.string()),
                ("message", pa.string()),
                ("description", pa.string()),
                ("condition", pa.string()),
                ("on_error", pa.string()),
                ("missing", pa.string()),
                ("actions", pa.list_(pa.string())),
                ("tests", pa.int64()),
                ("rule_set", pa.string()),
                ("version", pa.int64()),
                ("hash", pa.string()),
            ]
        ),
    )
