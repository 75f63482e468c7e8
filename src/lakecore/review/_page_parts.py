"""Parts of a page: text that stays text, tables, and charts as inline SVG. Pure.

Whatever was written by others (paths, claims, quotes, names of models) comes in through `text`:
marks of HTML are escaped, and what would move or hide what stands beside it (control characters,
marks that turn the direction of writing, bytes that are no UTF-8) is shown as its number.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_TEXT_CHARACTERS: Final = 4_000
_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 44
_RIGHT: Final = 16
_TOP: Final = 14
_BOTTOM: Final = 30


class Html(str):
    """Text that is HTML already; everything else is escaped."""

    __slots__ = ()


def text(value: object, *, lines: bool = False, limit: int = MAX_TEXT_CHARACTERS) -> Html:
    """A value as text.

    Args:
        lines: line feeds and tabs stay.
    """
    if isinstance(value, Html):
        return value
    raw = "–" if value is None else str(value)
    cut = raw if len(raw) <= limit else f"{raw[:limit]} …"
    kept = "\n\t" if lines else ""
    shown = "".join(
        char if char in kept or unicodedata.category(char) not in _HIDDEN else f"⟨{ord(char):04X}⟩"
        for char in cut
    )
    return Html(html.escape(shown, quote=True))


def tag(name: str, *inner: object, kind: str = "") -> Html:
    """An element with a class of ours."""
    head = f"{name} class={kind}" if kind else name
    return Html(f"<{head}>{''.join(text(one) for one in inner)}</{name}>")


def joined(parts: Iterable[Html]) -> Html:
    """One after the other."""
    return Html("".join(parts))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    wide: Sequence[str] = (),
) -> Html:
    """A table; `right`: columns of numbers, `wide`: those that take the room that is left."""
    kinds = ["n" if name in right else "w" if name in wide else "" for name in columns]
    head = joined(tag("th", name, kind=kind) for name, kind in zip(columns, kinds, strict=True))
    body = joined(
        tag("tr", joined(tag("td", cell, kind=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    )
    return Html(
        f"<div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


@dataclass(frozen=True, slots=True)
class Line:
    """Values over iterations; None: there is none, and the line is broken there.

    Attributes:
        kind: a class of ours.
        spread: half of an interval around each value; None: there is no interval.
    """

    name: str
    kind: str
    values: Sequence[float | None]
    spread: Sequence[float | None] = ()


def line_chart(labels: Sequence[str], lines: Sequence[Line], *, top: float, title: str) -> Html:
    """Lines from 0 to `top` over labelled steps, with their intervals; the last values named."""

    def x(at: int) -> float:
        room = _WIDTH - _LEFT - _RIGHT - 110
        return _LEFT + (room * at / (len(labels) - 1) if len(labels) > 1 else room / 2)

    def y(value: float) -> float:
        room = _HEIGHT - _TOP - _BOTTOM
        return _TOP + room * (1 - min(max(value, 0.0), top) / top)

    parts = [_grid(y, top), _steps(labels, x)]
    ends = [
        (y(known[-1]), f"{line.name} {known[-1]:.2f}", line.kind)
        for line in lines
        if (known := [value for value in line.values if value is not None])
    ]
    for line in lines:
        path, is_down = [], False
        for at, value in enumerate(line.values):
            if value is None:
                is_down = False
                continue
            path.append(f"{'L' if is_down else 'M'}{x(at):.1f} {y(value):.1f}")
            is_down = True
            half = line.spread[at] if at < len(line.spread) else None
            if half:
                low, high = y(value - half), y(value + half)
                parts.append(
                    f'<path class="bar {line.kind}" d="M{x(at):.1f} {low:.1f}V{high:.1f}'
                    f'M{x(at) - 4:.1f} {low:.1f}h8M{x(at) - 4:.1f} {high:.1f}h8"/>'
                )
            parts.append(
                f'<circle class="dot {line.kind}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="3.5"/>'
            )
        parts.append(f'<path class="line {line.kind}" d="{"".join(path)}"/>')
    for height, name, kind in _apart(ends):
        where = x(len(labels) - 1) + 12
        parts.append(f'<text class={kind} x="{where:.1f}" y="{height + 4:.1f}">{text(name)}</text>')
    return _svg(parts, title)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a bar."""

    name: str
    kind: str
    count: int


def stacked_bars(labels: Sequence[str], bars: Sequence[Sequence[Share]], *, title: str) -> Html:
    """A bar of parts for each label, all of one scale; each part says its name and number."""
    most = max([sum(part.count for part in bar) for bar in bars], default=0) or 1
    row, left = 26, 96
    room = _WIDTH - left - 60
    parts = []
    for at, (label, bar) in enumerate(zip(labels, bars, strict=True)):
        top, start = 6 + at * row, float(left)
        parts.append(f'<text class=axis x="{left - 10}" y="{top + 14}" text-anchor="end">')
        parts.append(f"{text(label, limit=40)}</text>")
        for part in bar:
            width = room * part.count / most
            if not part.count:
                continue
            parts.append(
                f'<rect class={part.kind} x="{start:.1f}" y="{top}" '
                f'width="{max(width - 1, 1):.1f}" height="19" rx="2"/>'
            )
            words = (part.name, part.name.split()[0], "")
            forms = (f"{word} {part.count}".strip() for word in words)
            said = next((one for one in forms if width > 8 * len(one)), "")
            parts.append(
                f'<text class=on x="{start + width / 2:.1f}" y="{top + 14}" '
                f'text-anchor="middle">{text(said)}</text>'
            )
            start += width
        total = sum(part.count for part in bar)
        parts.append(f'<text class=axis x="{start + 8:.1f}" y="{top + 14}">n = {total}</text>')
    named = {part.kind: part.name for bar in bars for part in bar}
    legend = tag("p", *(_swatch(kind, name) for kind, name in named.items()), kind="quiet")
    return joined((_svg(parts, title, height=12 + row * max(len(bars), 1)), legend))


def spark(values: Sequence[float | None], *, top: float) -> Html:
    """A small line without axes, and a dot where it ends."""
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    if not known:
        return Html("")
    step = 84 / max(len(values) - 1, 1)
    points = [(4 + at * step, 20 - 16 * min(max(value, 0), top) / top) for at, value in known]
    path = "".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
    x, y = points[-1]
    return Html(
        '<svg class=spark viewBox="0 0 92 24" width="92" height="24" aria-hidden="true">'
        f'<path class="line model" d="{path}"/>'
        f'<circle class="dot model" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    )


def _swatch(kind: str, name: str) -> Html:
    return Html(
        '<svg class=key viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">'
        f"<rect class={kind} "
        f'width="10" height="10" rx="2"/></svg> {text(name)}&emsp;'
    )


def _svg(parts: Iterable[str], title: str, *, height: int = _HEIGHT) -> Html:
    return Html(
        f'<svg class=chart viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{text(title)}">{"".join(parts)}</svg>'
    )


def _grid(y: Callable[[float], float], top: float) -> str:
    lines = []
    for at in range(5):
        value = top * at / 4
        lines.append(
            f'<path class=grid d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT - 100}"/>'
            f'<text class=axis x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value:g}</text>"
        )
    return "".join(lines)


def _steps(labels: Sequence[str], x: Callable[[int], float]) -> str:
    every = max(1, len(labels) // 12)
    return "".join(
        f'<text class=axis x="{x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{text(one)}</text>"
        for at, one in enumerate(labels)
        if at % every == 0 or at == len(labels) - 1
    )


def _apart(ends: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Labels moved down where they would lie on each other."""
    placed: list[tuple[float, str, str]] = []
    for at, name, kind in sorted(ends):
        least = placed[-1][0] + 16 if placed else at
        placed.append((max(at, least), name, kind))
    return placed
