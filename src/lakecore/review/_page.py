"""The report of a review's iterations as a page: one file, no script, nothing loaded. Pure.

Every number says where it comes from, how many it rests on, and its interval where it has one:
of a share by Wilson, of a mean of model scores by the noise floor (1.96 sigma / sqrt n), which is
how far the same reviewer is off by itself. `confirmed_score` has none: it moves by confirmed fixes
alone. What is not known is a dash, never 0.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from lakecore.review._finding import SEVERITIES
from lakecore.review._memory import Tracked
from lakecore.review._page_figures import PageFacts, figures, half, number, section, share
from lakecore.review._page_parts import (
    Html,
    Line,
    Share,
    joined,
    line_chart,
    spark,
    stacked_bars,
    table,
    tag,
    text,
)
from lakecore.review._page_style import STYLE
from lakecore.review._report import TIERS, IterationReport, Movement, iterations
from lakecore.review._signal import Signal, SignalClass
from lakecore.review._trust import TrustProfile

MAX_FILES: Final = 2_000
MAX_FINDINGS: Final = 1_000
_TOP_SCORE: Final = 10.0
_SIGNAL_ORDER: Final = (
    *(SignalClass.LOOPING, SignalClass.ORBITING, SignalClass.MIXED),
    *(SignalClass.PLATEAU, SignalClass.INSUFFICIENT, SignalClass.CONVERGING),
)
"""What needs a person comes first."""


def report_page(facts: PageFacts) -> str:
    """The page as HTML."""
    reviews = [row for row in facts.rows if row["purpose"] == "review"]
    signals = facts.memory.signals()
    reports = iterations(reviews, {path: one.name.value for path, one in signals.items()})
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = text(f"Review of {facts.repository}, iteration {facts.memory.iteration}")
    body = _body(facts, reports, signals) if reports else tag("p", "Nothing was reviewed yet.")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{_head(facts)}\n{body}\n</main>\n</body>\n</html>\n"
    )


def _body(
    facts: PageFacts, reports: Sequence[IterationReport], signals: Mapping[str, Signal]
) -> Html:
    return joined(
        (
            figures(facts, reports),
            _scores(facts, reports),
            _movement(reports),
            _tiers(reports),
            _signals(signals),
            _files(facts, reports, signals),
            _findings(facts),
            _iterations(reports),
            _trust(facts.trust),
        )
    )


def _head(facts: PageFacts) -> Html:
    made = facts.made.strftime("%Y-%m-%d %H:%M UTC")
    return joined(
        (
            tag("h1", f"Review of {facts.repository}"),
            tag(
                "p",
                f"Iteration {facts.memory.iteration}, revision "
                f"{facts.memory.revision[:12] or '–'}, bar {facts.bar}. "
                f"Made {made} by Lakecore {facts.version}.",
                kind="quiet",
            ),
        )
    )


# -- charts -------------------------------------------------------------------------------


def _scores(facts: PageFacts, reports: Sequence[IterationReport]) -> Html:
    lines = [
        Line(
            "model",
            "model",
            [one.mean_score for one in reports],
            [half(one, facts) for one in reports],
        ),
        Line("confirmed", "confirmed", [one.mean_confirmed for one in reports]),
    ]
    labels = [str(one.iteration) for one in reports]
    counts = ", ".join(f"{one.iteration}: {one.reviewed}" for one in reports)
    return section(
        "Mean score per iteration",
        line_chart(labels, lines, top=_TOP_SCORE, title="Mean scores per iteration"),
        "Of the files that an iteration reviewed, and those are not always the same. Bars: 95 % "
        f"interval by the noise floor, where there is one. Files by iteration: {counts}.",
    )


def _movement(reports: Sequence[IterationReport]) -> Html:
    kinds = (("↑", "rose", "up"), ("=", "same", "same"), ("↓", "fell", "down"))
    bars = [
        [
            *(Share(f"{arrow} {word}", kind, one.movement[arrow]) for arrow, word, kind in kinds),
            Share("new", "fresh", sum(move.before is None for move in one.movements)),
        ]
        for one in reports
    ]
    return section(
        "Movement of the model score",
        stacked_bars(
            [f"iteration {one.iteration}" for one in reports],
            bars,
            title="Files that rose, stayed, fell, or are new, by iteration",
        ),
        "Files whose score rose, stayed, fell since their last review; new: their first. Within "
        "the noise floor a rise is no movement: see the classes below.",
    )


def _tiers(reports: Sequence[IterationReport]) -> Html:
    bars = [[Share(name, f"tier-{name}", one.tiers[name]) for name in TIERS] for one in reports]
    return section(
        "Gradient",
        stacked_bars(
            [f"iteration {one.iteration}" for one in reports],
            bars,
            title="Files by gradient tier, by iteration",
        ),
        "How far a change to a file may go by itself: auto, dry_run, sim, block "
        "(gradient_tier of system.reviews).",
    )


def _signals(signals: Mapping[str, Signal]) -> Html:
    counts = Counter(one.name for one in signals.values())
    rows = [
        (
            one.value,
            counts[one],
            len(signals),
            share(counts[one], len(signals)),
            _example(one, signals),
        )
        for one in _SIGNAL_ORDER
        if counts[one]
    ]
    columns = ("class", "files", "n", "95 % interval", "why, of the first")
    return section(
        "Signal classes",
        table(columns, rows, right=("files", "n", "95 % interval"), wide=("why, of the first",)),
        "What a file's reviews say together, from its points in system.reviews and the floor.",
    )


def _example(name: SignalClass, signals: Mapping[str, Signal]) -> str:
    path = min(path for path, one in signals.items() if one.name is name)
    return f"{path}: {signals[path].reason}"


# -- tables -------------------------------------------------------------------------------


def _files(
    facts: PageFacts, reports: Sequence[IterationReport], signals: Mapping[str, Signal]
) -> Html:
    moves: dict[str, Movement] = {}
    for one in reports:
        moves |= {move.path: move for move in one.movements}
    known = facts.memory.files
    order = {name: at for at, name in enumerate(_SIGNAL_ORDER)}
    last = len(order)

    def rank(path: str) -> tuple[int, float, str]:
        at = order[signals[path].name] if path in signals else last
        return at, -known[path].open_weight, path

    shown = sorted(known, key=rank)[:MAX_FILES]
    rows = []
    for path in shown:
        file, move, signal = known[path], moves.get(path), signals.get(path)
        rows.append(
            (
                tag("code", path),
                spark([point.score for point in file.points], top=_TOP_SCORE),
                number(file.points[-1].score if file.points else None),
                "–" if move is None else _moved(move),
                number(file.confirmed_score),
                sum(found.is_open for found in file.tracked.values()),
                len(file.points),
                "–" if signal is None else signal.name.value,
                "not reviewed yet" if signal is None else signal.reason,
            )
        )
    columns = ("file", "model scores", "last", "moved", "confirmed", "open", "n", "class", "why")
    more = f" {len(known) - len(shown)} more are not shown." if len(known) > len(shown) else ""
    return section(
        "Files",
        table(
            columns, rows, right=("last", "moved", "confirmed", "open", "n"), wide=("file", "why")
        ),
        "What needs a person first. n: reviews of changed text that the class rests on. "
        f"Source: system.reviews and system.findings, replayed.{more}",
    )


def _moved(move: Movement) -> str:
    if move.before is None:
        return "new"
    return f"{move.arrow} {move.after - move.before:+.2f}"


def _findings(facts: PageFacts) -> Html:
    found = [
        one
        for known in facts.memory.files.values()
        for one in known.tracked.values()
        if one.is_open
    ]
    found.sort(
        key=lambda one: (
            SEVERITIES.index(one.finding.severity),
            one.finding.path,
            one.finding.line,
        )
    )
    shown = found[:MAX_FINDINGS]
    more = f" {len(found) - len(shown)} more are not shown." if len(found) > len(shown) else ""
    if not shown:
        return section("Open findings", tag("p", "None."), "Source: system.findings.")
    return section(
        f"Open findings ({len(found)})",
        joined(_finding(one) for one in shown),
        "Each with the code that it quotes; a finding without its quote in the file is none. "
        f"Source: the last state of each finding in system.findings.{more}",
    )


def _finding(one: Tracked) -> Html:
    finding = one.finding
    place = f"{finding.path}:{finding.line}" + (f" in {finding.symbol}" if finding.symbol else "")
    sure = "" if finding.confidence is None else f", sure {finding.confidence:.0%} by its own word"
    model = f"{one.model or 'unknown model'}{sure}"
    return Html(
        f'<details><summary><b class="sev-{text(finding.severity)}">{text(finding.severity)}</b> '
        f"{text(finding.category)} · {text(one.state.value)} · <code>{text(place)}</code> "
        f"<span class=claim>{text(finding.claim, limit=300)}</span></summary>"
        f"<p>{text(finding.claim)}</p><pre>{text(finding.quote, lines=True)}</pre>"
        f"<p class=quiet>{text(model)} · <code>{text(one.id)}</code></p></details>"
    )


def _iterations(reports: Sequence[IterationReport]) -> Html:
    rows = [
        (
            one.iteration,
            f"{one.reviewed} of {one.files}",
            number(one.mean_score),
            number(one.mean_confirmed),
            " ".join(f"{arrow} {count}" for arrow, count in one.movement.items()),
            f"{one.first_attempt} ({share(one.first_attempt, one.files)})",
            f"{one.structured} ({share(one.structured, one.files)})",
            one.verified_components,
            " / ".join(str(one.tiers[name]) for name in TIERS),
        )
        for one in reports
    ]
    columns = (
        *("iteration", "read", "mean", "confirmed", "moved", "first attempt", "as JSON"),
        *("verified", "auto / dry_run / sim / block"),
    )
    return section(
        "Iterations",
        table(columns, rows, right=columns[:4]),
        "Files of n, with the 95 % interval of each share. Source: system.reviews.",
    )


def _trust(trust: Sequence[TrustProfile]) -> Html:
    def of(hits: int, misses: int, interval: tuple[float, float]) -> str:
        tries = hits + misses
        return f"{hits} of {tries} ({interval[0]:.0%} to {interval[1]:.0%})" if tries else "–"

    rows = [
        (
            tag("code", one.model),
            f"{one.trust:.2f}",
            of(one.confirmed, one.refuted, one.precision),
            of(one.control_hits, one.control_misses, one.recall),
            of(one.grounded, one.ungrounded, one.evidence),
        )
        for one in trust
    ]
    columns = ("model", "trust", "findings that held", "planted faults found", "with their quote")
    return section(
        "Models",
        table(columns, rows, right=("trust",)),
        "In all repositories, with 95 % intervals; trust is the lower end of the first times that "
        "of the second. Source: system.reviews and system.findings.",
    )
