"""What happens to a change: the rules' decision, the gradient's tier and the request together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput
from lakecore.truth._decision import Decision
from lakecore.truth._path import find, join
from lakecore.truth._rule import Action, Rule
from lakecore.truth._tier import KINDS, SIZE_MEMBERS, Approval, Tier, TierResult

if TYPE_CHECKING:
    from lakecore.truth._batch import BatchDecision
    from lakecore.truth._ruleset import RuleSet

_TIER_OF = {
    Action.ALLOW: Tier.AUTO,
    Action.WARN: Tier.AUTO,
    Action.REQUIRE_APPROVAL: Tier.DRY_RUN,
    Action.DENY: Tier.BLOCK,
}

_CHANGE: tuple[tuple[tuple[str, ...], tuple[type, ...]], ...] = (
    (("dataset",), (str,)),
    (("principal", "name"), (str,)),
    *((("size", name), (int, float)) for name in SIZE_MEMBERS),
)
"""What the gradient has to know of a change."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that demands a tier, or has something to say."""

    source: str
    """``rule``, ``default`` (the rule set's), ``tier`` (an entry) or ``request``."""

    tier: Tier
    """What it demands."""

    message: str
    rule_id: str = ""
    entry: int | None = None
    actions: tuple[str, ...] = ()
    """What else should be done, for people."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "tier": self.tier.value,
            "message": self.message,
            "rule": self.rule_id or None,
            "entry": self.entry,
            "actions": list(self.actions),
        }


@dataclass(frozen=True, slots=True)
class Resolution:
    """What happens to a change; the strictest of all that was demanded."""

    tier: Tier
    demanded: Tier
    """The same without the request: what rules and gradient leave no way around."""

    reasons: tuple[Reason, ...]
    """Everything that fired, was exceeded or was asked for, the strictest first."""

    decisions: tuple[Decision | BatchDecision, ...]
    gradient: TierResult

    @property
    def approval(self) -> Approval:
        """Who may approve it where it is held."""
        return self.gradient.approval

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the outcome, its reasons and the rule set; no row's values."""
        rule_set = self.decisions[0].to_dict()["rule_set"] if self.decisions else None
        return {
            "tier": self.tier.value,
            "demanded": self.demanded.value,
            "reasons": [reason.to_dict() for reason in self.reasons],
            "gradient": self.gradient.to_dict(),
            "rule_set": rule_set,
        }


def decide(
    decision: Decision | BatchDecision | Iterable[Decision | BatchDecision],
    gradient: TierResult,
    requested: Tier | str = Tier.AUTO,
) -> Resolution:
    """The outcome of a change: the strictest of its decisions, its tier and what was asked for.

    Args:
        decision: what the rules said of it; several where its rows were looked at in parts.
        gradient: what `RuleSet.tier` said of its size.
        requested: auto, dry_run or sim: it only ever makes the outcome stricter.
    """
    decisions = tuple(decision) if isinstance(decision, Iterable) else (decision,)
    try:
        wanted = Tier(requested)
    except ValueError:
        wanted = Tier.BLOCK
    if wanted is Tier.BLOCK:
        raise InvalidInput("unknown tier", expected="auto | dry_run | sim", found=requested)
    reasons = list(_of_rules(decisions))
    if gradient.tier is not Tier.AUTO:
        reasons.append(Reason("tier", gradient.tier, str(gradient), entry=gradient.entry))
    demanded = max((r.tier for r in reasons), key=_strength, default=Tier.AUTO)
    if wanted is not Tier.AUTO:
        reasons.append(Reason("request", wanted, f"{wanted} was asked for"))
    return Resolution(
        tier=max(demanded, wanted, key=_strength),
        demanded=demanded,
        reasons=tuple(sorted(reasons, key=lambda reason: -reason.tier.strength)),
        decisions=decisions,
        gradient=gradient,
    )


def decide_change(
    rules: RuleSet, task_class: str, context: Mapping[str, Any], requested: Tier | str = Tier.AUTO
) -> Resolution:
    """`decide` of a change that is told by its context alone, row included.

    Args:
        context: with ``dataset``, ``principal`` (``name`` and what else is known) and ``size``
            (``rows``, ``fields``, ``bytes``, ``fraction``).
        requested: auto, dry_run or sim.
    """
    from lakecore.truth._change import Principal, Size

    missing = [join(path) for path, kinds in _CHANGE if not _is_a(find(context, path), kinds)]
    if missing:
        raise InvalidInput(
            "the context does not tell enough of a change",
            expected=", ".join(join(path) for path, _ in _CHANGE),
            found=f"no {', '.join(missing)}",
        )
    principal = Principal(context["principal"]["name"], context["principal"].get("kind", KINDS[0]))
    size = Size(**{name: context["size"][name] for name in SIZE_MEMBERS})
    tier = rules.tier(principal, context["dataset"], task_class, size)
    return decide(rules.evaluate(task_class, context), tier, requested)


def is_change(context: Mapping[str, Any]) -> bool:
    """Whether a context tells enough of a change for `decide_change`."""
    return all(_is_a(find(context, path), kinds) for path, kinds in _CHANGE)


def _is_a(found: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(found, kinds) and not isinstance(found, bool)


def by_default(decision: Decision | BatchDecision) -> bool:
    """Whether the rule set's default decided: no rule demands as much."""
    strongest = max((action.strength for _, action, _, _ in _demands(decision)), default=0)
    return decision.action.strength > strongest


def _strength(tier: Tier) -> int:
    return tier.strength


def _demands(
    decision: Decision | BatchDecision,
) -> Iterator[tuple[Rule, Action, int, str | None]]:
    """The rules that fired: what each demands, of how many rows, and why it failed if it did."""
    if isinstance(decision, Decision):
        for outcome in decision.outcomes:
            if outcome.action is not None:
                yield outcome.rule, outcome.action, 1, outcome.error
        return
    for count in decision.rules:
        failed = count.errors if count.rule.action_on_error is not None else 0
        if count.fired > failed:
            yield count.rule, count.rule.action, count.fired - failed, None
        if failed and count.rule.action_on_error is not None:
            yield count.rule, count.rule.action_on_error, failed, count.error


def _of_rules(decisions: Iterable[Decision | BatchDecision]) -> Iterator[Reason]:
    """What the rules of all parts of a change say, each rule's rows counted together."""
    asked = 0
    found: dict[tuple[str, Action, bool], tuple[Rule, int, str | None]] = {}
    default: Action | None = None
    for decision in decisions:
        asked += 1 if isinstance(decision, Decision) else len(decision.actions)
        for rule, action, number, error in _demands(decision):
            _, before, why = found.get((rule.id, action, error is not None), (rule, 0, error))
            found[rule.id, action, error is not None] = (rule, before + number, why)
        if by_default(decision):
            default = max(default or decision.action, decision.action, key=lambda a: a.strength)
    for (_, action, _), (rule, number, error) in found.items():
        many = f" ({number:,} of {asked:,} rows)" if asked > 1 else ""
        failed = f": could not be evaluated: {error}" if error is not None else ""
        yield Reason(
            "rule", _TIER_OF[action], f"{rule.message}{many}{failed}", rule.id, None, rule.actions
        )
    if default is not None:
        yield Reason(
            "default",
            _TIER_OF[default],
            f"no rule allows it, and the rule set's default is {default}",
        )
