"""The rule set: read once, compiled once, asked many times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput, NotFound
from lakecore.truth._cel import Engine, parse_expression
from lakecore.truth._cel_syntax import paths
from lakecore.truth._condition import Cel, walk
from lakecore.truth._decision import Decision, Outcome
from lakecore.truth._needs import Needs, needs_of
from lakecore.truth._parse import FORMAT, Parsed, parse_document, parse_toml
from lakecore.truth._row import Failure, Runner, Scope, compile_condition
from lakecore.truth._rule import ACTIONS, Action, Rule
from lakecore.truth._tier import TierEntry, TierResult, tier_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.truth._batch import BatchDecision
    from lakecore.truth._change import Principal, Size
    from lakecore.truth._finding import Finding
    from lakecore.truth._testing import TestResult


@dataclass(frozen=True, slots=True)
class Applicable:
    """A rule that could apply: what it would demand, its condition not looked at."""

    rule_id: str
    action: Action
    severity: str
    message: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """How one rule set differs from an older one."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[tuple[str, tuple[str, ...]], ...]
    """Ids, each with the members that differ."""

    reordered: bool
    settings: tuple[str, ...]
    """Members of the rule set itself that differ."""

    tiers_added: tuple[TierEntry, ...]
    tiers_removed: tuple[TierEntry, ...]
    tiers_reordered: bool

    def __bool__(self) -> bool:
        rules = self.added or self.removed or self.changed or self.reordered or self.settings
        return bool(rules or self.tiers_added or self.tiers_removed or self.tiers_reordered)

    def to_dict(self) -> dict[str, Any]:
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": {name: list(members) for name, members in self.changed},
            "reordered": self.reordered,
            "settings": list(self.settings),
            "tiers_added": [entry.to_dict() for entry in self.tiers_added],
            "tiers_removed": [entry.to_dict() for entry in self.tiers_removed],
            "tiers_reordered": self.tiers_reordered,
        }


class RuleSet:
    """Rules in their order, immutable; safe to share between threads.

    Args:
        parsed: what was read.
        source: what errors call it.
        version: the document's version that it was read from, from 0; None for none.
    """

    def __init__(
        self, parsed: Parsed, *, source: str = "rules", version: int | None = None
    ) -> None:
        self.name = parsed.name
        self.description = parsed.description
        self.default = parsed.default
        """What is decided where no rule demands more and none allows it."""
        self.rules = parsed.rules
        self.tiers = parsed.tiers
        """The gradient: the first entry that matches a change decides."""
        self.source = source
        self.version = version

    @classmethod
    def from_toml(
        cls, text: str, *, source: str = "rules.toml", version: int | None = None
    ) -> RuleSet:
        """Read TOML.

        Raises:
            InvalidInput: with the source, the rule, the path in it, and what was expected.
            UnsupportedFormat: a newer Lakecore wrote it.
        """
        return cls(parse_toml(text, source), source=source, version=version)

    @classmethod
    def from_dict(
        cls, document: Mapping[str, Any], *, source: str = "rules", version: int | None = None
    ) -> RuleSet:
        """Read the JSON form; `to_dict` writes it. Raises like `from_toml`."""
        if not isinstance(document, Mapping):
            raise InvalidInput(
                "the rule set is not an object", found=type(document).__name__, where=source
            )
        return cls(parse_document(document, source), source=source, version=version)

    def __repr__(self) -> str:
        return f"<RuleSet {self.name!r}, {len(self.rules)} rules, {self.hash[:12]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleSet) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def rule(self, rule_id: str) -> Rule:
        """The rule of that id."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise NotFound("no such rule", found=rule_id, where=self.source)

    def to_dict(self) -> dict[str, Any]:
        """The canonical form: every member, defaults included, the rules in their order."""
        # Where there are none, the hash is what it was before there were tiers.
        tiers = {"tier": [entry.to_dict() for entry in self.tiers]} if self.tiers else {}
        return {
            "format": FORMAT,
            "name": self.name,
            "description": self.description,
            "default": self.default.value,
            "rule": [rule.to_dict() for rule in self.rules],
            **tiers,
        }

    @cached_property
    def canonical(self) -> bytes:
        """`to_dict` as JSON: members sorted, no spaces, UTF-8, numbers by their shortest digits."""
        return canonical_bytes(self.to_dict())

    @cached_property
    def hash(self) -> str:
        """SHA-256 of `canonical`, hex. The version is not in it."""
        return hashlib.sha256(self.canonical).hexdigest()

    def check(self, task_class: str) -> tuple[Applicable, ...]:
        """What could apply to tasks of this class. No condition is looked at: see `evaluate`."""
        return tuple(
            Applicable(rule.id, rule.action, rule.severity.value, rule.message, rule.actions)
            for rule in self.rules
            if rule.concerns(task_class)
        )

    def evaluate(self, task_class: str, context: Mapping[str, Any]) -> Decision:
        """Ask every rule that concerns `task_class` about `context`.

        The strongest action demanded decides. A rule that cannot be evaluated counts as fired
        with what its `on_error` says, `deny` unless declared otherwise.
        """
        if not isinstance(context, Mapping):
            raise InvalidInput(
                "the context is not an object", expected="a mapping", found=type(context).__name__
            )
        engine, _ = self._compiled
        scope = Scope(context, engine)
        outcomes = []
        strength, lifted = 0, False
        for rule, runner in self.programs(task_class):
            seen = scope.seen = []
            action: Action | None = None
            error: str | None = None
            try:
                if runner(scope):
                    action = rule.action
                    lifted = lifted or action is Action.ALLOW
            except Failure as failure:
                action, error = rule.action_on_error, str(failure)
            except Exception as unforeseen:
                # Whatever a context's own objects may raise: the rule fails closed.
                action, error = rule.action_on_error, f"{type(unforeseen).__name__}: {unforeseen}"
            if action is not None and action.strength > strength:
                strength = action.strength
            # As `Outcome(...)`, without its lambda: this is a tenth of an evaluation.
            made = (rule, action is not None, action, tuple(seen), error)
            outcomes.append(tuple.__new__(Outcome, made))
        if not lifted:
            strength = max(strength, self.default.strength)
        return Decision(
            task_class, ACTIONS[strength], tuple(outcomes), self.name, self.version, self.hash
        )

    def evaluate_rows(
        self,
        task_class: str,
        rows: pa.Table | pa.RecordBatch,
        shared: Mapping[str, Any] | None = None,
    ) -> BatchDecision:
        """Ask the rules about every row at once; each row decides as `evaluate` would.

        Args:
            rows: one context a row, its columns the context's members (`before` and `after` as
                structs); see `change_rows`.
            shared: members that are the same for all rows. A column of the same name wins.
        """
        from lakecore.truth._batch import evaluate_rows

        return evaluate_rows(self, task_class, rows, shared or {})

    def tier(self, principal: Principal, dataset: str, task_class: str, size: Size) -> TierResult:
        """How far a change may go by itself: the first `[[tier]]` entry that matches, and why.

        Which entry matches does not depend on the size; with no entry it is `auto`.
        """
        return tier_of(self.tiers, principal, dataset, task_class, size)

    def needs(self, task_class: str, known: Mapping[str, Any] | None = None) -> Needs:
        """What has to be known of a change for its rules to answer as with everything known.

        Args:
            known: members of the context that are known beforehand and are the same for all
                rows (``dataset``, ``op``, ``principal``): rules that they rule out need
                nothing.
        """
        return needs_of((rule for rule, _ in self.programs(task_class)), known or {})

    def run_tests(self) -> tuple[TestResult, ...]:
        """Run the tests that the rules carry, each against its own rule."""
        from lakecore.truth._testing import run_tests

        return run_tests(self)

    def lint(self) -> tuple[Finding, ...]:
        """What looks wrong with the rules together; nothing of it keeps them from working."""
        from lakecore.truth._lint import lint

        return lint(self)

    def check_against(self, schema: pa.Schema | Mapping[str, pa.DataType]) -> tuple[Finding, ...]:
        """Paths that a dataset of this schema does not have, values that cannot compare."""
        from lakecore.truth._schema import check_against

        return check_against(self, schema)

    def check_datasets(self, schemas: Mapping[str, pa.Schema | None]) -> tuple[Finding, ...]:
        """`check_against` for all datasets of a lake, each rule held against those it concerns.

        Args:
            schemas: by the datasets' names; None of one that has no columns yet.
        """
        from lakecore.truth._schema import check_datasets

        return check_datasets(self, schemas)

    def diff(self, other: RuleSet) -> Difference:
        """What is different in this rule set, coming from `other`."""
        ours = {rule.id: rule.to_dict() for rule in self.rules}
        theirs = {rule.id: rule.to_dict() for rule in other.rules}
        changed = []
        for name in ours:
            if name in theirs and ours[name] != theirs[name]:
                members = [key for key in ours[name] if ours[name][key] != theirs[name][key]]
                changed.append((name, tuple(members)))
        settings = ("name", "description", "default")
        return Difference(
            added=tuple(name for name in ours if name not in theirs),
            removed=tuple(name for name in theirs if name not in ours),
            changed=tuple(changed),
            reordered=[n for n in ours if n in theirs] != [n for n in theirs if n in ours],
            settings=tuple(s for s in settings if getattr(self, s) != getattr(other, s)),
            tiers_added=tuple(entry for entry in self.tiers if entry not in other.tiers),
            tiers_removed=tuple(entry for entry in other.tiers if entry not in self.tiers),
            tiers_reordered=[e for e in self.tiers if e in other.tiers]
            != [e for e in other.tiers if e in self.tiers],
        )

    @property
    def engine(self) -> Engine | None:
        """What contexts are converted by for CEL; None where no rule has an expression."""
        return self._compiled[0]

    def programs(self, task_class: str) -> tuple[tuple[Rule, Runner], ...]:
        """The rules that concern a task class, compiled."""
        _, by_class = self._compiled
        return by_class.get(task_class) or by_class["*"]

    @cached_property
    def _compiled(self) -> tuple[Engine | None, dict[str, tuple[tuple[Rule, Runner], ...]]]:
        expressions = [
            part.expression
            for rule in self.rules
            for part in walk(rule.when)
            if isinstance(part, Cel)
        ]
        engine = None
        if expressions:
            engine = Engine(path for text in expressions for path in paths(parse_expression(text)))
        compiled = [
            (rule, compile_condition(rule.when, rule.missing, engine)) for rule in self.rules
        ]
        # Only classes that rules name have a list of their own: a caller's class costs nothing.
        classes = {"*", *(name for rule in self.rules for name in rule.task_classes)}
        return engine, {
            name: tuple(pair for pair in compiled if pair[0].concerns(name)) for name in classes
        }


def canonical_bytes(document: Mapping[str, Any]) -> bytes:
    """A canonical form as it is hashed; see `RuleSet.canonical`."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")
