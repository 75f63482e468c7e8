"""``lakecore truth``: the rules that decide whether a change may happen."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import group
from lakecore.cli._options import authorship, split_assignment
from lakecore.cli._output import note, print_json, print_pairs, print_table, print_text
from lakecore.cli._text import count, moment, moment_of, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lakecore.changes import RulesReport, RulesVersion
    from lakecore.truth import Finding, RuleSet, TestResult, TierEntry

_MAX_FILE_BYTES: Final = 64 << 20
_rules_file = click.option(
    "--rules", "file", metavar="FILE", help="These rules, instead of those in force in the lake."
)


@group(name="truth", epilog="Example: lakecore truth apply rules.toml")
def command() -> None:
    """The rules that decide whether a change may happen.

    FILE is a rule set in TOML; '-' is standard input. What rules look like: docs/truth.md.
    """


@command.command("list", epilog="Example: lakecore truth list --versions")
@click.option("--version", type=click.IntRange(min=0), help="Of this version; default in force.")
@click.option("--versions", is_flag=True, help="The versions, and who put them in force.")
@click.option("--toml", is_flag=True, help="The text as it was given to `apply`.")
@pass_state
def list_(state: State, version: int | None, versions: bool, toml: bool) -> None:
    """The rules in force, and the tiers."""
    with state.open_lake() as lake:
        if versions:
            _print_versions(state, lake.truth.versions())
            return
        if toml:
            text = lake.truth.text(version)
            print_json({"toml": text}) if state.as_json else sys.stdout.write(text)
            return
        rules = lake.truth.current() if version is None else lake.truth.version(version)
    if state.as_json:
        print_json({"version": rules.version, "hash": rules.hash, **rules.to_dict()})
    else:
        _print_rules(rules)


@command.command("check", epilog="Example: lakecore truth check update")
@click.argument("task_class")
@_rules_file
@pass_state
def check(state: State, task_class: str, file: str | None) -> None:
    """Which rules could apply to a class of tasks; no condition is looked at."""
    with _rules(state, file) as rules:
        could = rules.check(task_class)
    if state.as_json:
        print_json(could)
    elif not could:
        note(f"no rule concerns {printable(task_class)}")
    else:
        print_table(
            ["rule", "action", "severity", "message"],
            [(one.rule_id, one.action, one.severity, one.message) for one in could],
        )


@command.command("evaluate", epilog="Example: lakecore truth evaluate update --set after.seats=900")
@click.argument("task_class")
@click.argument("context_file", metavar="[CONTEXT]", required=False)
@click.option(
    "--set",
    "settings",
    metavar="PATH=VALUE",
    multiple=True,
    help="A member of the context: JSON, or text.",
)
@click.option(
    "--tier",
    type=click.Choice(("auto", "dry_run", "sim")),
    default="auto",
    show_default=True,
    help="The tier that is asked for.",
)
@_rules_file
@click.pass_context
@pass_state
def evaluate(
    state: State,
    ctx: click.Context,
    task_class: str,
    context_file: str | None,
    settings: tuple[str, ...],
    tier: str,
    file: str | None,
) -> None:
    """Ask the rules about a context: a JSON file ('-': standard input), and what is --set.

    With dataset, principal and size in the context, the outcome of the change is told, its
    tier included. Exit code 1: it is refused, or held for an approval.
    """
    from lakecore.truth import decide_change, explain, is_change

    if context_file == "-" == file:
        raise InvalidInput("standard input is either the context or the rules")
    context = _context(context_file, settings)
    with _rules(state, file) as rules:
        decision = rules.evaluate(task_class, context)
        outcome = decide_change(rules, task_class, context, tier) if is_change(context) else None
    if state.as_json:
        told = None if outcome is None else outcome.to_dict()
        print_json({**decision.to_dict(), "outcome": told})
    else:
        text = explain(decision if outcome is None else outcome)
        print_text("\n".join(printable(line) for line in text.split("\n")))
    ctx.exit(0 if decision.allowed and (outcome is None or outcome.tier == "auto") else 1)


@command.command("test", epilog="Example: lakecore truth test rules.toml")
@click.argument("file", required=False)
@click.pass_context
@pass_state
def test(state: State, ctx: click.Context, file: str | None) -> None:
    """Run the tests that rules carry, and say what looks wrong with them.

    Without FILE, of the rules in force. Exit code 1: a test failed, or there is an error.
    `truth apply --dry-run` also holds rules against the lake's datasets.
    """
    with _rules(state, file) as rules:
        results, findings = rules.run_tests(), rules.lint()
    if state.as_json:
        print_json({"hash": rules.hash, "tests": results, "findings": findings})
    else:
        _print_tests(results)
        _print_findings(findings)
    failed = any(not result.passed for result in results)
    ctx.exit(1 if failed or any(f.severity in ("error", "critical") for f in findings) else 0)


@command.command("apply", epilog="Example: lakecore truth apply rules.toml --reason 'new fleet'")
@click.argument("file", required=False)
@click.option(
    "--version",
    type=click.IntRange(min=0),
    help="The rules of this older version, instead of a FILE.",
)
@click.option("--dry-run", is_flag=True, help="Look at everything, put nothing in force.")
@click.option(
    "--force", is_flag=True, help="In spite of findings, even where the rules deny everything."
)
@authorship
@click.pass_context
@pass_state
def apply(
    state: State,
    ctx: click.Context,
    file: str | None,
    version: int | None,
    dry_run: bool,
    force: bool,
    actor: str | None,
    reason: str,
) -> None:
    """Put rules in force, from a FILE or from an older version.

    Their tests are run, and they are held against each other and the datasets; what fails is
    not put in force. No rule is asked about this: it is also the way out of rules that deny
    everything. Exit code 1: the rules were refused, or would be.
    """
    from lakecore.changes import RulesRefused

    if (file is None) == (version is None):
        raise click.UsageError("give a FILE or --version", ctx)
    with state.open_lake(actor=actor) as lake:
        name = f"version {version}" if file is None else file
        text = lake.truth.text(version) if file is None else _text(file)
        if dry_run:
            report = lake.truth.inspect(text, file=name)
            print_json(report) if state.as_json else _print_report(report)
            note("a dry run: nothing was put in force")
            ctx.exit(0 if report.fit or (force and not report.failed) else 1)
        try:
            if version is not None:
                done = lake.truth.rollback(version, force=force, source=SOURCE, reason=reason)
            else:
                done = lake.truth.apply(text, file=name, force=force, source=SOURCE, reason=reason)
        except RulesRefused as refused:
            print_json(refused.report) if state.as_json else _print_report(refused.report)
            raise
    if state.as_json:
        print_json(done)
        return
    _print_report(done.report)
    if done.changed:
        print_text(f"in force as version {done.version}")
    else:
        print_text(f"in force already, as version {done.version}")


@contextmanager
def _rules(state: State, file: str | None) -> Iterator[RuleSet]:
    """The rules of a file, else those in force; a file needs no lake."""
    from lakecore.truth import RuleSet

    if file is not None:
        yield RuleSet.from_toml(_text(file), source=file)
        return
    with state.open_lake() as lake:
        yield lake.truth.current()


def _text(file: str) -> str:
    """A file's text; '-' is standard input."""
    if file == "-":
        data = sys.stdin.buffer.read(_MAX_FILE_BYTES + 1)
    else:
        with Path(file).open("rb") as opened:
            data = opened.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise InvalidInput(
            "the file is too large", expected=f"at most {_MAX_FILE_BYTES:,} bytes", where=file
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("the file is not UTF-8", where=file, found=error) from None


def _context(file: str | None, settings: tuple[str, ...]) -> dict[str, Any]:
    context: Any = {}
    if file is not None:
        try:
            context = json.loads(_text(file))
        except (ValueError, RecursionError) as error:
            raise InvalidInput("the context is not JSON", where=file, found=error) from None
        if not isinstance(context, dict):
            found = type(context).__name__
            raise InvalidInput("the context is not an object", where=file, found=found)
    for setting in settings:
        _set(context, setting)
    return dict(context)


def _set(context: dict[str, Any], setting: str) -> None:
    from lakecore.truth import Path as MemberPath

    name, text = split_assignment(setting, option="--set")
    *above, last = MemberPath.parse(name).segments
    for member in above:
        context = context.setdefault(member, {})
        if not isinstance(context, dict):
            raise InvalidInput("--set goes into what is no object", found=setting, where=member)
    try:
        context[last] = json.loads(text)
    except (ValueError, RecursionError):
        context[last] = text


def _print_rules(rules: RuleSet) -> None:
    if rules.version is None:
        note("there are no rules: every change is committed; `lakecore truth apply` sets some")
        return
    print_pairs(
        {
            **({"name": rules.name} if rules.name else {}),
            "version": rules.version,
            "hash": rules.hash,
            "default": rules.default,
        }
    )
    if rules.rules:
        print_text()
        print_table(
            ["rule", "tasks", "action", "tests", "message"],
            [
                (one.id, ", ".join(one.task_classes), one.action, len(one.tests), one.message)
                for one in rules.rules
            ],
            right=["tests"],
        )
    if rules.tiers:
        print_text()
        print_table(
            ["tier", "principal", "kind", "dataset", "tasks", "auto", "dry_run", "sim", "approval"],
            [_tier_row(number, entry) for number, entry in enumerate(rules.tiers, start=1)],
            right=["tier"],
        )


def _tier_row(number: int, entry: TierEntry) -> Sequence[object]:
    def bound(of: Mapping[str, object] | None) -> str:
        if of is None:
            return "never"
        return ", ".join(f"{name} ≤ {value}" for name, value in of.items()) or "any size"

    roles = f" ({', '.join(entry.approval.roles)})" if entry.approval.roles else ""
    return (
        number,
        entry.principal,
        entry.kind,
        entry.dataset,
        ", ".join(entry.task_classes),
        *(bound(None if of is None else of.to_dict()) for _, of in entry.bounds),
        f"{entry.approval.by}{roles}",
    )


def _print_versions(state: State, versions: Sequence[RulesVersion]) -> None:
    if state.as_json:
        print_json(
            [
                {
                    "version": one.version,
                    "hash": one.hash,
                    "rules": one.rules,
                    "tiers": one.tiers,
                    "timestamp": moment_of(one.timestamp_us),
                    "actor": one.actor,
                    "source": one.source,
                    "reason": one.reason,
                    "mutation_id": one.mutation_id,
                }
                for one in versions
            ]
        )
        return
    if not versions:
        note("there are no rules yet")
        return
    print_table(
        ["version", "in force from", "by", "rules", "tiers", "hash", "reason"],
        [
            (
                one.version,
                moment(moment_of(one.timestamp_us)),
                one.actor,
                one.rules,
                one.tiers,
                one.hash[:12],
                one.reason,
            )
            for one in versions
        ],
        right=["version", "rules", "tiers"],
    )


def _print_report(report: RulesReport) -> None:
    _print_tests(report.tests)
    _print_findings(report.findings)
    difference = report.difference
    changes = [
        *(f"rule {name} is new" for name in difference.added),
        *(f"rule {name} goes" for name in difference.removed),
        *(f"rule {name} changes: {', '.join(members)}" for name, members in difference.changed),
        *(["the rules are in another order"] if difference.reordered else []),
        *(f"the {name} of the rule set changes" for name in difference.settings),
    ]
    tiers = (len(difference.tiers_added), len(difference.tiers_removed))
    if any(tiers) or difference.tiers_reordered:
        changes.append(f"tiers change: {tiers[0]} new, {tiers[1]} gone")
    for change in changes or ["no rule changes"]:
        print_text(printable(change))


def _print_tests(results: Sequence[TestResult]) -> None:
    for result in results:
        if not result.passed:
            error = f": {result.outcome.error}" if result.outcome.error else ""
            print_text(
                printable(
                    f"failed: {result.rule_id}, {result.name}:"
                    f" expected {result.expected}, found {result.found}{error}"
                )
            )
    failed = sum(not result.passed for result in results)
    print_text(f"{count(len(results), 'test')}, {failed} failed")


def _print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        rules = f" [{', '.join(finding.rules)}]" if finding.rules else ""
        near = f"; near it: {', '.join(finding.nearest)}" if finding.nearest else ""
        print_text(printable(f"{finding.severity}: {finding.message}{rules}{near}"))
